package socket

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeWait = 10 * time.Second // for what is queued
	lingerFor = 2 * time.Second  // for the other side to read the last message and close
	// maxDropped is how much is read, and dropped, after the last message, in bytes.
	maxDropped = 1 << 20
)

// Link is the sending side of a WebSocket: a bounded queue of frames, which a goroutine writes
// while there is something to write, so that an idle connection costs none. Nothing here waits
// for the other side. The library still reads; it must not write.
type Link struct {
	WS *websocket.Conn
	// Work counts the goroutines of the link. Its user keeps it above 0 until the link was
	// aborted.
	Work *sync.WaitGroup
	// MaxFrames and MaxBytes bound what waits for a slow reader.
	MaxFrames, MaxBytes int
	// Sent counts the frames that were written; nil for nothing.
	Sent *atomic.Int64

	mu      sync.Mutex
	queue   []*Frame
	queued  int  // bytes in queue
	writing bool // a writer is at work
	ending  bool // nothing may be queued any more; the reader ends soon
	dead    bool // the socket is closed
}

// Forward queues a frame of another client; false if much is queued already, so that no client
// has another's connection cut.
func (l *Link) Forward(f *Frame) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if 2*len(l.queue) >= l.MaxFrames || 2*(l.queued+len(f.Buffer)) > l.MaxBytes {
		f.free()
		return false
	}
	l.enqueue(f)
	return true
}

// Send queues a frame. A connection whose other side does not read is cut; ok is then false.
func (l *Link) Send(f *Frame) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= l.MaxFrames || l.queued+len(f.Buffer) > l.MaxBytes {
		f.free()
		l.cut()
		return false
	}
	l.enqueue(f)
	return true
}

// Finish queues a last message, nil for none, and the end of the connection.
func (l *Link) Finish(f *Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f != nil {
		l.enqueue(f)
	}
	l.enqueue(Control(closing, "\x03\xe8")) // 1000, normal closure
	l.ending = true
}

// enqueue adds a frame, and starts a writer unless one is at work. l.mu is held.
func (l *Link) enqueue(f *Frame) {
	if l.ending || l.dead {
		f.free()
		return
	}
	l.queue = append(l.queue, f)
	l.queued += len(f.Buffer)
	if !l.writing {
		l.writing = true
		l.Work.Add(1) // the connection is still counted, so this is no race with Wait
		go l.write()
	}
}

// write writes what is queued, all of it at once. It lets others run first, who may have more
// for the same client.
func (l *Link) write() {
	defer l.Work.Done()
	runtime.Gosched()
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue, l.queued = nil, 0
		if l.dead || len(batch) == 0 {
			l.writing = false
			ending := l.ending && !l.dead
			l.mu.Unlock()
			if ending {
				_ = l.WS.SetReadDeadline(time.Now().Add(lingerFor))
			}
			return
		}
		l.mu.Unlock()
		if err := l.writeAll(batch); err != nil {
			l.Abort()
		}
		if l.Sent != nil {
			l.Sent.Add(int64(len(batch)))
		}
		for _, f := range batch {
			f.free()
		}
	}
}

func (l *Link) writeAll(batch []*Frame) error {
	to := l.WS.NetConn()
	if s, ok := to.(*Conn); ok {
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
	all := NewFrame() // one record of TLS rather than many
	defer all.free()
	for _, f := range batch {
		all.Buffer = append(all.Buffer, f.bytes()...)
	}
	_, err := to.Write(all.Buffer[headroom:])
	return err
}

// Linger reads and drops what the other side still sends after the last message to it, because
// closing a socket with unread bytes would take the message from it.
func (l *Link) Linger() {
	l.mu.Lock()
	ending := l.ending && !l.dead
	l.mu.Unlock()
	if ending {
		_ = l.WS.SetReadDeadline(time.Now().Add(lingerFor))
		_, _ = io.Copy(io.Discard, io.LimitReader(l.WS.NetConn(), maxDropped))
	}
}

// Dead reports whether the socket is closed.
func (l *Link) Dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// Abort closes the socket.
func (l *Link) Abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

// cut closes the socket; l.mu is held. It does not wait: closing a TLS connection may take
// seconds when its client does not read.
func (l *Link) cut() {
	if l.dead {
		return
	}
	l.dead, l.ending = true, true
	for _, f := range l.queue {
		f.free()
	}
	l.queue, l.queued = nil, 0
	l.Work.Add(1) // the connection is still counted
	go func() {
		defer l.Work.Done()
		_ = l.WS.NetConn().Close()
	}()
}
