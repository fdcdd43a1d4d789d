// Package socket takes the connections of WebSockets over from the HTTP server.
package socket

import (
	"bufio"
	"bytes"
	"maps"
	"net"
	"net/http"
	"time"
)

// Hijacker has the answer of the WebSocket library pass the response writers of
// middleware, so that access logs say 101, and then hijacks past them. A recorder of
// access logs among them would wrap the connection, and with that keep the request, its
// buffers and its configuration for as long as the WebSocket lives.
type Hijacker struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (h Hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := &Conn{w: h.ResponseWriter}
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, 16), bufio.NewWriterSize(c, 16)), nil
}

// Conn is the connection of a WebSocket. Its first write is the library's answer. It is read
// in large pieces, and holds memory for them only while there is something to read.
type Conn struct {
	net.Conn // nil before the answer
	w        http.ResponseWriter
	early    []byte // what the peer sent as soon as it had the answer
	pieces   *pieces
}

func (c *Conn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	if c.pieces != nil {
		return c.pieces.Read(p)
	}
	return c.Conn.Read(p)
}

func (c *Conn) Write(p []byte) (int, error) {
	if c.Conn == nil {
		return c.answer(p)
	}
	return c.Conn.Write(p)
}

// SetDeadline does nothing before the answer: the server's deadlines hold.
func (c *Conn) SetDeadline(t time.Time) error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline does nothing before the answer.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// Close closes the connection, if it has been hijacked.
func (c *Conn) Close() error {
	if c.Conn == nil {
		return nil
	}
	return c.Conn.Close()
}

// answer sends an answer by way of all response writers, and hijacks the connection
// below them.
func (c *Conn) answer(p []byte) (int, error) {
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
	if tcp, ok := conn.(*net.TCPConn); ok {
		c.pieces = newPieces(tcp)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return 0, err
	}
	return len(p), nil
}
