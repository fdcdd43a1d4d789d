package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// New makes an engine. Its life begins with the first Step.
func New(cfg Config) *Engine {
	cfg = cfg.withDefaults()
	return &Engine{
		cfg:        cfg,
		player:     player{widenAt: never},
		segments:   segments{table: map[wire.SegmentID]*segment{}},
		neighbors:  newNeighbors(cfg.Neighbors),
		origin:     newOrigin(cfg.OriginRate),
		uplink:     uplink{upload: !cfg.ReceiveOnly, uploadRate: startUplink},
		haves:      haves{haveAt: never},
		startedAt:  -1,
		planAt:     never,
		announceAt: never,
		reportAt:   never,
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
		e.begun = e.begun || in.Playing
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
	case NetworkChanged:
		e.backoffs = e.backoffs[:0]
		e.lookForPeers(now)
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
		e.share.note(&e.report)
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

// Fetches says whether it is this peer's turn to take the live segment, or the part,
// of a media sequence number from the origin at once. A driver asks when a playlist
// hints at a part (EXT-X-PRELOAD-HINT), of which the engine does not know yet, and to
// look for the next segment in time: nobody has it from this peer before a playlist
// that lists it was loaded.
func (e *Engine) Fetches(sequence int64) bool {
	return e.duty != nil && sequence >= 0 && e.duty.Fetches(sequence)
}

// Has says which chunks of a segment are verified, and whether all its bytes
// are stored.
func (e *Engine) Has(id wire.SegmentID) (chunks uint64, whole bool) {
	if s := e.lookup(id); s != nil {
		return s.have, s.whole
	}
	return 0, false
}
