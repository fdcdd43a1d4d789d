package turnserver

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// A load is a number of datagrams that come every so often, for some time.
type gatherLoad struct {
	datagrams int
	every     time.Duration
	lasts     time.Duration
}

// Datagrams wait for company where enough of it comes, and nowhere else.
func TestGatherer(t *testing.T) {
	for name, tc := range map[string]struct {
		load gatherLoad
		want bool
	}{
		"a call":                       {gatherLoad{1, 20 * time.Millisecond, time.Second}, false},
		"5,000 a second, evenly":       {gatherLoad{1, 200 * time.Microsecond, time.Second}, false},
		"5,000 a second, five by five": {gatherLoad{5, time.Millisecond, time.Second}, true},
		"20,000 a second, evenly":      {gatherLoad{1, 50 * time.Microsecond, time.Second}, true},
		"60,000 a second, evenly":      {gatherLoad{1, time.Second / 60000, time.Second}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var g gatherer
			on, rounds := 0, 0
			now, next := time.Duration(0), time.Duration(0)
			for now < tc.load.lasts {
				now = max(now, next)
				waited := g.on
				if waited {
					now += gatherTime
					on++
				}
				n := 0
				if !waited && tc.load.datagrams > 1 {
					// A burst is no shorter than receiving its first datagram takes.
					for range tc.load.datagrams {
						g.took(1, false, now)
						now += time.Microsecond
					}
					next += tc.load.every
				}
				for ; next <= now; next += tc.load.every {
					n += tc.load.datagrams
				}
				g.took(n, waited && n > 0, now)
				rounds++
			}
			if got := on > rounds/2; got != tc.want {
				t.Errorf("%d of %d times datagrams waited, want most: %v", on, rounds, tc.want)
			}
		})
	}
}

// Whatever comes while datagrams wait for company, and while they are read, is read
// without another that tells of it.
func TestNothingIsForgottenBehindTheGate(t *testing.T) {
	const rounds = 3000
	a, err := listenSystem("udp4", "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for name, many := range map[string]bool{"a reader of one": false, "a reader of many": true} {
		t.Run(name, func(t *testing.T) {
			b, err := listenSystem("udp4", "127.0.0.1:0", false)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			var got atomic.Int64
			came := make(chan struct{}, 1)
			var rd *reader
			work := func(batch *batch) bool {
				got.Add(int64(len(batch.packets)))
				if rd != nil {
					rd.gatherer.on = got.Load()%512 < 256 // both ways, and from one to the other
				}
				select {
				case came <- struct{}{}:
				default:
				}
				return true
			}
			ended := make(chan struct{})
			if many {
				if rd, err = newReader(-1); err != nil {
					t.Fatal(err)
				}
				rd.watch(b.(*systemSocket), work, func() { t.Error("the socket has failed") })
				go func() { defer close(ended); defer rd.free(); rd.readAll() }()
				defer func() { _ = rd.Close(); <-ended }()
			} else {
				go func() { defer close(ended); _ = b.receive(nil, work) }()
				defer func() { _ = b.Close(); <-ended }()
			}
			to := netip.AddrPortFrom(loopback, addrPortOf(b.LocalAddr()).Port())
			timeout := time.NewTimer(20 * time.Second)
			sent := int64(0)
			for i := range rounds {
				for range 1 + i%3 {
					if _, err := a.send(netip.Addr{}, to, [][]byte{{1}}); err != nil {
						t.Fatal(err)
					}
					sent++
				}
				for got.Load() < sent {
					select {
					case <-came:
					case <-timeout.C:
						t.Fatalf("in round %d, %d of %d datagrams have been read", i, got.Load(), sent)
					}
				}
			}
		})
	}
}
