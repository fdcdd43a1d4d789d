package tracker

import (
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

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
	doubted    int // sessions that ended in doubt
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
	accounts   accounts
	heard      time.Duration
	silent     bool    // it has not answered yet
	allowance  float64 // messages it may send
	allowedAt  time.Duration
	pending    int           // introductions since its last announce
	known      []wire.PeerID // whom it was introduced to by either's announce, the latest last
	introduced introductions
	lines      lines
	apart      []wire.PeerID // whom it complained of
	stamp      uint64
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

func (m *member) uploads() bool { return m.ann.Upload && !m.facts.ReceiveOnly }

func (s *Swarm) emit(kind Kind, to wire.PeerID, m *signal.Message) {
	s.out = append(s.out, Effect{Kind: kind, Peer: to, Message: m})
}

func (s *Swarm) refuse(to wire.PeerID, code, detail string) {
	s.emit(Send, to, &signal.Message{Type: signal.ErrorMsg, Code: code, Detail: detail})
}
