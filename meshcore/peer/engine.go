package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Engine is one viewer's engine. It is not safe for concurrent use.
type Engine struct {
	cfg Config
	out []Effect

	player
	segments
	neighbors
	origin
	uplink
	haves

	startedAt  time.Duration
	planAt     time.Duration // when to plan next
	announceAt time.Duration
	announced  time.Duration
	reportAt   time.Duration
	report     signal.Report

	order []*segment // scratch of plan
	ready uint64     // the same: slots of neighbors that may be asked for more
}

const never = time.Duration(1<<63 - 1)

func (e *Engine) emit(f Effect) { e.out = append(e.out, f) }

func (e *Engine) send(n *neighbor, m wire.Message) {
	e.out = append(e.out, Effect{Kind: Send, Peer: n.id, Message: m})
}

// dirty has the next plan made soon; inputs until then go into the same one.
func (e *Engine) dirty(now time.Duration) { e.planAt = min(e.planAt, now+settle) }
