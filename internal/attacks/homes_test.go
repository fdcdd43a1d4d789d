package attacks

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/rtc"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestHomes: a peer elsewhere learns no private address of a viewer, and does not have it
// knock at a host of its home network, however it names that. One that shares the viewer's
// public address, or its site, does. The site has a WAN: else nobody elsewhere meets its viewers.
func TestHomes(t *testing.T) {
	s := newStreams(t)
	s.base = run(t, s.directives("site campus 192.0.2.0/28 198.51.100.0/28 {\n wan\n }"))[0]
	a := s.audience()
	for _, address := range []string{"203.0.113.1", "192.0.2.1"} {
		a.joinWith(seenAs(t, s.tokenOf("viewer at "+address, "/film/", time.Hour), address), "/film/index.m3u8", nil)
	}
	a.until("two viewers", 30*time.Second, a.all(func(v viewer.Stats) bool { return v.Joined && v.PlayedMS > 0 }))
	elsewhere := s.knock("198.18.0.9", a.players)
	for name, address := range map[string]string{"the same home": "203.0.113.1", "the same site": "198.51.100.3"} {
		k := s.knock(address, a.players)
		a.until("a knock from "+name, 30*time.Second, func() bool { return k.packets.Load() > 0 })
		a.until("private addresses for "+name, 30*time.Second, func() bool { return k.private() != "" })
	}
	if n := elsewhere.packets.Load(); n != 0 {
		t.Errorf("a peer elsewhere had viewers send %d packets to a host of this machine", n)
	}
	if c := elsewhere.private(); c != "" {
		t.Errorf("a peer elsewhere was told %q", c)
	}
}

// knocker is a peer that names a host of its victims' home network, and counts what comes
// there.
type knocker struct {
	packets atomic.Int64

	mu   sync.Mutex
	told []string // descriptions and candidates of the victims
}

// private is what the knocker was told that names an address which is not public, "" for
// nothing.
func (k *knocker) private() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, text := range k.told {
		for _, word := range strings.Fields(text) {
			if a, err := netip.ParseAddr(word); strings.HasSuffix(word, ".local") || err == nil && !a.IsUnspecified() && !admission.IsPublic(a) {
				return text
			}
		}
	}
	return ""
}

// knock joins from an address, and offers connections to viewers, in which it names a host
// of this machine. It returns when each has answered.
func (s *site) knock(from string, viewers []*player.Player) *knocker {
	t, k := s.t, new(knocker)
	t.Helper()
	host, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for buf := make([]byte, 1500); ; {
			if _, _, err := host.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
			k.packets.Add(1)
		}
	})
	own, err := rtc.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := s.as("knocker at "+from, from)
	if l == nil {
		t.Fatalf("no session from %s", from)
	}
	l.announce(8)
	l.until(t, signal.Peers)
	port := host.LocalAddr().(*net.UDPAddr).Port
	var conns []*rtc.Conn
	for _, v := range viewers {
		to := v.Stats().Peer
		conns = append(conns, own.Offer(rtc.Options{}, rtc.Events{
			Description: func(kind signal.Type, sdp string) {
				for _, spelling := range []string{"a=%s\r\n", "a=x\ra=%s\r\n", "a=x\ra=%s\ra=y\r\n", "a=%s\n"} {
					sdp += fmt.Sprintf(spelling, fmt.Sprintf("candidate:1 1 udp 2130706431 127.0.0.1 %d typ host", port))
				}
				l.Send(&signal.Message{Type: kind, To: &to, Connection: "k", SDP: sdp})
				zero := uint16(0)
				for _, c := range []string{
					"candidate:2 1 udp 2130706431 127.0.0.1 %d typ host", "candidate:3 1 udp 2130706430 127.0.0.1 %d typ srflx raddr 0.0.0.0 rport 9",
					"candidate:4 1 udp 2130706429 ::ffff:127.0.0.1 %d typ host", "candidate:5 1 udp 1 127.0.0.1 %d typ relay raddr 0.0.0.0 rport 9",
					"candidate:6 1 udp 1 localhost %d typ host", "candidate:7\t1\tudp\t1\t203.0.113.7\t9\ttyp\thost 1 udp 1 127.0.0.1 %d typ host",
					"candidate:8 1 udp 1 203.0.113.7 9 typ host\r\na=candidate:9 1 udp 1 127.0.0.1 %d typ host",
				} {
					l.Send(&signal.Message{Type: signal.Candidate, To: &to, Connection: "k", Candidate: &signal.ICECandidate{Candidate: fmt.Sprintf(c, port), SDPMLineIndex: &zero}})
				}
			},
			Candidate: func(signal.ICECandidate) {}, Open: func(rtc.Path) {}, Lost: func() {}, Closed: func(error) {},
		}))
	}
	answered := make(chan struct{}, len(viewers))
	work.Go(func() {
		for m := range l.got {
			k.mu.Lock()
			switch m.Type {
			case signal.Answer:
				k.told = append(k.told, m.SDP)
				answered <- struct{}{}
			case signal.Candidate:
				k.told = append(k.told, m.Candidate.Candidate)
			}
			k.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		l.Abort()
		host.Close()
		work.Wait()
		for _, c := range conns {
			c.Close()
		}
		if err := own.Close(); err != nil {
			t.Errorf("close the knocker's socket: %v", err)
		}
	})
	for range viewers {
		select {
		case <-answered:
		case <-time.After(30 * time.Second):
			t.Fatal("a viewer has not answered")
		}
	}
	return k
}
