// Package attacks holds the attacks on peer-assisted delivery that are known of
// other systems, as tests against a running edge and real viewers over WebRTC:
// free riding on another's admission, polluted segments, a census of viewers,
// forged headers, and bytes that must not travel.
package attacks
