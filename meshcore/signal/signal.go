// Package signal is what a peer and an edge say to each other: the session
// request and its answer over HTTPS (session.go), and the messages on the
// signaling WebSocket.
//
// # The signaling WebSocket
//
// Each message is one text frame with one JSON object; "type" says which. The
// peer sends hello first, with its pass; the edge answers welcome. From then
// on, the peer sends announce when it starts, each interval of the welcome, and
// when it has too few neighbors; the edge answers each with peers. Offers,
// answers, candidates and refusals of offers go to one peer and reach it with "from"
// set by the edge. Reports carry traffic and quality as running totals. The edge sends
// error and closes when it cannot go on. A peer to which nothing came for ten seconds
// sends ping, because a page cannot see the pings of WebSocket; the edge answers pong.
//
//	type       from   fields
//	hello      peer   pass
//	welcome    edge   announce_ms, report_ms
//	announce   peer   rendition, live, position_ms, neighbors, want, upload, uplink_bps, failed
//	peers      edge   peers, duty, swarm_size, origin_wait_ms
//	offer      both   to/from, connection, sdp
//	answer     both   to/from, connection, sdp
//	candidate  both   to/from, connection, candidate
//	refuse     both   to/from, connection
//	report     peer   report
//	complain   peer   peer, segment, reason, evidence
//	renew      peer   (nothing)
//	pass       edge   pass, expires_ms, ice_servers
//	drop       edge   peer, reason
//	leave      peer   (nothing)
//	ping       peer   (nothing)
//	pong       edge   (nothing)
//	reconnect  edge   after_ms
//	error      edge   code, detail
//
// A complaint with evidence that convicts has the peer banned; without, it keeps the two
// apart and no more, whoever complains.
//
// Unknown fields are ignored, so that either side may learn new ones; unknown
// types are an error.
package signal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// MaxMessage is the largest frame, in bytes, that either side accepts.
const MaxMessage = 64 << 10

// Limits of the fields of a message.
const (
	MaxSDP       = 32 << 10 // bytes, and half as much again as a JSON string
	MaxCandidate = 2 << 10  // bytes
	MaxText      = 256      // bytes of a rendition, connection, code or reason
	MaxPass      = wire.MaxToken
	MaxFailed    = 64 // peers in announce.failed
	MaxPeers     = 64 // peers in peers.peers
)

// Type says what a message is.
type Type string

// The message types; the table of the package says who sends them.
const (
	Hello     Type = "hello"
	Welcome   Type = "welcome"
	Announce  Type = "announce"
	Peers     Type = "peers"
	Offer     Type = "offer"
	Answer    Type = "answer"
	Candidate Type = "candidate"
	Refuse    Type = "refuse"
	ReportMsg Type = "report"
	Complain  Type = "complain"
	Renew     Type = "renew"
	Pass      Type = "pass"
	Drop      Type = "drop"
	Leave     Type = "leave"
	Ping      Type = "ping"
	Pong      Type = "pong"
	Reconnect Type = "reconnect"
	ErrorMsg  Type = "error"
)

// Message is any message; only the fields of its type are set.
type Message struct {
	Type Type `json:"type"`

	// Pass is the peer's pass (hello, pass).
	Pass string `json:"pass,omitempty"`
	// ExpiresMS is the time until the pass and the TURN credentials expire, in
	// milliseconds (pass).
	ExpiresMS int64 `json:"expires_ms,omitempty"`
	// ICEServers replace those of the session (pass).
	ICEServers []ICEServer `json:"ice_servers,omitempty"`

	// AnnounceMS and ReportMS are the intervals the peer is to keep (welcome).
	AnnounceMS int64 `json:"announce_ms,omitempty"`
	ReportMS   int64 `json:"report_ms,omitempty"`

	// The fields of announce.
	*Announcement

	// Peers are candidates chosen for this peer, best first (peers).
	Peers []PeerInfo `json:"peers,omitempty"`
	// Duty is the peer's share in fetching new live segments (peers).
	Duty *Duty `json:"duty,omitempty"`
	// SwarmSize is how many peers the swarm has, this one included (peers).
	SwarmSize int `json:"swarm_size,omitempty"`
	// OriginWaitMS is that of SessionAnswer, now (peers).
	OriginWaitMS int64 `json:"origin_wait_ms,omitempty"`

	// To names the receiver (offer, answer, candidate, refuse from a peer).
	To *wire.PeerID `json:"to,omitempty"`
	// From names the sender (offer, answer, candidate, refuse from the edge).
	From *wire.PeerID `json:"from,omitempty"`
	// Connection tells apart two attempts to connect with the same peer.
	Connection string `json:"connection,omitempty"`
	// SDP is the session description (offer, answer).
	SDP string `json:"sdp,omitempty"`
	// Candidate is an ICE candidate as RTCIceCandidateInit has it, empty at the
	// end of candidates.
	Candidate *ICECandidate `json:"candidate,omitempty"`

	// Report is the peer's traffic and quality (report).
	Report *Report `json:"report,omitempty"`

	// Peer is whom a complaint or a drop is about.
	Peer *wire.PeerID `json:"peer,omitempty"`
	// Segment is what a complaint is about.
	Segment *wire.SegmentID `json:"segment,omitempty"`
	// Reason says why (complain, drop): "digest", "banned", "left".
	Reason string `json:"reason,omitempty"`
	// Evidence convicts Peer of a wrong chunk of Segment (complain).
	Evidence *Evidence `json:"evidence,omitempty"`

	// AfterMS is when to open another session (reconnect).
	AfterMS int64 `json:"after_ms,omitempty"`

	// Code is a stable short word and Detail a sentence for people (error).
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Announcement is what a peer tells the tracker of itself.
type Announcement struct {
	// Rendition is the path of the media playlist it plays, or another word
	// that is the same for all who play this rendition.
	Rendition string `json:"rendition,omitempty"`
	// Live says whether the presentation is live.
	Live bool `json:"live,omitempty"`
	// PositionMS is the playhead, in milliseconds of media time.
	PositionMS int64 `json:"position_ms,omitempty"`
	// Neighbors is the number of neighbors it has.
	Neighbors int `json:"neighbors,omitempty"`
	// Relayed is the number of these that it reaches over a relay.
	Relayed int `json:"relayed,omitempty"`
	// Want is the number of further peers it would like, 0 to MaxPeers.
	Want int `json:"want,omitempty"`
	// Upload says whether it gives chunks to others.
	Upload bool `json:"upload,omitempty"`
	// UplinkBPS is its measured uplink in bit/s, 0 if not known.
	UplinkBPS int64 `json:"uplink_bps,omitempty"`
	// Failed lists peers that it leaves alone for now, because it could not connect to
	// them or they were slow. An edge introduces none of them in its answer.
	Failed []wire.PeerID `json:"failed,omitempty"`
}

// PeerInfo is one candidate in a peer list.
type PeerInfo struct {
	ID wire.PeerID `json:"id"`
	// Rendition is what that peer plays.
	Rendition string `json:"rendition,omitempty"`
	// Upload says whether that peer gives chunks.
	Upload bool `json:"upload"`
	// Initiate says that the receiver of the list is to send the offer.
	Initiate bool `json:"initiate"`
}

// Duty is a peer's place in the rotation of fetchers, who take each new live segment
// from the origin at once: there are ranks from 0 to Of-1, and the peers of one
// rendition and locality group are dealt out to them. A peer of rank r is at distance
// (r - sequence*Fetchers) mod Of; those at a distance below Fetchers fetch.
type Duty struct {
	Rank     int `json:"rank"`
	Of       int `json:"of"`
	Fetchers int `json:"fetchers"`
}

// Distance is this peer's distance for a media sequence number; d.Of must not be 0,
// and Decode sees to that.
func (d *Duty) Distance(sequence int64) int {
	of := int64(d.Of)
	at := (int64(d.Rank) - sequence*int64(d.Fetchers)) % of
	if at < 0 {
		at += of
	}
	return int(at)
}

// Fetches says whether it is this peer's turn.
func (d *Duty) Fetches(sequence int64) bool { return d.Distance(sequence) < d.Fetchers }

// ICECandidate is RTCIceCandidateInit.
type ICECandidate struct {
	Candidate        string  `json:"candidate"`
	SDPMid           *string `json:"sdpMid,omitempty"`
	SDPMLineIndex    *uint16 `json:"sdpMLineIndex,omitempty"`
	UsernameFragment *string `json:"usernameFragment,omitempty"`
}

// Report is a peer's traffic and quality since its session began: running
// totals, so that a lost report loses nothing.
type Report struct {
	PeerBytes      int64 `json:"peer_bytes"`      // bytes of segments taken from peers
	OriginBytes    int64 `json:"origin_bytes"`    // bytes of segments taken from the origin
	RelayedBytes   int64 `json:"relayed_bytes"`   // part of PeerBytes that came over a relay
	UploadedBytes  int64 `json:"uploaded_bytes"`  // bytes of chunks given to peers
	DuplicateBytes int64 `json:"duplicate_bytes"` // bytes of chunks that came twice
	BadChunks      int64 `json:"bad_chunks"`      // chunks that failed their digest
	StartupMS      int64 `json:"startup_ms"`      // from the first request to the first frame, 0 before it
	Stalls         int64 `json:"stalls"`          // interruptions after start-up
	StallMS        int64 `json:"stall_ms"`        // their length in all
	PlayedMS       int64 `json:"played_ms"`       // media time played
	BufferMS       int64 `json:"buffer_ms"`       // media buffered ahead of the playhead, now
	Neighbors      int64 `json:"neighbors"`       // connected peers, now
}

// Add adds the running totals of o; BufferMS and Neighbors are none. A sum stops
// at the largest number, which a thousand lying peers can reach.
func (r *Report) Add(o *Report) {
	add := func(sum *int64, v int64) { *sum += min(v, math.MaxInt64-*sum) }
	add(&r.PeerBytes, o.PeerBytes)
	add(&r.OriginBytes, o.OriginBytes)
	add(&r.RelayedBytes, o.RelayedBytes)
	add(&r.UploadedBytes, o.UploadedBytes)
	add(&r.DuplicateBytes, o.DuplicateBytes)
	add(&r.BadChunks, o.BadChunks)
	add(&r.StartupMS, o.StartupMS)
	add(&r.Stalls, o.Stalls)
	add(&r.StallMS, o.StallMS)
	add(&r.PlayedMS, o.PlayedMS)
}

// Errors of Decode. Each is answered with an error message and a close.
var (
	ErrTooLarge = errors.New("frame over the limit")
	ErrJSON     = errors.New("not a JSON object")
	ErrType     = errors.New("unknown message type")
	ErrField    = errors.New("field out of range")
)

// Code gives the word that an error message carries for an error of Decode:
// "too_large", "bad_json", "unknown_type" or "bad_field". A field of another
// JSON type than it should have is a bad field.
func Code(err error) string {
	switch {
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	case errors.Is(err, ErrJSON):
		return "bad_json"
	case errors.Is(err, ErrType):
		return "unknown_type"
	default:
		return "bad_field"
	}
}

// Encode gives the frame of m. What Decode accepted from one peer fits a frame
// for another.
func Encode(m *Message) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it would make six bytes of one, and a frame too large
	if err := e.Encode(m); err != nil {
		panic("signal: " + err.Error()) // no field of Message can fail
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Decode reads a frame and checks that the fields its type needs are there and
// within limits. The error wraps ErrTooLarge, ErrJSON, ErrType or ErrField.
func Decode(b []byte) (Message, error) {
	var m Message
	if len(b) > MaxMessage {
		return m, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxMessage)
	}
	if err := unmarshalObject(b, &m, ErrJSON); err != nil {
		if !errors.Is(err, ErrJSON) {
			err = fmt.Errorf("%w: %w", ErrField, err)
		}
		return Message{}, err
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("%.32s: %w", m.Type, err)
	}
	return m, nil
}

func (m *Message) check() error {
	for _, f := range [...]struct {
		name  string
		value string
		max   int
	}{
		{"pass", m.Pass, MaxPass}, {"connection", m.Connection, MaxText}, {"sdp", m.SDP, MaxSDP},
		{"reason", m.Reason, MaxText}, {"code", m.Code, MaxText},
	} {
		if len(f.value) > f.max {
			return fmt.Errorf("%w: %s has %d bytes, at most %d", ErrField, f.name, len(f.value), f.max)
		}
	}
	if n := quoted(m.SDP); n > MaxSDP*3/2 {
		return fmt.Errorf("%w: sdp has %d bytes as a JSON string, at most %d", ErrField, n, MaxSDP*3/2)
	}
	missing := func(name string) error { return fmt.Errorf("%w: %s is missing", ErrField, name) }
	switch m.Type {
	case Hello, Pass:
		if m.Pass == "" {
			return missing("pass")
		}
	case Announce:
		if m.Announcement == nil {
			m.Announcement = &Announcement{}
		}
		return m.Announcement.check()
	case Peers:
		if len(m.Peers) > MaxPeers {
			return fmt.Errorf("%w: peers has %d entries, at most %d", ErrField, len(m.Peers), MaxPeers)
		}
		if d := m.Duty; d != nil && (d.Of < 1 || d.Rank < 0 || d.Rank >= d.Of || d.Fetchers < 0) {
			return fmt.Errorf("%w: duty has rank %d of %d, %d fetchers", ErrField, d.Rank, d.Of, d.Fetchers)
		}
	case Offer, Answer, Candidate, Refuse:
		if m.To == nil && m.From == nil {
			return missing("to")
		}
		if m.Connection == "" {
			return missing("connection")
		}
		switch {
		case m.Type == Candidate && m.Candidate == nil:
			return missing("candidate")
		case m.Type == Candidate:
			return m.Candidate.check()
		case m.Type != Refuse && m.SDP == "":
			return missing("sdp")
		}
	case ReportMsg:
		if m.Report == nil {
			return missing("report")
		}
		return m.Report.check()
	case Complain, Drop:
		if m.Peer == nil {
			return missing("peer")
		}
		if e := m.Evidence; e != nil {
			if m.Segment == nil {
				return missing("segment")
			}
			return e.check()
		}
	case Welcome, Renew, Leave, Ping, Pong, Reconnect, ErrorMsg:
	default:
		return fmt.Errorf("%w: %.32q", ErrType, string(m.Type))
	}
	return nil
}

func (c *ICECandidate) check() error {
	if len(c.Candidate) > MaxCandidate {
		return fmt.Errorf("%w: candidate has %d bytes, at most %d", ErrField, len(c.Candidate), MaxCandidate)
	}
	if c.SDPMid != nil && len(*c.SDPMid) > MaxText {
		return fmt.Errorf("%w: sdpMid has %d bytes, at most %d", ErrField, len(*c.SDPMid), MaxText)
	}
	if c.UsernameFragment != nil && len(*c.UsernameFragment) > MaxText {
		return fmt.Errorf("%w: usernameFragment has %d bytes, at most %d", ErrField, len(*c.UsernameFragment), MaxText)
	}
	return nil
}

// quoted is the number of bytes of s in a JSON string, without the quotes.
func quoted(s string) int {
	n := len(s)
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '\b' || r == '\f' || r == '\n' || r == '\r' || r == '\t':
			n++
		case r < ' ':
			n += 5
		case r == '\u2028' || r == '\u2029':
			n += 3
		}
	}
	return n
}

func (a *Announcement) check() error {
	control := func(r rune) bool { return r < ' ' }
	switch {
	case strings.ContainsFunc(a.Rendition, control):
		return fmt.Errorf("%w: rendition has control characters", ErrField)
	case len(a.Rendition) > MaxText:
		return fmt.Errorf("%w: rendition has %d bytes, at most %d", ErrField, len(a.Rendition), MaxText)
	case len(a.Failed) > MaxFailed:
		return fmt.Errorf("%w: failed has %d entries, at most %d", ErrField, len(a.Failed), MaxFailed)
	case a.Want < 0 || a.Want > MaxPeers:
		return fmt.Errorf("%w: want is %d, 0 to %d are allowed", ErrField, a.Want, MaxPeers)
	case a.Neighbors < 0 || a.Relayed < 0 || a.UplinkBPS < 0 || a.PositionMS < 0:
		return fmt.Errorf("%w: neighbors, relayed, uplink_bps and position_ms cannot be negative", ErrField)
	}
	return nil
}

func (r *Report) check() error {
	for _, v := range [...]int64{r.PeerBytes, r.OriginBytes, r.RelayedBytes, r.UploadedBytes, r.DuplicateBytes, r.BadChunks,
		r.StartupMS, r.Stalls, r.StallMS, r.PlayedMS, r.BufferMS, r.Neighbors} {
		if v < 0 || v > 1<<53 {
			return fmt.Errorf("%w: a number of the report is %d, 0 to 2^53 are allowed", ErrField, v)
		}
	}
	return nil
}
