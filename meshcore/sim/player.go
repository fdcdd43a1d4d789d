package sim

import (
	"math"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// player plays segments in order: it starts when the first is complete, and
// stalls at the end of one whose successor is not.
type player struct {
	sequence  int64 // of the segment that plays, or is waited for
	last      int64 // of the last segment of a VOD, -1 for live
	playing   bool
	started   bool
	came      time.Duration
	stalledAt time.Duration
	version   int32
	stored    []wire.SegmentID // complete and not yet played
	behind    time.Duration    // behind the live edge when it started
	from      int64            // first segment wanted of the present rendition, after a switch
}

// arrive brings a viewer: it reads the playlist, and opens a session.
func (w *world) arrive(i int32) {
	n := &w.nodes[i]
	n.here = true
	n.client = w.newClient(n)
	w.m.viewer(i)
	w.m.ceil.come(w.now, n.gives())
	p := &n.player
	p.came, p.last, p.sequence = w.now, -1, 0
	if w.sc.Live {
		w.liveEdge(w.now)
		p.sequence = w.newest + 1 - int64(math.Round(w.sc.BehindS/w.sc.SegmentS))
	} else {
		ss := w.manifests[n.rend].Segments
		p.last = ss[len(ss)-1].Sequence
	}
	w.q.push(event{at: w.now + 4*w.origin(), kind: evJoined, to: i})
	w.q.push(event{at: w.now + 2*w.origin(), kind: evManifest, to: i})
	if w.sc.LeaveRate > 0 {
		w.q.push(event{at: w.now + time.Duration(w.rng.ExpFloat64()/w.sc.LeaveRate*float64(time.Minute)), kind: evLeave, to: i})
	}
	if w.sc.SwitchS > 0 {
		w.q.push(event{at: w.now + w.untilSwitch(), kind: evSwitch, to: i})
	}
}

func (w *world) untilSwitch() time.Duration {
	return time.Duration(w.rng.ExpFloat64() * w.sc.SwitchS * float64(time.Second))
}

func (w *world) newClient(n *node) client {
	goal := time.Duration(0)
	if !w.sc.Live {
		goal = 30 * time.Second
	}
	switch w.policy {
	case OriginOnly:
		return &originOnly{goal: goal}
	case WindowRandom:
		return newWindowRandom(n.id, w.sc.Seed, n.noUpload, goal)
	}
	return peer.New(peer.Config{ID: peerID(n.id), Seed: w.sc.Seed, ReceiveOnly: n.noUpload})
}

// newManifest gives a viewer the present playlist, and comes again soon after
// the next live segment is complete.
func (w *world) newManifest(n *node) {
	if !n.here {
		return
	}
	if w.sc.Live {
		w.liveEdge(w.now)
		next := w.edgeAt(w.newest + 1)
		spread := min(500*time.Millisecond, seconds(w.sc.SegmentS)/4)
		w.q.push(event{at: next + 2*w.origin() + time.Duration(w.rng.Int64N(int64(spread))), kind: evManifest, to: n.id})
	}
	p := &n.player
	if !p.started && p.stalledAt == 0 {
		p.stalledAt = w.now
		w.step(n, &peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
	}
	w.giveManifest(n)
}

// giveManifest hands the present playlist to the engine, from where the player
// needs the rendition on.
func (w *world) giveManifest(n *node) {
	m := w.manifests[n.rend]
	if n.player.from > 0 {
		own := *m
		own.From = w.start(n.player.from)
		m = &own
	}
	w.step(n, &peer.Input{Kind: peer.ManifestIn, Manifest: m})
}

func (w *world) start(sequence int64) time.Duration {
	return time.Duration(sequence) * seconds(w.sc.SegmentS)
}

// completed notes a segment that the player may play.
func (w *world) completed(n *node, id wire.SegmentID) {
	p := &n.player
	sr := ref(id)
	if sr.sequence < p.sequence {
		return
	}
	if !slices.Contains(p.stored, id) {
		p.stored = append(p.stored, id)
	}
	if !p.playing && sr.sequence == p.sequence {
		w.playOn(n)
	}
}

// has says whether the segment of a sequence is complete, in any rendition.
func (w *world) has(p *player, sequence int64) bool {
	for _, id := range p.stored {
		if ref(id).sequence == sequence {
			return true
		}
	}
	return false
}

// playOn starts to play the present segment.
func (w *world) playOn(n *node) {
	p := &n.player
	if !p.started {
		p.started = true
		w.m.started(n.id, w.now-p.came)
		if w.sc.Live {
			p.behind = w.now + seconds(w.sc.WindowS) - w.start(p.sequence)
		}
	} else if !p.playing {
		w.m.stalled(n.id, w.now-p.stalledAt)
	}
	p.playing = true
	p.version++
	w.q.push(event{at: w.now + seconds(w.sc.SegmentS), kind: evPlayer, to: n.id, ref: p.version})
	w.q.push(event{at: w.now, kind: evPlayer, to: n.id, ref: -1})
}

// playerEvent is the end of a segment, or, with version -1, the moment to tell
// the engine that the player runs.
func (w *world) playerEvent(n *node, version int32) {
	p := &n.player
	if !n.here {
		return
	}
	if version == -1 {
		w.step(n, &peer.Input{Kind: peer.Play, Position: w.start(p.sequence), Playing: p.playing})
		return
	}
	if version != p.version {
		return
	}
	w.m.played(n.id, seconds(w.sc.SegmentS))
	p.sequence++
	kept := p.stored[:0]
	for _, id := range p.stored {
		if ref(id).sequence >= p.sequence {
			kept = append(kept, id)
		}
	}
	p.stored = kept
	if p.last >= 0 && p.sequence > p.last {
		w.leave(n.id)
		return
	}
	if w.has(p, p.sequence) {
		p.version++
		w.q.push(event{at: w.now + seconds(w.sc.SegmentS), kind: evPlayer, to: n.id, ref: p.version})
		return
	}
	p.playing = false
	p.stalledAt = w.now
	w.step(n, &peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
}

// switchRendition has a viewer play another rendition from the next segment on
// that it has not.
func (w *world) switchRendition(n *node) {
	if !n.here {
		return
	}
	n.rend = (n.rend + 1 + w.rng.IntN(len(w.sc.Renditions)-1)) % len(w.sc.Renditions)
	w.q.push(event{at: w.now + w.untilSwitch(), kind: evSwitch, to: n.id})
	n.player.from = n.player.sequence
	for w.has(&n.player, n.player.from) {
		n.player.from++
	}
	w.giveManifest(n)
}

// leave takes a viewer away without a word; where viewers leave all the time
// another comes in its place.
func (w *world) leave(i int32) {
	n := &w.nodes[i]
	if !n.here {
		return
	}
	n.here = false
	w.m.ceil.leave(w.now, n.gives())
	w.m.gone(i, w.now, n.client.Report(), &n.player)
	n.client = nil
	for _, l := range n.links {
		if ol := w.nodes[l.to].link(i); ol != nil {
			w.q.push(event{at: w.now + deadAfter, kind: evDown, from: i, to: l.to, ref: ol.version})
		}
	}
	n.links = nil
	if w.policy != OriginOnly {
		w.stepTracker(tracker.Input{Kind: tracker.Leave, Peer: peerID(i)})
	}
	if w.sc.LeaveRate > 0 && n.player.last < 0 {
		id := int32(len(w.nodes))
		w.nodes = append(w.nodes, w.newNode(id))
		w.q.push(event{at: w.now, kind: evArrive, to: id})
	}
}

func (w *world) exodus() {
	for i := range w.nodes {
		if w.nodes[i].here && i%2 == 0 {
			w.leave(int32(i))
		}
	}
}
