package signaling

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// The timing and the bounds of a connection.
const (
	helloWait = 10 * time.Second // for the first message
	pingAfter = 10 * time.Second // without a message or pong
	silentFor = 16 * time.Second // without either the connection is dead
	writeWait = 10 * time.Second // for one frame
	lingerFor = 2 * time.Second  // for the other side to read the last message and close
	// maxQueued and maxQueuedBytes bound what waits for a slow reader; beyond, the
	// connection is cut. An introduction to 30 peers is some 300 messages.
	maxQueued      = 2048
	maxQueuedBytes = 2 << 20
)

// conn is one WebSocket. It belongs to the hub, not to the request or the policy
// it came with. One goroutine reads; another one writes while there is something
// to write, so that an idle connection costs one.
type conn struct {
	ws   *websocket.Conn
	log  *zap.Logger
	work *sync.WaitGroup // of the hub: all goroutines
	// mayPing is called before each ping; false ends the pings.
	mayPing func() bool
	// turned is called when silent has changed.
	turned func()

	mu      sync.Mutex
	heardAt time.Time
	asked   bool // a ping was sent, and nothing came since
	greeted bool // the first message was a good hello
	queue   [][]byte
	queued  int  // bytes in queue
	writing bool // a writer is at work
	ending  bool // nothing may be queued any more; the writer closes at the end
	dead    bool // the socket is closed
	ping    *time.Timer
}

// open starts the pings and bounds the time until the first message.
func (c *conn) open() {
	c.mu.Lock()
	c.heardAt = time.Now()
	c.ping = time.AfterFunc(pingAfter, c.sendPing)
	c.mu.Unlock()
	_ = c.ws.SetReadDeadline(time.Now().Add(helloWait))
	c.ws.SetPongHandler(func(string) error { return c.alive() })
}

// alive notes that something came, and puts the read deadline off.
func (c *conn) alive() error {
	now := time.Now()
	c.mu.Lock()
	c.heardAt = now
	asked, greeted := c.asked, c.greeted
	c.asked = false
	c.mu.Unlock()
	if asked {
		c.turned()
	}
	if !greeted { // whatever control frames come, the hello is due
		return nil
	}
	return c.ws.SetReadDeadline(now.Add(silentFor))
}

// greet notes that the hello was good, from which on silence counts.
func (c *conn) greet() {
	c.mu.Lock()
	c.greeted = true
	c.mu.Unlock()
	_ = c.alive()
}

// silent reports whether the peer was asked if it is there, and has not answered yet.
func (c *conn) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// read returns the next message. ok is false when the connection ends; a peer that
// broke the rules is sent an error.
func (c *conn) read() (m signal.Message, ok bool) {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return m, false
	}
	frame, err := io.ReadAll(io.LimitReader(r, signal.MaxMessage+1))
	if err != nil {
		return m, false
	}
	if kind != websocket.TextMessage {
		err = errors.Join(signal.ErrJSON, errors.New("binary frame: send text"))
	} else {
		m, err = signal.Decode(frame)
	}
	if err != nil {
		c.log.Debug("signaling message refused", zap.String("code", signal.Code(err)))
		c.fail(signal.Code(err), err.Error())
		return m, false
	}
	return m, c.alive() == nil
}

// fail sends an error and ends the connection.
func (c *conn) fail(code, detail string) {
	if len(detail) > 512 {
		detail = detail[:512]
	}
	c.finish(&signal.Message{Type: signal.ErrorMsg, Code: code, Detail: detail})
}

// linger reads and drops what the peer still sends after the last message to it,
// because closing a socket with unread bytes would take the message from it.
func (c *conn) linger() {
	c.mu.Lock()
	ending := c.ending && !c.dead
	c.mu.Unlock()
	if !ending {
		return
	}
	_ = c.ws.SetReadDeadline(time.Now().Add(lingerFor))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.ws.NetConn(), 1<<20))
}

// forward queues a frame of another peer, unless much is queued already: no peer has
// another's connection cut.
func (c *conn) forward(frame []byte) {
	c.mu.Lock()
	full := 2*len(c.queue) >= maxQueued || 2*(c.queued+len(frame)) > maxQueuedBytes
	c.mu.Unlock()
	if !full {
		c.send(frame)
	}
}

// send queues a frame. It never waits.
func (c *conn) send(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending || c.dead {
		return
	}
	if len(c.queue) >= maxQueued || c.queued+len(frame) > maxQueuedBytes {
		c.cut()
		c.log.Debug("signaling connection cut: its peer does not read")
		return
	}
	c.enqueue(frame)
}

// finish queues a last message, if any, after which the socket is closed. It
// never waits.
func (c *conn) finish(m *signal.Message) {
	var frame []byte
	if m != nil {
		frame = signal.Encode(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending || c.dead {
		return
	}
	c.ending = true
	c.enqueue(frame)
}

// enqueue adds a frame, nil for none, and starts a writer unless one is at work.
// c.mu is held.
func (c *conn) enqueue(frame []byte) {
	if frame != nil {
		c.queue = append(c.queue, frame)
		c.queued += len(frame)
	}
	if !c.writing {
		c.writing = true
		c.work.Add(1) // the reader is still counted, so this is no race with Wait
		go c.write()
	}
}

// write writes what is queued.
func (c *conn) write() {
	defer c.work.Done()
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue, c.queued = nil, 0
		if c.dead || len(batch) == 0 {
			c.writing = false
			end := c.ending && !c.dead
			c.mu.Unlock()
			if end {
				c.sayGoodbye()
			}
			return
		}
		c.mu.Unlock()
		for _, frame := range batch {
			_ = c.ws.SetWriteDeadline(time.Now().Add(writeWait))
			if err := c.ws.WriteMessage(websocket.TextMessage, frame); err != nil {
				c.abort()
				break
			}
		}
	}
}

// sayGoodbye sends the close frame and gives the peer a moment to close; the
// reader then ends.
func (c *conn) sayGoodbye() {
	now := time.Now()
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), now.Add(writeWait))
	_ = c.ws.SetReadDeadline(now.Add(lingerFor))
}

// sendPing asks a peer that is silent whether it is there, which keeps the connection
// open through proxies, too.
func (c *conn) sendPing() {
	if !c.mayPing() {
		return
	}
	c.mu.Lock()
	left := pingAfter - time.Since(c.heardAt)
	c.asked = left <= 0
	c.mu.Unlock()
	if left <= 0 {
		left = pingAfter
		c.turned()
		if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)); err != nil {
			c.abort()
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.ping.Reset(left)
	}
}

// abort closes the socket.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
}

// cut closes the socket; c.mu is held, and often a swarm's lock. It does not wait:
// closing a TLS connection may take seconds when its peer does not read.
func (c *conn) cut() {
	if c.dead {
		return
	}
	c.dead, c.ending = true, true
	c.queue, c.queued = nil, 0
	if c.ping != nil {
		c.ping.Stop()
	}
	c.work.Add(1) // the reader, or the caller, is still counted
	go func() {
		defer c.work.Done()
		_ = c.ws.NetConn().Close()
	}()
}
