package sim

import (
	"math"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// player plays segments in order: it starts when the first is complete, and
// stalls at the end of one whose successor is not.
type player struct {
	sequence  int64 // of the segment that plays, or is waited for
	last      int64 // of the last segment of a VOD, -1 for live
	ready     bool  // it has the playlist
	started   bool
	playing   bool
	came      time.Duration
	left      time.Duration
	stalledAt time.Duration // since when it waits, if it does not play
	version   int32
	stored    []wire.SegmentID // complete and not yet played
	behind    time.Duration    // behind the live edge when it started
	rend      int              // the rendition it wants
	from      int64            // first segment wanted of it
}

// bufferGoal is how far ahead of the playhead a VOD is taken (peer.Config.BufferGoal).
const bufferGoal = 30 * time.Second

// arrive brings a viewer: it reads the playlist, and opens a session.
func (w *shard) arrive(n *node) {
	n.here = true
	n.client = w.newClient(n)
	now := w.now
	w.later(func() { w.world.m.here(now, n, +1) })
	p := &n.player
	p.came, p.left, p.last, p.sequence = w.now, w.end, -1, 0
	if w.sc.Live {
		p.sequence = w.newestAt(w.now) + 1 - startBehind(w, n)
	} else {
		p.last = w.editions[0].newest
	}
	p.from = p.sequence
	w.push(event{at: w.now + manifestRTTs*2*w.origin(), kind: evManifest, to: n.id})
	if w.policy != OriginOnly {
		joined := w.now + (manifestRTTs+sessionRTTs)*2*w.origin()
		w.push(event{at: joined - w.origin(), kind: evEnter, from: n.id, to: edge})
		w.push(event{at: joined, kind: evJoined, to: n.id})
	}
	if w.sc.LeaveRate > 0 {
		stays := n.rng.ExpFloat64() / w.sc.LeaveRate * float64(time.Minute)
		w.push(event{at: w.now + time.Duration(min(stays, float64(w.end))), kind: evLeave, to: n.id})
	}
	if w.sc.SwitchS > 0 {
		w.push(event{at: w.now + w.untilSwitch(n), kind: evSwitch, to: n.id})
	}
}

// startBehind is how many segments behind the live edge a viewer starts.
func startBehind(w *shard, n *node) int64 {
	behind := w.sc.BehindS
	if int(n.id) < w.sc.Ahead {
		behind -= w.sc.AheadS
	}
	return int64(math.Round(behind / w.sc.SegmentS))
}

func (w *world) untilSwitch(n *node) time.Duration { return seconds(n.rng.ExpFloat64() * w.sc.SwitchS) }

func (w *shard) newClient(n *node) client {
	goal := time.Duration(0)
	if !w.sc.Live {
		goal = bufferGoal
	}
	switch w.policy {
	case OriginOnly:
		return &originOnly{goal: goal}
	case WindowRandom:
		return newWindowRandom(n.id, w.sc.Seed, n.noUpload, w.sc.Live, goal)
	}
	return peer.New(peer.Config{ID: peerID(n.id), Seed: w.sc.Seed, ReceiveOnly: n.noUpload, BufferGoal: goal})
}

// newManifest gives a viewer the present playlist, and comes again soon after
// the next live segment is complete.
func (w *shard) newManifest(n *node) {
	if !n.here {
		return
	}
	if w.sc.Live {
		next := w.edgeAt(w.newestAt(w.now) + 1)
		w.push(event{at: next + 2*w.origin() + seconds(n.rng.Float64()*w.sc.ReloadS), kind: evManifest, to: n.id})
	}
	if p := &n.player; !p.ready {
		p.ready, p.stalledAt = true, w.now
		w.give(n, peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
	}
	w.giveManifest(n)
	jump(w, n)
}

// jump has a live player that waits for a segment that no playlist lists any more go on
// behind_s behind the live edge, as hls.js, Shaka and native players do.
func jump(w *shard, n *node) {
	p := &n.player
	if !w.sc.Live || p.playing || p.sequence >= w.manifestAt(w.now, p.rend).Segments[0].Sequence {
		return
	}
	to := w.newestAt(w.now) + 1 - startBehind(w, n)
	p.behind -= w.start(to - p.sequence)
	p.sequence = to
	p.stored = slices.DeleteFunc(p.stored, func(id wire.SegmentID) bool { return ref(id).sequence < p.sequence })
	w.give(n, peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
	if !p.playing && p.has(p.sequence) {
		w.playOn(n)
	}
}

// giveManifest hands the present playlist to the engine, from where the player
// needs the rendition on.
func (w *shard) giveManifest(n *node) {
	m := w.manifestAt(w.now, n.player.rend)
	if scarce := w.now < w.scarceBy; w.sc.SwitchS > 0 || scarce {
		own := *m
		if scarce {
			own.Wait = max(time.Millisecond, w.originAt-w.now)
		}
		if w.sc.SwitchS > 0 {
			own.From = w.start(n.player.from)
		}
		m = &own
	}
	w.give(n, peer.Input{Kind: peer.ManifestIn, Manifest: m})
}

// completed notes a segment that the player may play. It is called while the
// engine is in a step: the engine learns by event that the player goes on.
func (w *shard) completed(n *node, id wire.SegmentID) {
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
func (p *player) has(sequence int64) bool {
	for _, id := range p.stored {
		if ref(id).sequence == sequence {
			return true
		}
	}
	return false
}

// tellEngine marks an evPlayer that tells the engine what the player does.
const tellEngine = -1

// playOn starts to play the present segment.
func (w *shard) playOn(n *node) {
	p := &n.player
	if !p.started {
		p.started = true
		w.m.startup = append(w.m.startup, w.now-p.came)
		if w.sc.Live {
			p.behind = w.now + seconds(w.sc.WindowS) - w.start(p.sequence)
		}
	} else {
		n.tally.stall(w.now - p.stalledAt)
	}
	p.playing = true
	p.version++
	w.push(event{at: w.now + w.dur, kind: evPlayer, to: n.id, ref: p.version})
	w.push(event{at: w.now, kind: evPlayer, to: n.id, ref: tellEngine})
}

// playerEvent is the end of a segment, or the moment to tell the engine that the
// player runs.
func (w *shard) playerEvent(n *node, version int32) {
	p := &n.player
	if !n.here {
		return
	}
	if version == tellEngine {
		w.give(n, peer.Input{Kind: peer.Play, Position: w.start(p.sequence), Playing: p.playing})
		return
	}
	if version != p.version {
		return
	}
	p.sequence++
	p.stored = slices.DeleteFunc(p.stored, func(id wire.SegmentID) bool { return ref(id).sequence < p.sequence })
	if p.last >= 0 && p.sequence > p.last {
		w.leave(n, w.now+w.origin())
		return
	}
	if p.has(p.sequence) {
		p.version++
		w.push(event{at: w.now + w.dur, kind: evPlayer, to: n.id, ref: p.version})
		return
	}
	p.playing = false
	p.stalledAt = w.now
	w.give(n, peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
}

// switchRendition has a viewer play another rendition from the next segment on
// that it has not.
func (w *shard) switchRendition(n *node) {
	if !n.here {
		return
	}
	p := &n.player
	from := max(p.from, p.sequence)
	for p.has(from) {
		from++
	}
	rend, first := p.rend, p.from
	w.later(func() { w.world.m.watched(rend, first, from-1) })
	p.from = from
	p.rend = (p.rend + 1 + n.rng.IntN(len(w.sc.Renditions)-1)) % len(w.sc.Renditions)
	w.push(event{at: w.now + w.untilSwitch(n), kind: evSwitch, to: n.id})
	if p.ready {
		w.giveManifest(n)
	}
}

// leave takes a viewer away without a word to its neighbors; the edge notices at
// a time of its own.
func (w *shard) leave(n *node, noticed time.Duration) {
	if !n.here {
		return
	}
	now, report, to := w.now, n.client.Report(), n.to
	w.later(func() {
		w.world.closeAccount(now, n, report)
		w.world.m.here(now, n, -1)
		for _, o := range to {
			if l := w.nodes[o].link(n.id); l != nil {
				w.q.push(&event{at: now + seconds(w.sc.DeadAfterS), kind: evDown, from: n.id, to: o, ref: l.version})
			}
		}
	})
	n.here = false
	n.player.left = w.now
	n.client, n.holdings, n.player.stored, n.held, n.to, n.links = nil, nil, nil, nil, nil, nil
	if w.policy != OriginOnly {
		w.push(event{at: noticed, kind: evLost, from: n.id, to: edge})
	}
}

// closeAccount takes what became of a viewer into the meter, when it goes and at
// the end.
func (w *world) closeAccount(now time.Duration, n *node, r *signal.Report) {
	p := &n.player
	if p.started && !p.playing {
		n.tally.stall(now - p.stalledAt)
	}
	if !p.started && now-p.came > startPatience {
		w.m.notStarted++
		w.m.startup = append(w.m.startup, now-p.came) // it is no faster for never having started
	}
	last := p.last
	if w.sc.Live {
		last = w.newestAt(now)
	} else if goal := int64((now - p.came + bufferGoal) / w.dur); goal < last {
		last = goal
	}
	w.m.watched(p.rend, p.from, last)
	w.m.gone(now, n, r)
}

// startPatience is how long a viewer may take to start before it counts as one
// that did not.
const startPatience = 10 * time.Second

// exodus has every second viewer vanish: even the edge is not told.
func (w *shard) exodus() {
	goes := true
	for _, n := range w.nodes {
		if n.here {
			if goes {
				w.leave(n, w.now+silentFor)
			}
			goes = !goes
		}
	}
}
