package lab

import (
	"cmp"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Link is what a site's way to the core is like, in both directions each but for Up. The
// zero value is a cable.
type Link struct {
	Rate  int64         // bit/s; 0 is no bound
	Up    int64         // bit/s from the site; 0 is as Rate
	Delay time.Duration // of each packet
	Loss  float64       // share of the packets, 0 to 1
}

// queue is how much a link with a rate holds before it drops: a quarter of a second.
const queue = time.Second / 4

// link joins two namespaces by a wire: a tunnel device in each, between which this process
// carries the packets. It does what tc's netem would, where there is one.
func (l *spaces) link(from, there, to, here string, like Link) *wire {
	l.t.Helper()
	a, b := l.tun(from, there), l.tun(to, here)
	w := &wire{like: like}
	w.share(1)
	var work sync.WaitGroup
	work.Go(func() { w.carry(a, b, &w.down, &work) })
	work.Go(func() { w.carry(b, a, &w.up, &work) })
	l.t.Cleanup(func() {
		a.Close()
		b.Close()
		work.Wait()
	})
	l.up(from, there)
	l.up(to, here)
	return w
}

// wire is a link at work.
type wire struct {
	like     Link
	down, up atomic.Int64 // bit/s to the site and from it; 0 is no bound
}

// share has the wire carry so much of its rates from now on.
func (w *wire) share(s float64) {
	w.down.Store(int64(s * float64(w.like.Rate)))
	w.up.Store(int64(s * float64(cmp.Or(w.like.Up, w.like.Rate))))
}

// carry moves packets until the devices are closed.
func (w *wire) carry(from, to *os.File, rate *atomic.Int64, work *sync.WaitGroup) {
	var free time.Time // when the last packet has left
	type packet struct {
		at   time.Time
		data []byte
	}
	line := make(chan packet, 4096)
	defer close(line)
	work.Go(func() {
		for p := range line {
			time.Sleep(time.Until(p.at))
			_, _ = to.Write(p.data)
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if w.like.Loss > 0 && rand.Float64() < w.like.Loss {
			continue
		}
		now := time.Now()
		if r := rate.Load(); r > 0 {
			if free.Sub(now) > queue {
				continue
			}
			free = later(free, now).Add(time.Duration(n) * 8 * time.Second / time.Duration(r))
		}
		select {
		case line <- packet{later(free, now).Add(w.like.Delay), append([]byte(nil), buf[:n]...)}:
		default:
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tun opens a tunnel device in a namespace.
func (l *spaces) tun(ns, dev string) *os.File {
	l.t.Helper()
	var f *os.File
	err := within(ns, func() (err error) {
		f, err = openTun(dev)
		return err
	})
	if err != nil {
		l.t.Fatalf("make the device %s in %s: %v", dev, ns, err)
	}
	return f
}

func openTun(dev string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(dev)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), dev), nil
}
