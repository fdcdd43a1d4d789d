package lab

import (
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Link is what a site's way to the core is like, in both directions each. The zero value
// is a cable.
type Link struct {
	Rate  int64         // bit/s; 0 is no bound
	Delay time.Duration // of each packet
	Loss  float64       // share of the packets, 0 to 1
}

// queue is how much a link with a rate holds before it drops: a quarter of a second.
const queue = time.Second / 4

// link joins two namespaces by a wire: a tunnel device in each, between which this process
// carries the packets. It does what tc's netem would, where there is one.
func (l *spaces) link(from, there, to, here string, like Link) {
	l.t.Helper()
	a, b := l.tun(from, there), l.tun(to, here)
	var work sync.WaitGroup
	work.Go(func() { carry(a, b, like, &work) })
	work.Go(func() { carry(b, a, like, &work) })
	l.t.Cleanup(func() {
		a.Close()
		b.Close()
		work.Wait()
	})
	l.up(from, there)
	l.up(to, here)
}

// carry moves packets until the devices are closed.
func carry(from, to *os.File, like Link, work *sync.WaitGroup) {
	var free time.Time // when the last packet has left
	type packet struct {
		at   time.Time
		data []byte
	}
	wire := make(chan packet, 4096)
	defer close(wire)
	work.Go(func() {
		for p := range wire {
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
		if like.Loss > 0 && rand.Float64() < like.Loss {
			continue
		}
		now := time.Now()
		if like.Rate > 0 {
			if free.Sub(now) > queue {
				continue
			}
			free = later(free, now).Add(time.Duration(n) * 8 * time.Second / time.Duration(like.Rate))
		}
		select {
		case wire <- packet{later(free, now).Add(like.Delay), append([]byte(nil), buf[:n]...)}:
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
