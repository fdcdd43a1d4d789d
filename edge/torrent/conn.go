package torrent

import (
	"io"
	"net"
	"runtime"
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
	writeWait = 10 * time.Second // for what is queued
	lingerFor = 2 * time.Second  // for the other side to read the last message and close
	// maxSkipped is the largest message that is read to its end, and refused.
	maxSkipped = 1 << 20
	// maxQueued and maxQueuedBytes bound what waits for a slow reader; beyond, the
	// connection is cut.
	maxQueued      = 256
	maxQueuedBytes = 512 << 10
)

// conn is one WebSocket. One goroutine reads; another one writes while there is something to
// write, so that an idle connection costs one.
type conn struct {
	hub   *Hub
	place *place
	guest *admission.Guest
	ws    *websocket.Conn
	peer  *webtorrent.Conn // under the place's lock

	policy  atomic.Pointer[admission.Policy]
	heardAt atomic.Int64 // when a message or pong came, in the hub's time
	idleAt  atomic.Int64 // since when it has had no peer in any swarm; 0 if it has
	asked   atomic.Bool  // a ping was sent, and nothing came since

	mu      sync.Mutex
	queue   []*frame
	queued  int  // bytes in queue
	writing bool // a writer is at work
	ending  bool // nothing may be queued any more; the writer closes at the end
	dead    bool // the socket is closed
}

// work is what one message needs while it is looked at.
type work struct {
	frame   []byte
	message webtorrent.Message
	effects []webtorrent.Effect
}

var works = sync.Pool{New: func() any { return new(work) }}

// run reads until the connection ends.
func (c *conn) run() {
	defer c.hub.leave(c)
	defer c.abort()
	c.ws.SetReadLimit(maxSkipped)
	c.ws.SetPongHandler(func(string) error { c.heard(); return nil })
	c.ws.SetPingHandler(func(payload string) error { c.heard(); c.send(control(pongFrame, payload)); return nil })
	c.ws.SetCloseHandler(func(int, string) error { c.finish(nil); return nil })
	for c.receive() {
	}
	c.linger()
}

// receive takes one message; it returns false when the connection ends.
func (c *conn) receive() bool {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return false
	}
	w := works.Get().(*work)
	if err := w.read(r); err != nil {
		return false
	}
	c.heard()
	wrong := ""
	if kind != websocket.TextMessage {
		w.message = webtorrent.Message{}
		wrong = "the message is a binary frame: send text"
	} else if err := webtorrent.Decode(w.frame, &w.message); err != nil {
		wrong = err.Error()
	}
	ok := c.handle(w, wrong)
	if cap(w.frame) <= 2*webtorrent.MaxMessage {
		works.Put(w)
	}
	return ok
}

// read reads a message, or as much of it as shows that it is too large.
func (w *work) read(r io.Reader) error {
	w.frame = w.frame[:0]
	for len(w.frame) <= webtorrent.MaxMessage {
		if len(w.frame) == cap(w.frame) {
			w.frame = append(w.frame, make([]byte, max(2<<10, cap(w.frame)))...)[:len(w.frame)]
		}
		n, err := r.Read(w.frame[len(w.frame):cap(w.frame)])
		w.frame = w.frame[:len(w.frame)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
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
		f := newFrame()
		switch e.Kind {
		case webtorrent.Reply:
			f.buffer = webtorrent.AppendReply(f.buffer, m, c.place.interval, e.Complete, e.Incomplete)
		case webtorrent.Offered:
			f.buffer = webtorrent.AppendOffer(f.buffer, m, e.Offer)
		case webtorrent.Answered:
			f.buffer = webtorrent.AppendAnswer(f.buffer, m)
		case webtorrent.Scraped:
			f.buffer = webtorrent.AppendScrape(f.buffer, c.place.interval, e.Files)
		default:
			f.buffer = webtorrent.AppendFailure(f.buffer, m, e.Why)
		}
		f.seal(textFrame)
		switch {
		case e.Kind == webtorrent.Cut:
			to.finish(f)
			ok = false
		case to == c:
			to.send(f)
		default:
			to.forward(f)
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
		c.abort()
	case !there, c.guest.Place(p) != c.place.name, idle != 0 && now-time.Duration(idle) >= idleFor:
		c.finish(nil)
	case silent >= pingAfter && !c.asked.Swap(true):
		c.send(control(pingFrame, ""))
	}
}

// forward queues a frame of another client, unless much is queued already: no client has
// another's connection cut.
func (c *conn) forward(f *frame) {
	c.mu.Lock()
	full := 2*len(c.queue) >= maxQueued || 2*(c.queued+len(f.buffer)) > maxQueuedBytes
	if !full {
		c.enqueue(f)
	}
	c.mu.Unlock()
	if full {
		c.hub.dropped.Add(1)
		f.free()
	}
}

// send queues a frame. It never waits.
func (c *conn) send(f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= maxQueued || c.queued+len(f.buffer) > maxQueuedBytes {
		c.cut()
		return
	}
	c.enqueue(f)
}

// finish queues a last message, if any, after which the socket is closed. It never waits.
func (c *conn) finish(f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f != nil {
		c.enqueue(f)
	}
	c.enqueue(control(closeFrame, "\x03\xe8")) // 1000, normal closure
	c.ending = true
}

// enqueue adds a frame, and starts a writer unless one is at work. c.mu is held.
func (c *conn) enqueue(f *frame) {
	if c.ending || c.dead {
		f.free()
		return
	}
	c.queue = append(c.queue, f)
	c.queued += len(f.buffer)
	if !c.writing {
		c.writing = true
		c.hub.work.Add(1) // the connection is still counted, so this is no race with Wait
		go c.write()
	}
}

// write writes what is queued, all of it at once. It lets others run first, who may have more
// for the same client.
func (c *conn) write() {
	defer c.hub.work.Done()
	runtime.Gosched()
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue, c.queued = nil, 0
		if c.dead || len(batch) == 0 {
			c.writing = false
			ending := c.ending && !c.dead
			c.mu.Unlock()
			if ending {
				_ = c.ws.SetReadDeadline(time.Now().Add(lingerFor))
			}
			return
		}
		c.mu.Unlock()
		if err := c.writeAll(batch); err != nil {
			c.abort()
		}
		c.hub.sent.Add(int64(len(batch)))
		for _, f := range batch {
			f.free()
		}
	}
}

func (c *conn) writeAll(batch []*frame) error {
	to := c.ws.NetConn()
	if s, ok := to.(*socket.Conn); ok {
		to = s.Conn
	}
	_ = to.SetWriteDeadline(time.Now().Add(writeWait))
	if len(batch) == 1 {
		_, err := to.Write(batch[0].bytes())
		return err
	}
	if _, ok := to.(*net.TCPConn); ok {
		var few [8][]byte
		all := net.Buffers(few[:0])
		for _, f := range batch {
			all = append(all, f.bytes())
		}
		_, err := all.WriteTo(to)
		return err
	}
	all := newFrame() // one record of TLS rather than many
	defer all.free()
	for _, f := range batch {
		all.buffer = append(all.buffer, f.bytes()...)
	}
	_, err := to.Write(all.buffer[headroom:])
	return err
}

// linger reads and drops what the client still sends after the last message to it, because
// closing a socket with unread bytes would take the message from it.
func (c *conn) linger() {
	c.mu.Lock()
	ending := c.ending && !c.dead
	c.mu.Unlock()
	if ending {
		_ = c.ws.SetReadDeadline(time.Now().Add(lingerFor))
		_, _ = io.Copy(io.Discard, io.LimitReader(c.ws.NetConn(), maxSkipped))
	}
}

// abort closes the socket.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
}

// cut closes the socket; c.mu is held. It does not wait: closing a TLS connection may take
// seconds when its client does not read.
func (c *conn) cut() {
	if c.dead {
		return
	}
	c.dead, c.ending = true, true
	for _, f := range c.queue {
		f.free()
	}
	c.queue, c.queued = nil, 0
	c.hub.work.Add(1) // the connection is still counted
	go func() {
		defer c.hub.work.Done()
		_ = c.ws.NetConn().Close()
	}()
}
