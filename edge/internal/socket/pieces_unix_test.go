//go:build unix

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/iotest"
	"time"
)

// pair returns both ends of a connection over loopback.
func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestPieces: a connection reads as any reader does, in large and small pieces, to its end.
func TestPieces(t *testing.T) {
	a, b := pair(t)
	p := newPieces(b)
	sent := bytes.Repeat([]byte("0123456789"), 10_000)
	go func() {
		_, _ = a.Write(sent)
		a.Close()
	}()
	if err := iotest.TestReader(p, sent); err != nil {
		t.Error(err)
	}
	if p.buffer != nil {
		t.Error("a buffer is held at the end")
	}
}

// TestPiecesDeadline: a deadline and a close end a read that waits.
func TestPiecesDeadline(t *testing.T) {
	_, b := pair(t)
	p := newPieces(b)
	_ = b.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	_ = b.SetReadDeadline(time.Time{})
	done := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 1))
		done <- err
	}()
	b.Close()
	if err := <-done; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after the close: %v", err)
	}
}
