package attacks

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestCrowds are attacks by number: many sessions of few, at one edge.
func TestCrowds(t *testing.T) {
	small, wide := newStreams(t), newStreams(t)
	urls := run(t, small.directives("max_sessions 160"), wide.directives("neighbors 30\n stats"))
	small.base, wide.base = urls[0], urls[1]
	t.Run("all sockets", func(t *testing.T) { fillUp(t, small.in(t)) })
	t.Run("eclipse", func(t *testing.T) { eclipse(t, wide.in(t)) })
	t.Run("figures", func(t *testing.T) { forgeFigures(t, wide.in(t)) })
}

// as joins the swarm of the film as a customer, seen to come from an address; nil if the
// edge refuses that.
func (s *site) as(customer, address string) *line {
	s.t.Helper()
	client := seenAs(s.t, s.tokenOf(customer, "/film/", time.Hour), address)
	l, err := s.dial(client, s.bootstrap(client, "film"))
	if err != nil {
		return nil
	}
	if m := l.first(); m.Type != signal.Welcome {
		l.Abort()
		return nil
	}
	return l
}

// first is the first message, the zero one if there is none.
func (l *line) first() signal.Message {
	select {
	case m := <-l.got:
		return m
	case <-time.After(20 * time.Second):
		return signal.Message{}
	}
}

// fillUp: one account, from however many addresses, one network, with however many
// accounts, and one /48 do not fill max_sessions for everybody; and what they had they may
// have again when it has ended.
func fillUp(t *testing.T, s *site) {
	open := func(n int, who func(i int) (customer, address string)) (lines []*line) {
		for i := range n {
			if l := s.as(who(i)); l != nil {
				lines = append(lines, l)
			}
		}
		return lines
	}
	const most, half, ofNetwork, ofAccount = 160, 80, 20, 16
	mallory := open(half+10, func(i int) (string, string) { return "mallory", fmt.Sprintf("198.51.%d.7", i) })
	if n := len(mallory); n > half || n < half-1 {
		t.Errorf("an account has %d sessions of %d, want half of them", n, most)
	}
	for name, c := range map[string]struct {
		who  func(i int) (string, string)
		most int
	}{
		"its account":                  {func(i int) (string, string) { return "mallory", fmt.Sprintf("192.0.2.%d", i) }, 0},
		"one address":                  {func(i int) (string, string) { return fmt.Sprint("a", i), "203.0.113.7" }, ofNetwork},
		"one network":                  {func(i int) (string, string) { return fmt.Sprint("b", i), fmt.Sprintf("203.0.114.%d", i) }, ofNetwork},
		"one /48":                      {func(i int) (string, string) { return fmt.Sprint("c", i), fmt.Sprintf("2001:db8:1:%x::1", i) }, ofNetwork},
		"one account of many networks": {func(i int) (string, string) { return "trudy", fmt.Sprintf("198.52.%d.7", i) }, ofAccount},
	} {
		lines := open(ofNetwork+5, c.who)
		if len(lines) > c.most || c.most > 0 && len(lines) == 0 {
			t.Errorf("%s: %d sessions, want at most %d", name, len(lines), c.most)
		}
	}
	if s.as("alice", "192.0.2.200") == nil {
		t.Error("there is no room for another viewer")
	}
	for _, l := range mallory {
		l.Abort()
	}
	again := func() bool { return s.as("mallory", "192.0.2.201") != nil }
	for end := time.Now().Add(20 * time.Second); !again(); {
		if time.Now().After(end) {
			t.Fatal("an account whose sessions have ended may open none")
		}
	}
}

// eclipse: a newcomer to a swarm of 20 viewers and 300 sessions of three attackers, one at
// one address, one all over a /24 and one all over a /48, is introduced to two of each
// attacker at most with each answer, also if it lives in the same /24.
func eclipse(t *testing.T, s *site) {
	const each = 100
	attackers := []func(i int) string{
		func(int) string { return "203.0.113.66" },
		func(i int) string { return fmt.Sprintf("198.51.100.%d", 1+i) },
		func(i int) string { return fmt.Sprintf("2001:db8:bad:%x::1", i) },
	}
	network := map[wire.PeerID]netip.Prefix{}
	var mu sync.Mutex
	var work sync.WaitGroup
	join := func(customer, address string) {
		l := s.as(customer, address)
		if l == nil {
			t.Errorf("%s at %s may not join", customer, address)
			return
		}
		l.announce(0)
		l.until(t, signal.Peers)
		a := netip.MustParseAddr(address)
		p, _ := a.Prefix(map[bool]int{true: 24, false: 48}[a.Is4()])
		mu.Lock()
		defer mu.Unlock()
		network[l.session.Peer] = p
	}
	for n, address := range attackers {
		work.Go(func() {
			for i := range each {
				join(fmt.Sprint("attacker", n), address(i))
			}
		})
	}
	work.Go(func() {
		for i := range 20 {
			join(fmt.Sprint("honest", i), fmt.Sprintf("198.18.%d.7", i))
		}
	})
	work.Wait()
	for name, address := range map[string]string{"elsewhere": "192.0.2.9", "a neighbor of the attacker": "203.0.113.7", "in the /24": "198.51.100.250"} {
		l := s.as(name, address)
		if l == nil {
			t.Fatalf("%s: no session", name)
		}
		for range 3 {
			l.announce(20)
			m, _ := l.until(t, signal.Peers)
			of := map[netip.Prefix]int{}
			for _, p := range m.Peers {
				of[network[p.ID]]++
			}
			for p, n := range of {
				if n > 2 {
					t.Errorf("%s: %d of an answer of %d come from %s", name, n, len(m.Peers), p)
				}
			}
		}
		l.Abort()
	}
}

// forgeFigures: what is reported and cannot be is left out of the figures, and counted.
func forgeFigures(t *testing.T, s *site) {
	client := seenAs(t, s.tokenOf("reporter", "/film/", time.Hour), "192.0.2.77")
	b := s.bootstrap(client, "film")
	report := func(reports ...signal.Report) {
		t.Helper()
		l, err := s.dial(client, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reports {
			l.Send(&signal.Message{Type: signal.ReportMsg, Report: &r})
		}
		l.Send(&signal.Message{Type: signal.Leave})
		for range l.got { // until the edge has closed it, after the reports
		}
	}
	const sent, given, much = 20 * segmentSize, 15 * segmentSize, 1 << 50
	for i := range 20 {
		ask.Do(t, client, "GET", fmt.Sprintf("%s/film/%d.ts", s.base, i), "")
	}
	report(signal.Report{OriginBytes: sent, UploadedBytes: given})
	report(signal.Report{PeerBytes: given})
	before := s.stats()
	if before.OriginBytes != sent || before.PeerBytes != given || before.DoubtedBytes != 0 {
		t.Fatalf("true reports make %+v", before)
	}
	const fits = 15 << 20 // in no time
	for name, r := range map[string]signal.Report{
		"from peers":                   {PeerBytes: much},
		"from peers, given by itself":  {PeerBytes: much, UploadedBytes: much},
		"from peers, what fits":        {PeerBytes: fits},
		"from the origin":              {OriginBytes: much},
		"from the origin, what fits":   {OriginBytes: fits},
		"relayed":                      {RelayedBytes: much},
		"relayed, what fits":           {RelayedBytes: fits},
		"more relayed than from peers": {PeerBytes: 1, RelayedBytes: fits},
		"played":                       {PlayedMS: much},
		"everything":                   {PeerBytes: much, OriginBytes: much, UploadedBytes: much, RelayedBytes: much, PlayedMS: much, Stalls: much},
		"a sum that overflows":         {PeerBytes: 1<<53 - 1, OriginBytes: 1<<53 - 1, UploadedBytes: 1<<53 - 1},
	} {
		report(r)
		report(signal.Report{}, r)
		report(signal.Report{}, signal.Report{PeerBytes: 1}, r)
		after := s.stats()
		if after.OriginBytes != sent || after.PeerBytes < given || after.PeerBytes > given+1<<20 || after.RelayedBytes > after.PeerBytes || after.Saving < 0 {
			t.Errorf("%s: the figures are %+v, were %+v", name, after.Traffic, before.Traffic)
		}
	}
	_, metrics := ask.Do(t, client, "GET", s.base+"/metrics", "")
	for _, name := range []string{"mesh_doubted_sessions", "mesh_doubted_bytes"} {
		if strings.Contains(metrics, "\n"+name+" 0\n") || !strings.Contains(metrics, "\n"+name+" ") {
			t.Errorf("%s counts nothing", name)
		}
	}
}

// stats are the edge's figures of the site.
func (s *site) stats() (st edge.Stats) {
	s.t.Helper()
	_, body := ask.Do(s.t, s.client(""), "GET", s.base+"/mesh/stats", "")
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		s.t.Fatalf("%v: %s", err, body)
	}
	return st
}
