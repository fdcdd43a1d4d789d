package torrent

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/internal/socket"
	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
)

// The timing and the bounds of a connection.
const (
	pingAfter = 30 * time.Second // without a message or pong
	silentFor = 60 * time.Second // without either the connection is dead
	idleFor   = time.Minute      // without a peer in any swarm it is of no use
	// maxSkipped is the largest message that is read to its end, and refused.
	maxSkipped = 1 << 20
	// maxQueued and maxQueuedBytes bound what waits for a slow reader; beyond, the
	// connection is cut.
	maxQueued      = 256
	maxQueuedBytes = 512 << 10
)

// conn is one WebSocket. One goroutine reads, and the link writes.
type conn struct {
	socket.Link
	hub   *Hub
	place *place
	guest *admission.Guest
	peer  *webtorrent.Conn // under the place's lock

	policy  atomic.Pointer[admission.Policy]
	heardAt atomic.Int64 // when a message or pong came, in the hub's time
	idleAt  atomic.Int64 // since when it has had no peer in any swarm; 0 if it has
	asked   atomic.Bool  // a ping was sent, and nothing came since
}

// work is what one message needs while it is looked at.
type work struct {
	message webtorrent.Message
	effects []webtorrent.Effect
}

var works = sync.Pool{New: func() any { return new(work) }}

// run reads until the connection ends.
func (c *conn) run() {
	defer c.hub.leave(c)
	defer c.Abort()
	c.WS.SetReadLimit(maxSkipped)
	c.WS.SetPongHandler(func(string) error { c.heard(); return nil })
	c.WS.SetPingHandler(func(payload string) error { c.heard(); c.Send(socket.Control(socket.Pong, payload)); return nil })
	c.WS.SetCloseHandler(func(int, string) error { c.Finish(nil); return nil })
	for c.receive() {
	}
	c.Linger()
}

// receive takes one message; it returns false when the connection ends.
func (c *conn) receive() bool {
	kind, r, err := c.WS.NextReader()
	if err != nil {
		return false
	}
	read, err := socket.Read(r, webtorrent.MaxMessage)
	if err != nil {
		return false
	}
	defer read.Free()
	c.heard()
	w := works.Get().(*work)
	defer works.Put(w)
	wrong := ""
	if kind != websocket.TextMessage {
		w.message = webtorrent.Message{}
		wrong = "the message is a binary frame: send text"
	} else if err := webtorrent.Decode(read.Data, &w.message); err != nil {
		wrong = err.Error()
	}
	return c.handle(w, wrong)
}

// handle looks at a message, and sends what becomes of it.
func (c *conn) handle(w *work, wrong string) (ok bool) {
	m := &w.message
	if wrong == "" && m.Action == webtorrent.Announce {
		if err := c.hub.mayJoin(c, m.Hash.ID); err != nil {
			wrong = err.Error()
		}
	}
	w.effects = c.place.receive(c, m, wrong, w.effects[:0])
	ok = true
	for i := range w.effects {
		e := &w.effects[i]
		to := e.To.Owner.(*conn)
		f := socket.NewFrame()
		switch e.Kind {
		case webtorrent.Reply:
			f.Buffer = webtorrent.AppendReply(f.Buffer, m, c.place.interval, e.Complete, e.Incomplete)
		case webtorrent.Offered:
			f.Buffer = webtorrent.AppendOffer(f.Buffer, m, e.Offer)
		case webtorrent.Answered:
			f.Buffer = webtorrent.AppendAnswer(f.Buffer, m)
		case webtorrent.Scraped:
			f.Buffer = webtorrent.AppendScrape(f.Buffer, c.place.interval, e.Files)
		default:
			f.Buffer = webtorrent.AppendFailure(f.Buffer, m, e.Why)
		}
		f.Seal(socket.Text)
		switch {
		case e.Kind == webtorrent.Cut:
			to.Finish(f)
			ok = false
		case to == c:
			to.Send(f)
		default:
			if !to.Forward(f) {
				c.hub.dropped.Add(1)
			}
		}
		*e = webtorrent.Effect{}
	}
	return ok
}

func (c *conn) heard() {
	c.heardAt.Store(int64(c.hub.since()))
	c.asked.Store(false)
}

// check ends the connection if it is dead, of no use at time now, or in another place since a reload, and asks whether it is
// there if it has been silent.
func (c *conn) check(now time.Duration) {
	silent := now - time.Duration(c.heardAt.Load())
	idle := c.idleAt.Load()
	p, there := c.hub.Control.GuestPolicy(c.guest)
	c.policy.Store(p)
	switch {
	case silent >= silentFor:
		c.Abort()
	case !there, c.guest.Place(p) != c.place.name, idle != 0 && now-time.Duration(idle) >= idleFor:
		c.Finish(nil)
	case silent >= pingAfter && !c.asked.Swap(true):
		c.Send(socket.Control(socket.Ping, ""))
	}
}
