package signaling

import (
	"bufio"
	"bytes"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge/admission"
)

// upgrader makes WebSockets with small buffers of their own, so that the
// server's larger ones are freed when the handler returns. Write buffers are
// shared. Compression costs several times what it saves here. The caller has
// checked the Origin.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

// hijacker has the answer of the WebSocket library pass the response writers of
// middleware, so that access logs say 101, and then hijacks past them. A recorder of
// access logs among them would wrap the connection, and with that keep the request, its
// buffers and its configuration for as long as the WebSocket lives.
type hijacker struct{ http.ResponseWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := &upgraded{w: h.ResponseWriter}
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, 16), bufio.NewWriterSize(c, 16)), nil
}

// upgraded is the connection of a WebSocket. Its first write is the library's answer.
type upgraded struct {
	net.Conn // nil before the answer
	w        http.ResponseWriter
	early    []byte // what the peer sent as soon as it had the answer
}

func (c *upgraded) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *upgraded) Write(p []byte) (int, error) {
	if c.Conn == nil {
		return c.answer(p)
	}
	return c.Conn.Write(p)
}

// SetDeadline does nothing before the answer: the server's deadlines hold.
func (c *upgraded) SetDeadline(t time.Time) error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline does nothing before the answer.
func (c *upgraded) SetWriteDeadline(t time.Time) error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// Close closes the connection, if it has been hijacked.
func (c *upgraded) Close() error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.Close()
}

// answer sends an answer by way of all response writers, and hijacks the connection
// below them.
func (c *upgraded) answer(p []byte) (int, error) {
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(p)), nil)
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	w := c.w
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return 0, err
	}
	c.Conn, c.w = conn, nil
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		return 0, err
	}
	c.early = bytes.Clone(early)
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// IsUpgrade reports whether a request asks for a WebSocket.
func IsUpgrade(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// Accept turns a request into a signaling connection, which outlives the request
// and its handler. It answers the request in any case.
func (h *Hub) Accept(w http.ResponseWriter, r *http.Request, on admission.Connection) {
	ws, err := upgrader.Upgrade(hijacker{w}, r, nil)
	if err != nil {
		return // the library has answered
	}
	s := &session{hub: h, on: on, conn: &conn{ws: ws, log: h.Log, work: &h.work}}
	s.mayPing, s.turned = func() bool { return !s.expired() }, s.silenceTurned
	if err := h.enter(s); err != nil {
		_ = ws.NetConn().Close()
		return
	}
	go s.run()
}
