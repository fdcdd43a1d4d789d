package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// renew shows a new pass to all neighbors.
func (e *Engine) renew(pass string) {
	e.cfg.Pass = pass
	for _, n := range e.slots {
		if n != nil && n.open {
			e.sayHello(n)
		}
	}
}

// onHello has the pass of a neighbor checked. A later hello shows a renewed one;
// more of them than an edge gives out are not looked at.
func (e *Engine) onHello(now time.Duration, n *neighbor, m *wire.Message) {
	switch {
	case m.Version != wire.Version || m.Peer != n.id:
		e.fault(now, n)
		return
	case n.greeted && now-n.passSeen < passFloor:
		return
	case !n.greeted:
		n.greeted, n.noUpload, n.number = true, m.Flags&wire.FlagNoUpload != 0, m.Rendition
	}
	n.passSeen = now
	e.emit(Effect{Kind: CheckPass, Peer: n.id, Message: *m})
}

// onPass lets chunks travel, or go on doing so. A renewed pass that is not good
// changes nothing: what the neighbor showed before is good as long as it says.
func (e *Engine) onPass(now time.Duration, in *Input) {
	n := e.neighbor(in.Peer)
	if n == nil || !n.greeted {
		return
	}
	if !in.OK || in.Within < 0 {
		if !n.up {
			e.backoffs.add(now, n.id, true)
			e.drop(now, n, wire.ByePass)
		}
		return
	}
	n.passBy = never
	if in.Within > 0 {
		n.passBy = now + in.Within
		e.passAt = min(e.passAt, n.passBy)
	}
	if n.mute = in.ReceiveOnly; n.mute && !n.noUpload {
		n.noUpload = true
		e.noteGiving(n)
		e.forgetHaves(now, n)
	}
	if n.up {
		return
	}
	n.up = true
	e.noteGiving(n)
	if e.ups++; e.ups == 1 {
		e.upAt = now
	}
	if e.upload {
		e.sendAllHaves(n)
	}
	e.dirty(now)
}

// dropExpired ends the connections to neighbors whose pass has run out. They may
// come back with another.
func (e *Engine) dropExpired(now time.Duration) {
	e.passAt = never
	for _, n := range e.slots {
		switch {
		case n == nil || !n.up:
		case now >= n.passBy:
			e.drop(now, n, wire.ByePass)
		default:
			e.passAt = min(e.passAt, n.passBy)
		}
	}
}
