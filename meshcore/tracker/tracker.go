// Package tracker is the edge's side of a swarm: who is in it, whom each peer
// is told of, who fetches new live segments from the origin, who is banned. It
// does no I/O and knows no time but what it is given: a driver feeds [Swarm.Step]
// and carries out the effects. One Swarm is not safe for concurrent use; the
// driver owns a lock for each, so that swarms go on side by side.
//
// # How peers are chosen
//
// An announce asks for a number of peers. Candidates are members that the asking
// peer does not leave alone for now (signal.Announcement.Failed), that are not full, and of which at least one
// side uploads; whom it was introduced to lately comes after all others. They are taken, by
// random draws where there are many, from the members of the same rendition and
// locality, then of the same rendition, then of all. Three quarters of the answer
// are the best of them by [score]; one quarter is drawn at random from the
// others, so that the mesh never splits (compare Liu et al., "A survey on
// peer-to-peer video streaming systems", 2008, and RFC 7846, section 4).
//
// # Who fetches
//
// The uploading members of a rendition have dense ranks, which are their places
// in a slice: a leaving member's rank goes to the last one. The ranks are dealt out
// to turns, so that as many members as there are to be fetchers have each turn (see
// signal.Duty for the rotation). Members whose uplink is well below the median take no
// turns, because a segment is late at all others when its first owner is slow
// (uplinks.go). A locality with [Config].OwnGroup of them takes turns by itself, so that
// each new segment comes to it once from the origin and not over long ways.
//
// A change is pushed at once, gathered over [Config].Settle, to the members of a small
// group. In a large one it concerns one member, which is told, unless the number of
// turns changes: then all are, which happens when it has grown or shrunk by half.
package tracker

import (
	"container/list"
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Config is how a swarm works. The zero value of a field means its default.
type Config struct {
	// Seed makes the random draws repeatable.
	Seed uint64
	// MaxNeighbors is the number of neighbors, those it was just introduced to included, at
	// which a peer is full; default 32, a third more than peer.Config has, because not
	// every introduction becomes a connection.
	MaxNeighbors int
	// MaxTold is how many peers that it was not introduced to before one session
	// is told of in an hour, and how many are told of it, which then offer it a
	// connection; default 400. Facts.MaxTold goes before it.
	MaxTold int
	// Settle is how long changes of membership are gathered before the duty is
	// pushed; default 500 ms.
	Settle time.Duration
	// SmallGroup is the largest group to which every change is pushed; default 64.
	SmallGroup int
	// OwnGroup is the number of uploading members at which a locality takes turns
	// in fetching by itself; below half of it, it joins the others again; default 64.
	OwnGroup int
	// Silence is after how long without a message a peer is let go; default 150 s.
	Silence time.Duration
	// Burst and Rate bound the messages of one peer: Burst at once, Rate a second
	// over time; defaults 1000 and 30.
	Burst, Rate float64
	// Fetchers gives the number of fetchers for a group of n uploading peers;
	// default [DefaultFetchers].
	Fetchers func(n int) int
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.MaxNeighbors, 32)
	def(&c.MaxTold, 400)
	def(&c.SmallGroup, 64)
	def(&c.OwnGroup, 64)
	if c.Settle == 0 {
		c.Settle = 500 * time.Millisecond
	}
	if c.Silence == 0 {
		c.Silence = 150 * time.Second
	}
	if c.Burst == 0 {
		c.Burst = 1000
	}
	if c.Rate == 0 {
		c.Rate = 30
	}
	if c.Fetchers == nil {
		c.Fetchers = DefaultFetchers
	}
	return c
}

// DefaultFetchers is 1 up to 60 uploading peers and grows with the logarithm
// of their number beyond: 2 for 61, 4 for 1,000, 8 for 100,000. With s seeds a
// chunk reaches n peers in 1 + log2(n/s) upload slots, so another seed at each
// threefold keeps the time about the same at a cost that does not grow with the swarm.
func DefaultFetchers(n int) int {
	k := 1
	for n > 60 {
		n /= 3
		k++
	}
	return k
}

// Kind says what an Input or an Effect is.
type Kind uint8

// The inputs.
const (
	// Tick only lets time pass.
	Tick Kind = iota
	// Join admits Peer with Facts: its hello was accepted. A Join of a member
	// replaces its facts and keeps the rest (a reconnect).
	Join
	// Receive brings Message from Peer, of type announce, offer, answer,
	// candidate, refuse, ping, report, complain or leave. What is not for the tracker is
	// answered with an error message.
	Receive
	// Leave takes Peer out: its WebSocket closed.
	Leave
)

// The effects.
const (
	// Send: the driver sends Message to Peer. Failure needs no answer; the
	// closing of the WebSocket comes as Leave.
	Send Kind = iota + 16
	// Close: the driver sends Message, if any, to Peer and closes its WebSocket.
	// The member is gone already; no Leave is needed, one does no harm.
	Close
	// Ban: the driver sees to it that the viewer of this Peer gives no chunks for a
	// while, in a new session neither, and does not renew its pass. A Close follows.
	Ban
)

// Input is one input.
type Input struct {
	Kind    Kind
	Peer    wire.PeerID
	Facts   Facts           // Join
	Message *signal.Message // Receive
}

// Effect is one effect.
type Effect struct {
	Kind    Kind
	Peer    wire.PeerID
	Message *signal.Message // Send, Close
}

// Facts is what the driver knows of a peer. Empty means not known.
type Facts struct {
	// Scope is what the peer's pass covers; peers of different scopes never meet.
	Scope string
	// Region is a coarse place, for example a country code.
	Region string
	// ASN is the number of the network the peer comes from.
	ASN uint32
	// Prefix is the peer's network, for example its /24 or /48, as a string.
	Prefix string
	// Viewer names who opened the session: two sessions of one viewer have the same.
	// Complaints count once for each viewer; of a peer whose viewer is not known, once
	// for the peer.
	Viewer uint64
	// MaxTold is Config.MaxTold for this peer; 0 is no other.
	MaxTold int
	// ReceiveOnly says that the peer gives no chunks, whatever it announces.
	ReceiveOnly bool
}

// Stats is the state of a swarm in numbers.
type Stats struct {
	Peers     int           // members now
	Uploaders int           // members that give chunks, now
	Totals    signal.Report // sums over all sessions, ended ones included; without BufferMS and Neighbors
	Banned    int           // peers banned so far
}

// Swarm is the engine.
type Swarm struct {
	cfg        Config
	rng        *rand.Rand
	members    map[wire.PeerID]*member
	all        []*member // for random draws; order by joining and swap-removal
	groups     map[groupKey]*pool
	renditions map[groupKey]*pool // with no locality
	pushAt     time.Duration      // when changed duties are pushed, 0 if none changed
	changed    []*pool
	sweepAt    time.Duration
	ended      signal.Report
	banned     map[wire.PeerID]bool
	past       past
	stamp      uint64
	scratch    []candidate
	out        []Effect
}

type groupKey struct {
	scope, rendition, locality string
}

// member is one peer of the swarm.
type member struct {
	id         wire.PeerID
	facts      Facts
	ann        signal.Announcement
	announced  bool
	at         [4]int // places in all, group, rendition, uploaders of the rendition
	gives      bool   // it stands among the uploaders
	octave     int    // where its uplink stands in uplinks, -1 if it is not known
	rank       int    // place in duty.ranks, -1 if none
	duty       *pool  // whom it takes turns with in fetching: group or rendition
	group      *pool  // same scope, rendition and locality
	rendition  *pool  // same scope and rendition
	totals     signal.Report
	heard      time.Duration
	allowance  float64 // messages it may send
	allowedAt  time.Duration
	pending    int           // introductions since its last announce
	known      []wire.PeerID // whom it was introduced to by either's announce, the latest last
	introduced introductions
	accusers   []accuser
	stamp      uint64
}

// accuser is who complained of a member.
type accuser struct {
	peer   wire.PeerID
	viewer uint64 // Facts.Viewer
}

// pool is a set of members with random access.
type pool struct {
	all       []*member
	uploaders []*member // of a rendition
	ranks     []*member // those who take turns in fetching, by rank
	uplinks   uplinks   // of a rendition: what its uploaders announced
	turns     int       // that the ranks are dealt out to
	giving    int       // of a group: its uploaders
	own       bool      // a group that takes turns by itself, not with the rendition
	dirty     bool
}

// New makes an empty swarm.
func New(cfg Config) *Swarm {
	return &Swarm{
		cfg:        cfg.withDefaults(),
		rng:        rand.New(rand.NewPCG(cfg.Seed, 0x6d657368)),
		members:    map[wire.PeerID]*member{},
		groups:     map[groupKey]*pool{},
		renditions: map[groupKey]*pool{},
		banned:     map[wire.PeerID]bool{},
		past:       past{byID: map[wire.PeerID]*list.Element{}},
	}
}

// Len is the number of members.
func (s *Swarm) Len() int { return len(s.all) }

// Has says whether the peer is a member.
func (s *Swarm) Has(p wire.PeerID) bool { return s.members[p] != nil }

// Banned says whether the peer was banned.
func (s *Swarm) Banned(p wire.PeerID) bool { return s.banned[p] }

// Step takes one input at time now, which counts from any fixed moment and
// never goes back. The effects are valid until the next call.
func (s *Swarm) Step(now time.Duration, in Input) []Effect {
	s.out = s.out[:0]
	switch in.Kind {
	case Join:
		s.join(now, in.Peer, in.Facts)
	case Receive:
		if m := s.members[in.Peer]; m != nil {
			s.receive(now, m, in.Message)
		}
	case Leave:
		if m := s.members[in.Peer]; m != nil {
			s.remove(now, m)
		}
	}
	if s.pushAt != 0 && now >= s.pushAt {
		s.pushDuties()
	}
	if now >= s.sweepAt {
		s.sweep(now)
	}
	return s.out
}

// NextDeadline is when Step wants to be called with Tick, if nothing comes
// before; ok is false while the swarm waits for nothing.
func (s *Swarm) NextDeadline() (at time.Duration, ok bool) {
	if len(s.all) == 0 {
		return 0, false
	}
	if s.pushAt != 0 && s.pushAt < s.sweepAt {
		return s.pushAt, true
	}
	return s.sweepAt, true
}

// Stats sums up the swarm; it takes time in proportion to the members.
func (s *Swarm) Stats() Stats {
	st := Stats{Peers: len(s.all), Totals: s.ended, Banned: len(s.banned)}
	for _, m := range s.all {
		if m.uploads() {
			st.Uploaders++
		}
		st.Totals.Add(&m.totals)
	}
	return st
}

func (m *member) uploads() bool { return m.ann.Upload && !m.facts.ReceiveOnly }

func (s *Swarm) emit(kind Kind, to wire.PeerID, m *signal.Message) {
	s.out = append(s.out, Effect{Kind: kind, Peer: to, Message: m})
}

func (s *Swarm) refuse(to wire.PeerID, code, detail string) {
	s.emit(Send, to, &signal.Message{Type: signal.ErrorMsg, Code: code, Detail: detail})
}
