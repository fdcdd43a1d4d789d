package turnserver

import (
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reader reads sockets in one goroutine: the many of allocations, or one of clients. Go's
// own poller would wake a thread for every datagram, also while others are waited for. So
// the sockets are not in it; what is in it is gate, an epoll instance that the sockets
// stand behind and that can be shut.
type reader struct {
	gate, timer *os.File
	gateRaw     syscall.RawConn
	timerRaw    syscall.RawConn
	armed       bool // the timer is set
	arm         func(timer uintptr) bool
	behind      int // what stands behind the gate: an epoll instance of sockets, or the one socket
	gatherer    gatherer
	start       time.Time

	mu      sync.Mutex
	sockets map[int32]*systemSocket // by descriptor
}

// newReader makes a reader of many sockets, or of the one with the descriptor only.
func newReader(only int) (r *reader, err error) {
	r = &reader{behind: only, start: time.Now()}
	r.arm = r.setTimer
	defer func() {
		if err != nil {
			r.free()
		}
	}()
	if only < 0 {
		r.sockets = map[int32]*systemSocket{}
		if r.behind, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return nil, os.NewSyscallError("epoll_create1", err)
		}
	}
	gate, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err = unix.SetNonblock(gate, true); err != nil { // which Go's poller wants
		_ = unix.Close(gate)
		return nil, os.NewSyscallError("fcntl", err)
	}
	r.gate = os.NewFile(uintptr(gate), "gate")
	if r.gateRaw, err = r.gate.SyscallConn(); err != nil {
		return nil, err
	}
	if err = unix.EpollCtl(gate, unix.EPOLL_CTL_ADD, r.behind, &unix.EpollEvent{Events: gateOpen}); err != nil {
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	r.timer = os.NewFile(uintptr(timer), "timer")
	r.timerRaw, err = r.timer.SyscallConn()
	return r, err
}

// What the gate lets through. It is edge-triggered, as the sockets behind it are.
const (
	gateOpen = unix.EPOLLIN | unix.EPOLLET
	gateShut = 0
)

// set opens or shuts the gate.
func (r *reader) set(gate uintptr, events uint32) {
	ev := unix.EpollEvent{Events: events}
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_CTL, gate, unix.EPOLL_CTL_MOD, uintptr(r.behind), uintptr(unsafe.Pointer(&ev)), 0, 0)
}

// Close ends run.
func (r *reader) Close() error { return r.gate.Close() }

// free closes what close has not.
func (r *reader) free() {
	if r.gate != nil {
		_ = r.gate.Close()
	}
	if r.timer != nil {
		_ = r.timer.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sockets != nil && r.behind >= 0 {
		_ = unix.Close(r.behind)
		r.behind = -1
	}
}

// run calls pass when there is something to read, until that returns false, or the reader
// is closed. pass reads all there is and returns how many datagrams that were.
func (r *reader) run(pass func() (n int, ok bool)) (stopped bool) {
	_ = r.gateRaw.Read(func(gate uintptr) bool {
		waited := r.gatherer.on
		if waited {
			r.set(gate, gateShut)
			r.wait()
			// Before the sockets are read: opening tells of what has come meanwhile only
			// where the gate has let nothing through since it was last looked at.
			r.set(gate, gateOpen)
		}
		n, ok := pass()
		if n == 0 { // what the gate let through is read already
			waited = false
		}
		r.gatherer.took(n, waited, time.Since(r.start))
		stopped = !ok
		return stopped
	})
	return stopped
}

// wait waits for gatherTime. Go's timers are in whole milliseconds where nothing else
// happens.
func (r *reader) wait() {
	r.armed = false
	_ = r.timerRaw.Read(r.arm)
}

func (r *reader) setTimer(timer uintptr) (done bool) {
	if r.armed {
		return true
	}
	r.armed = true
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(gatherTime))}
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, timer, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	return errno != 0
}

// watch has the reader read s, too, and call f with every batch. Where the socket fails,
// failed is called.
func (r *reader) watch(s *systemSocket, f func(*batch) bool, failed func()) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.closed {
		return
	}
	s.by, s.work, s.failed = r, f, failed
	_ = s.raw.Control(func(fd uintptr) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sockets[int32(fd)] = s
		if r.behind < 0 {
			return // the server is closed
		}
		_ = unix.EpollCtl(r.behind, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)})
	})
}

// forget ends the reading of s, which is closed then.
func (r *reader) forget(s *systemSocket) {
	if r.sockets == nil {
		_ = r.gate.Close()
		return
	}
	_ = s.raw.Control(func(fd uintptr) {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.sockets, int32(fd))
	})
}

// readAll reads the sockets that have something.
func (r *reader) readAll() {
	var events [64]unix.EpollEvent
	_ = r.run(func() (all int, ok bool) {
		b := batches.Get().(*batch)
		defer batches.Put(b)
		for more := true; more; {
			n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.behind), uintptr(unsafe.Pointer(&events)), uintptr(len(events)), 0, 0, 0)
			if errno != 0 {
				n = 0
			}
			more = int(n) == len(events)
			var ready [len(events)]*systemSocket
			r.mu.Lock()
			for i := range int(n) {
				ready[i] = r.sockets[events[i].Fd]
			}
			r.mu.Unlock()
			for again := true; again; {
				again = false
				for i, s := range ready[:n] {
					if s == nil {
						continue
					}
					// Each in turn, a batch at a time.
					got, full, err := s.readBatch(b)
					all += got
					if err != nil {
						s.failed()
					}
					if !full {
						ready[i] = nil
					}
					again = again || full
				}
			}
		}
		return all, true
	})
}

// readBatch receives a batch, once, and works on it.
func (s *systemSocket) readBatch(b *batch) (n int, full bool, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.closed {
		return 0, false, nil
	}
	full, err = s.recv(b)
	if err == nil && len(b.packets) > 0 {
		s.work(b)
	}
	return len(b.packets), full, err
}

// recv receives a batch without waiting, and reports whether there may be more.
func (s *systemSocket) recv(b *batch) (full bool, err error) {
	for {
		full, errno := b.recv(uintptr(s.fd))
		switch errno {
		case 0:
			s.failures = 0
			return full, nil
		case unix.EAGAIN:
			b.packets = b.room[:0]
			return false, nil
		case unix.EINTR:
			continue
		}
		if s.failures++; s.failures == maxFailures {
			b.packets = b.room[:0]
			return false, errno
		}
		// what a socket reports of earlier sends
	}
}

// receive reads the socket in the goroutine that calls it, with a reader of its own.
func (s *systemSocket) receive(b *batch, f func(*batch) bool) (err error) {
	if b == nil {
		b = newBatch(relayBatch)
	}
	stopped := false
	// Control keeps the descriptor from becoming that of another file.
	cerr := s.raw.Control(func(uintptr) {
		var r *reader
		if r, err = newReader(s.fd); err != nil {
			return
		}
		defer r.free()
		if s.readBy(r) {
			stopped = r.run(func() (n int, ok bool) {
				for full := true; full; {
					if full, err = s.recv(b); err != nil {
						return n, false
					}
					n += len(b.packets)
					if len(b.packets) > 0 && !f(b) {
						return n, false
					}
				}
				return n, true
			})
		}
	})
	if cerr == nil && err == nil && stopped {
		return nil
	}
	return net.ErrClosed
}

// readBy makes r the reader of the socket, unless that is closed.
func (s *systemSocket) readBy(r *reader) bool {
	s.reading.Lock()
	defer s.reading.Unlock()
	if !s.closed {
		s.by = r
	}
	return !s.closed
}

// readers read the sockets of a server's allocations.
type readers struct {
	all  []*reader
	next atomic.Uint32
}

// open starts a reader for each core.
func (rs *readers) open(s *core) error {
	for range runtime.GOMAXPROCS(0) {
		r, err := newReader(-1)
		if err != nil {
			for _, r := range rs.all {
				_ = r.Close()
			}
			return err
		}
		if err := s.adopt(r); err != nil {
			r.free()
			return err
		}
		rs.all = append(rs.all, r)
		go func() {
			defer s.wg.Done()
			defer r.free()
			r.readAll()
		}()
	}
	return nil
}

// watches reports whether the readers can read sock.
func (rs *readers) watches(sock packetSocket) bool {
	_, ok := sock.(*systemSocket)
	return ok
}

// watch has one of the readers call f with every batch that comes to sock, and failed where
// the socket fails.
func (rs *readers) watch(sock packetSocket, f func(*batch) bool, failed func()) {
	rs.all[rs.next.Add(1)%uint32(len(rs.all))].watch(sock.(*systemSocket), f, failed)
}
