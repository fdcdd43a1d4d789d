package tracker

import (
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Swarm is the engine.
type Swarm struct {
	outbox
	cfg        Config
	rng        *rand.Rand
	members    map[wire.PeerID]*member
	all        []*member // for random draws; order by joining and swap-removal
	groups     map[groupKey]*pool
	renditions map[groupKey]*pool // with no locality
	pushAt     time.Duration      // when changed duties are pushed, 0 if none changed
	changed    []*pool
	sweepAt    time.Duration
	swept      int // place in all that is looked at next for silence
	ended      signal.Report
	control    signal.Report // of ended sessions that met nobody
	minViewers int           // Facts.MinViewers
	meeting    bool          // there were as many, and never less than half since
	doubted    int           // sessions that ended in doubt
	banned     map[wire.PeerID]bool
	past       past
	choice     choice
	originWait time.Duration // as the driver said last
}

type groupKey struct {
	scope, rendition, locality string
}

// member is one peer of the swarm.
type member struct {
	card
	scope      string
	alone      bool // Facts.Alone
	locality   string
	at         [4]int32 // places in all, group, rendition, uploaders of the rendition
	rank       int32    // place in duty.ranks, -1 if none
	octave     int16    // where its uplink stands in uplinks, -1 if it is not known
	gives      bool     // it stands among the uploaders
	duty       *pool    // whom it takes turns with in fetching: group or rendition
	group      *pool    // same scope, rendition and locality
	accounts   accounts
	heard      time.Duration
	allowance  float64 // messages it may send
	allowedAt  time.Duration
	known      known
	lines      lines
	complained []wire.PeerID // whom it complained of
}

// card is what choosing looks at of a member. It lies together, and nothing of it behind a
// pointer, because each candidate of a large swarm is a matter of cache misses.
type card struct {
	id          wire.PeerID
	stamp       uint64
	rendition   *pool // same scope and rendition; nil before the first announce
	place       Place
	scopeKey    uint64
	positionMS  int64
	uplinkBPS   int64
	introduced  introductions
	maxTold     int32
	neighbors   int32
	relayed     int32
	pending     int32 // introductions since its last announce
	announced   bool
	silent      bool // it has not answered yet
	live        bool
	upload      bool // by its announcement
	receiveOnly bool // by its facts
	accuses     bool // it has complained of somebody
}

// pool is a set of members with random access.
type pool struct {
	key       groupKey
	all       []*member
	uploaders []*member // of a rendition
	ranks     []*member // those who take turns in fetching, by rank
	uplinks   uplinks   // of a rendition: what its uploaders announced
	turns     int       // that the ranks are dealt out to
	giving    int       // of a group: its uploaders
	own       bool      // a group that takes turns by itself, not with the rendition
	dirty     bool
}

func (m *card) uploads() bool { return m.upload && !m.receiveOnly }

// outbox gathers the effects of a step.
type outbox struct{ out []Effect }

func (o *outbox) emit(kind Kind, to wire.PeerID, m *signal.Message) {
	o.out = append(o.out, Effect{Kind: kind, Peer: to, Message: m})
}

func (o *outbox) refuse(to wire.PeerID, code, detail string) {
	o.emit(Send, to, &signal.Message{Type: signal.ErrorMsg, Code: code, Detail: detail})
}
