// Package sim is a discrete-event simulator of a swarm: it drives the real
// engines of packages tracker and peer, thousands of them, over
// simulated links, and measures what comes of it beside the most that arithmetic
// allows. It has no clock, no goroutine and no I/O; the same scenario, policy and
// seed give the same run, event by event ([Result.Trace] is a hash of them all), on
// one core or, if the caller lends it goroutines ([Options]), on several.
// Products that are added to something are rounded first (float64(a*b) + c), so
// that no processor fuses the two and runs differently.
//
// # What is simulated
//
//   - Access links: a viewer's uplink sends one chunk after another; its downlink
//     takes one after another what peers and the origin send. Control messages
//     cost uplink time too, and wait behind the chunks of the same connection,
//     which is one ordered data channel.
//   - Delay: fixed for a pair of viewers, more between regions; round trips for
//     the playlist, the session, the WebSocket, for ICE, DTLS and SCTP.
//   - NATs: pairs that cannot connect without a relay. Where the scenario has none, such
//     an attempt costs both sides eight seconds; where it has one, it is as far as the
//     edge, and what it carries is counted ([Result.RelayedBytes]).
//   - Dead paths: nothing passes between viewers who both stay; what was sent comes when
//     the path is back, unless drivers have given the connection up by then.
//   - Death: who leaves does so without a word to its neighbors; they notice after
//     dead_after_s. The edge notices a closed tab at once (its TCP connection
//     ends), one of an exodus after 16 s without a pong.
//   - The origin: an answer takes a round trip, then comes as fast as the downlink
//     takes it, or as the origin's uplink allows, which answers share chunk by chunk, or as
//     one connection does; it is cut when the viewer goes. In an outage it has a share of its
//     uplink. The edge says with each playlist for how long a chunk waits at an origin that
//     is behind.
//   - The player: it starts when its first segment is complete and stalls at the
//     end of a segment whose successor is not. A live one that waits for a segment which no
//     playlist lists any more goes on as far behind the live edge as it began, which is
//     behind_s, and ahead_s less for the first ahead viewers.
//   - The truth: the holdings say which verified chunks each viewer holds. A chunk
//     sent by one who does not hold it, and a segment said to be complete that is
//     not, are counted ([Result.Violations]).
//
// A viewer's own events happen in order of time; those of two viewers, who cannot
// have heard of each other in between, may be up to 17 ms out of order.
//
// # What is not
//
// Packet loss, congestion inside the network, TCP slow start, competition with
// other traffic in the household, CPU time of the viewers, and downlink
// time of control messages (about 0.1 % of 50 Mbit/s). Start-up is therefore
// shorter than in the field, for every policy alike.
//
// # Scenarios
//
// A [Scenario] is data: the JSON files in scenarios/ are built in ([Names]), and
// [Parse] reads others. Rates are in Mbit/s, times in seconds unless a name says
// otherwise; a field that is left out is 0 or its default; an unknown field is an
// error. The fields are documented at [Scenario] and [Asked].
package sim
