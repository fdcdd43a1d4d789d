package signaling

import (
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/internal/socket"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// The timing and the bounds of a connection.
const (
	helloWait = 10 * time.Second // for the first message
	pingAfter = 10 * time.Second // without a message or pong
	silentFor = 16 * time.Second // without either the connection is dead
	// maxQueued and maxQueuedBytes bound what waits for a slow reader; beyond, the
	// connection is cut. An introduction to 30 peers is some 300 messages.
	maxQueued      = 2048
	maxQueuedBytes = 2 << 20
)

// conn is one WebSocket. It belongs to the hub, not to the request or the policy
// it came with. One goroutine reads, and the link writes.
type conn struct {
	socket.Link
	log *zap.Logger
	// mayPing is called before each ping; false ends the pings.
	mayPing func() bool
	// turned is called when silent has changed.
	turned func()
	ping   *time.Timer

	mu      sync.Mutex
	heardAt time.Time
	asked   bool // a ping was sent, and nothing came since
	greeted bool // the first message was a good hello
}

// open starts the pings and bounds the time until the first message.
func (c *conn) open() {
	c.mu.Lock()
	c.heardAt = time.Now()
	c.mu.Unlock()
	c.ping = time.AfterFunc(time.Hour, c.sendPing)
	c.ping.Reset(pingAfter)
	_ = c.WS.SetReadDeadline(time.Now().Add(helloWait))
	c.WS.SetPongHandler(func(string) error { return c.alive() })
	c.WS.SetPingHandler(func(payload string) error { c.Send(socket.Control(socket.Pong, payload)); return c.alive() })
	c.WS.SetCloseHandler(func(int, string) error { c.Finish(nil); return nil })
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
	return c.WS.SetReadDeadline(now.Add(silentFor))
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

// read returns the next message, which its reader frees. ok is false when the connection ends; a
// peer that broke the rules is sent an error.
func (c *conn) read() (m *socket.Message, ok bool) {
	kind, r, err := c.WS.NextReader()
	if err != nil {
		return nil, false
	}
	if m, err = socket.Read(r, signal.MaxMessage); err != nil {
		return nil, false
	}
	if kind != websocket.TextMessage {
		c.refuse(errors.Join(signal.ErrJSON, errors.New("binary frame: send text")))
	} else if c.alive() == nil {
		return m, true
	}
	m.Free()
	return nil, false
}

// decode decodes a message that was read, and frees it.
func (c *conn) decode(read *socket.Message) (m signal.Message, ok bool) {
	defer read.Free()
	m, err := signal.Decode(read.Data)
	if err != nil {
		c.refuse(err)
	}
	return m, err == nil
}

// refuse ends the connection of a peer that has sent something wrong.
func (c *conn) refuse(err error) {
	c.log.Debug("signaling message refused", zap.String("code", signal.Code(err)))
	c.fail(signal.Code(err), err.Error())
}

// fail sends an error and ends the connection.
func (c *conn) fail(code, detail string) {
	if len(detail) > 512 {
		detail = detail[:512]
	}
	c.finish(&signal.Message{Type: signal.ErrorMsg, Code: code, Detail: detail})
}

// send queues a message. It never waits.
func (c *conn) send(m *signal.Message) {
	if !c.Send(frameOf(m)) {
		c.log.Debug("signaling connection cut: its peer does not read")
	}
}

// finish queues a last message, nil for none, after which the socket is closed. It never waits.
func (c *conn) finish(m *signal.Message) {
	if m == nil {
		c.Finish(nil)
		return
	}
	c.Finish(frameOf(m))
}

// frameOf encodes a message.
func frameOf(m *signal.Message) *socket.Frame {
	f := socket.NewFrame()
	f.Buffer = append(f.Buffer, signal.Encode(m)...)
	f.Seal(socket.Text)
	return f
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
		c.Send(socket.Control(socket.Ping, ""))
	}
	if !c.Dead() {
		c.ping.Reset(left)
	}
}
