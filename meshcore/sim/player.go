package sim

import (
	"math"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
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
func (w *world) arrive(n *node) {
	n.here = true
	n.client = w.newClient(n)
	w.m.here(w.now, n, +1)
	p := &n.player
	p.came, p.left, p.last, p.sequence = w.now, w.end, -1, 0
	if w.sc.Live {
		w.liveEdge(w.now)
		p.sequence = w.newest + 1 - int64(math.Round(w.sc.BehindS/w.sc.SegmentS))
	} else {
		ss := w.manifests[p.rend].Segments
		p.last = ss[len(ss)-1].Sequence
	}
	p.from = p.sequence
	w.q.push(event{at: w.now + manifestRTTs*2*w.origin(), kind: evManifest, to: n.id})
	if w.policy != OriginOnly {
		joined := w.now + (manifestRTTs+sessionRTTs)*2*w.origin()
		w.q.push(event{at: joined - w.origin(), kind: evEnter, from: n.id, to: edge})
		w.q.push(event{at: joined, kind: evJoined, to: n.id})
	}
	if w.sc.LeaveRate > 0 {
		stays := n.rng.ExpFloat64() / w.sc.LeaveRate * float64(time.Minute)
		w.q.push(event{at: w.now + time.Duration(min(stays, float64(w.end))), kind: evLeave, to: n.id})
	}
	if w.sc.SwitchS > 0 {
		w.q.push(event{at: w.now + w.untilSwitch(n), kind: evSwitch, to: n.id})
	}
}

func (w *world) untilSwitch(n *node) time.Duration { return seconds(n.rng.ExpFloat64() * w.sc.SwitchS) }

func (w *world) newClient(n *node) client {
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
func (w *world) newManifest(n *node) {
	if !n.here {
		return
	}
	if w.sc.Live {
		w.liveEdge(w.now)
		next := w.edgeAt(w.newest + 1)
		w.q.push(event{at: next + 2*w.origin() + seconds(n.rng.Float64()*w.sc.ReloadS), kind: evManifest, to: n.id})
	}
	if p := &n.player; !p.ready {
		p.ready, p.stalledAt = true, w.now
		w.give(n, peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
	}
	w.giveManifest(n)
}

// giveManifest hands the present playlist to the engine, from where the player
// needs the rendition on.
func (w *world) giveManifest(n *node) {
	m := w.manifests[n.player.rend]
	if w.sc.SwitchS > 0 {
		own := *m
		own.From = w.start(n.player.from)
		m = &own
	}
	w.give(n, peer.Input{Kind: peer.ManifestIn, Manifest: m})
}

// completed notes a segment that the player may play. It is called while the
// engine is in a step: the engine learns by event that the player goes on.
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
func (w *world) playOn(n *node) {
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
	w.q.push(event{at: w.now + w.dur, kind: evPlayer, to: n.id, ref: p.version})
	w.q.push(event{at: w.now, kind: evPlayer, to: n.id, ref: tellEngine})
}

// playerEvent is the end of a segment, or the moment to tell the engine that the
// player runs.
func (w *world) playerEvent(n *node, version int32) {
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
		w.q.push(event{at: w.now + w.dur, kind: evPlayer, to: n.id, ref: p.version})
		return
	}
	p.playing = false
	p.stalledAt = w.now
	w.give(n, peer.Input{Kind: peer.Play, Position: w.start(p.sequence)})
}

// switchRendition has a viewer play another rendition from the next segment on
// that it has not.
func (w *world) switchRendition(n *node) {
	if !n.here {
		return
	}
	p := &n.player
	from := max(p.from, p.sequence)
	for p.has(from) {
		from++
	}
	w.m.watched(p.rend, p.from, from-1)
	p.from = from
	p.rend = (p.rend + 1 + n.rng.IntN(len(w.sc.Renditions)-1)) % len(w.sc.Renditions)
	w.q.push(event{at: w.now + w.untilSwitch(n), kind: evSwitch, to: n.id})
	if p.ready {
		w.giveManifest(n)
	}
}

// leave takes a viewer away without a word to its neighbors; the edge notices at
// a time of its own.
func (w *world) leave(n *node, noticed time.Duration) {
	if !n.here {
		return
	}
	w.closeAccount(n)
	n.here = false
	n.player.left = w.now
	w.m.here(w.now, n, -1)
	n.client, n.ledger, n.player.stored, n.held = nil, nil, nil, nil
	for _, l := range n.links {
		if ol := w.nodes[l.to].link(n.id); ol != nil {
			w.q.push(event{at: w.now + seconds(w.sc.DeadAfterS), kind: evDown, from: n.id, to: l.to, ref: ol.version})
		}
	}
	n.links = nil
	if w.policy != OriginOnly {
		w.q.push(event{at: noticed, kind: evLost, from: n.id, to: edge})
	}
}

// closeAccount takes what became of a viewer into the meter, when it goes and at
// the end.
func (w *world) closeAccount(n *node) {
	p := &n.player
	if p.started && !p.playing {
		n.tally.stall(w.now - p.stalledAt)
	}
	if !p.started && w.now-p.came > startPatience {
		w.m.notStarted++
	}
	last := p.last
	if w.sc.Live {
		w.liveEdge(w.now)
		last = w.newest
	} else if goal := int64((w.now - p.came + bufferGoal) / w.dur); goal < last {
		last = goal
	}
	w.m.watched(p.rend, p.from, last)
	w.m.gone(n, n.client.Report())
}

// startPatience is how long a viewer may take to start before it counts as one
// that did not.
const startPatience = 10 * time.Second

// exodus has every second viewer vanish: even the edge is not told.
func (w *world) exodus() {
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
