package peer

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Engine is one viewer's engine. It is not safe for concurrent use.
type Engine struct {
	cfg Config
	rng *rand.Rand
	out []Effect

	// The player.
	rendition string
	number    uint64
	live      bool
	manifest  *Manifest
	wanted    []*segment // in playing order, from the playhead on
	playing   bool
	playAt    time.Duration // when the playhead was at playPos
	playPos   time.Duration
	needed    []*segment // what the player waits for, of each track
	waits     bool       // it plays nothing, for want of a segment
	startedAt time.Duration
	widenAt   time.Duration // when the next segment of a VOD comes within BufferGoal

	// Segments.
	table  map[wire.SegmentID]*segment // for look-ups only
	recent [recent]*segment            // some of them, by the low bits of the id
	list   []*segment                  // the same, in the order they became known
	stored int64                       // bytes of segments stored

	// Neighbors.
	slots     []*neighbor
	ids       []wire.PeerID // by slot, of a slot in use
	memory    []neighbor    // what slots point into
	paces     []pace        // by slot
	giving    uint64        // slots of neighbors that are up and give
	taken     int           // slots in use
	ups       int           // neighbors that are up
	upAt      time.Duration // when the first of them came
	barred    []wire.PeerID // dropped for cause
	failed    []wire.PeerID // could not connect
	swarmSize int
	duty      *signal.Duty
	passAt    time.Duration // when the pass of a neighbor runs out, the first of them

	// The origin.
	originRate  float64       // bytes/s
	originDelay time.Duration // to the first byte, about
	originDev   time.Duration // of the time it takes from what was expected
	measure     measure       // what the rate is known from
	fetches     int           // under way

	// The uplink.
	upload     bool
	uplink     float64 // bytes/s, measured
	queue      []item
	queueBytes int64
	inFlight   int64         // bytes handed to the driver and not sent
	sentAt     time.Duration // when the last chunk had left
	paceAt     time.Duration // when the upload limit lets the next chunk go

	// Haves to send.
	haveQueue []*segment
	haveAt    time.Duration // when to send them
	haveSent  time.Duration // when the last were sent

	// When to act next.
	planAt     time.Duration
	expireAt   time.Duration // when a neighbor may be late
	announceAt time.Duration
	announced  time.Duration
	reportAt   time.Duration

	report signal.Report

	order []*segment // scratch of plan
	ready uint64     // the same: slots of neighbors that may be asked for more
}

const never = time.Duration(1<<63 - 1)

// recent is how many segments are found without the table.
const recent = 32

// New makes an engine. Its life begins with the first Step.
func New(cfg Config) *Engine {
	cfg = cfg.withDefaults()
	return &Engine{
		cfg:         cfg,
		rng:         rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.ID))),
		table:       map[wire.SegmentID]*segment{},
		slots:       make([]*neighbor, cfg.Neighbors),
		ids:         make([]wire.PeerID, cfg.Neighbors),
		memory:      make([]neighbor, cfg.Neighbors),
		paces:       make([]pace, cfg.Neighbors),
		originRate:  cfg.OriginRate,
		originDelay: 100 * time.Millisecond,
		originDev:   50 * time.Millisecond,
		upload:      !cfg.ReceiveOnly,
		uplink:      startUplink,
		swarmSize:   -1,
		startedAt:   -1,
		planAt:      never,
		widenAt:     never,
		expireAt:    never,
		passAt:      never,
		haveAt:      never,
		announceAt:  never,
		reportAt:    never,
	}
}

// Step takes one input at time now, which counts from any fixed moment and
// never goes back. The effects are valid until the next call.
func (e *Engine) Step(now time.Duration, in *Input) []Effect {
	e.out = e.out[:0]
	if e.startedAt < 0 {
		e.startedAt = now
		e.reportAt = now + e.cfg.ReportInterval
	}
	switch in.Kind {
	case ManifestIn:
		e.onManifest(now, in.Manifest)
	case Play:
		e.playing, e.playAt, e.playPos = in.Playing, now, in.Position
		e.refreshWanted(now)
		e.dirty(now)
	case Need:
		if s := e.lookup(in.Segment); s != nil && !s.whole {
			e.need(now, s, now+in.Within)
			e.dirty(now)
		}
	case NeighborUp:
		e.onUp(now, in)
	case NeighborDown:
		e.onDown(now, in.Peer)
	case Offered:
		e.onOffered(now, in.Peer)
	case Receive:
		if n := e.neighbor(in.Peer); n != nil && n.open {
			e.onMessage(now, n, in.Message)
		}
	case Sent:
		e.onSent(now, in)
	case PassChecked:
		e.onPass(now, in)
	case ProofChecked:
		e.onProof(now, in)
	case ChunkChecked:
		e.onChunkChecked(now, in)
	case OriginProof, OriginChunk, OriginDone:
		e.onOrigin(now, in)
	case OriginTimed:
		e.learnOrigin(now, in)
	case SignalIn:
		e.onSignal(now, in.Signal)
	case Joined:
		if e.manifest != nil {
			e.announceAt = now
		}
	case SetUpload:
		e.setUpload(now, in.OK)
	case Renewed:
		e.renew(in.Pass)
	}
	if now >= e.passAt {
		e.dropExpired(now)
	}
	if now >= e.planAt {
		e.plan(now)
	}
	if now >= e.haveAt {
		e.flushHaves(now)
	}
	e.serve(now)
	if now >= e.announceAt {
		e.announce(now)
	}
	if now >= e.reportAt {
		e.reportAt = now + e.cfg.ReportInterval
		e.keepWithinBudget(now)
		e.emit(Effect{Kind: Signal, Signal: &signal.Message{Type: signal.ReportMsg, Report: e.Report()}})
	}
	return e.out
}

// NextDeadline is when Step wants to be called with Tick if no input comes
// before.
func (e *Engine) NextDeadline() time.Duration {
	at := min(e.planAt, e.haveAt, e.announceAt, e.reportAt, e.passAt)
	if len(e.queue) > 0 && e.paceAt > 0 && e.inFlight < e.window() && !e.overRatio() {
		at = min(at, e.paceAt)
	}
	return at
}

// Report gives the running totals that the engine knows: traffic and
// neighbors. The driver adds the player's (startup, stalls, buffer).
func (e *Engine) Report() *signal.Report {
	r := e.report
	r.Neighbors = int64(e.connected())
	return &r
}

// Neighbors is the number of neighbors that passes were exchanged with.
func (e *Engine) Neighbors() int { return e.connected() }

// OriginRate is what the origin was measured to give, in bytes a second; before its
// first answer it is that of the configuration.
func (e *Engine) OriginRate() float64 { return e.originRate }

// Has says which chunks of a segment are verified, and whether all its bytes
// are stored.
func (e *Engine) Has(id wire.SegmentID) (chunks uint64, whole bool) {
	if s := e.lookup(id); s != nil {
		return s.have, s.whole
	}
	return 0, false
}

func (e *Engine) emit(f Effect) { e.out = append(e.out, f) }

func (e *Engine) send(n *neighbor, m wire.Message) {
	e.out = append(e.out, Effect{Kind: Send, Peer: n.id, Message: m})
}

// dirty has the next plan made soon; inputs until then go into the same one.
func (e *Engine) dirty(now time.Duration) { e.planAt = min(e.planAt, now+settle) }

// playhead is where the player is now, in media time.
func (e *Engine) playhead(now time.Duration) time.Duration {
	if e.playing {
		return e.playPos + now - e.playAt
	}
	return e.playPos
}

// deadline is when the player needs a segment.
func (e *Engine) deadline(now time.Duration, s *segment) time.Duration {
	return min(s.needBy, now+s.Start-e.playhead(now))
}

// need notes that the player waits for a segment. It waits for one of each track at
// most, so that of what it has given up in the meantime the last few are left.
func (e *Engine) need(now time.Duration, s *segment, by time.Duration) {
	e.unneed(s)
	if len(e.needed) == maxNeeded {
		e.unneed(e.needed[0])
	}
	s.needBy, s.neededAt = by, now
	e.needed = append(e.needed, s)
}

// unneed notes that the player has a segment, or that it is gone.
func (e *Engine) unneed(s *segment) {
	s.needBy = never
	e.needed = slices.DeleteFunc(e.needed, func(x *segment) bool { return x == s })
}

func (e *Engine) onManifest(now time.Duration, m *Manifest) {
	switched := e.manifest == nil || m.Number != e.number
	e.manifest, e.rendition, e.number, e.live = m, m.Rendition, m.Number, m.Live
	for i := range m.Segments {
		in := &m.Segments[i]
		s := e.lookup(in.ID)
		if s != nil && s.known != 0 {
			continue
		}
		s = e.entry(in.ID)
		size := s.Size
		s.Segment = *in
		if s.Size == 0 {
			s.Size = size
		}
		s.known = max(now, 1)
		s.slack = e.deadline(now, s) - now
		s.fresh = !switched
	}
	e.refreshWanted(now)
	if switched {
		for _, n := range e.slots {
			if n != nil && n.up {
				e.send(n, wire.Message{Type: wire.Status, Flags: e.flags(), Rendition: e.number})
			}
		}
		e.announceAt = min(e.announceAt, max(now, e.announced+announceFloor/4))
	}
	e.dirty(now)
}

// refreshWanted lists what the player has still to play, up to its goal.
func (e *Engine) refreshWanted(now time.Duration) {
	for _, s := range e.wanted {
		s.wanted = false
	}
	e.wanted = e.wanted[:0]
	if e.manifest == nil {
		return
	}
	pos := e.playhead(now)
	e.widenAt = never
	for i := range e.manifest.Segments {
		in := &e.manifest.Segments[i]
		if in.Duration > 0 && (in.Start+in.Duration <= pos || in.Start < e.manifest.From) {
			continue
		}
		if !e.live && in.Start > pos+e.cfg.BufferGoal {
			if e.playing {
				e.widenAt = now + in.Start - pos - e.cfg.BufferGoal
			}
			break
		}
		s := e.lookup(in.ID)
		if s == nil { // evicted in the meantime and wanted again: a seek back
			s = e.entry(in.ID)
			s.Segment = *in
			s.known, s.slack = max(now, 1), in.Start-pos
		}
		s.wanted = true
		e.wanted = append(e.wanted, s)
	}
}

// setUpload switches giving on or off.
func (e *Engine) setUpload(now time.Duration, on bool) {
	on = on && !e.cfg.ReceiveOnly
	if on == e.upload {
		return
	}
	e.upload = on
	if !on {
		e.unqueue(func(it *item) bool {
			e.send(it.n, wire.Message{Type: wire.Reject, Segment: it.seg.ID, Mask: 1 << it.index, Reason: wire.RejectDenied})
			return true
		})
	}
	for _, n := range e.slots {
		if n != nil && n.up {
			e.send(n, wire.Message{Type: wire.Status, Flags: e.flags(), Rendition: e.number})
			if on {
				e.sendAllHaves(n)
			}
		}
	}
	e.announceAt = now
}

func (e *Engine) flags() uint8 {
	if e.upload {
		return 0
	}
	return wire.FlagNoUpload
}
