package attacks

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/rtc"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// intruder is a peer that speaks the protocol but keeps to none of its rules: it
// connects to everybody it is told of, shows any pass, asks for everything, and
// keeps all that it is sent.
type intruder struct {
	t      *testing.T
	socket *edge.Socket
	net    *rtc.Net
	self   wire.PeerID // as it says
	done   chan struct{}

	mu       sync.Mutex
	theirs   map[wire.PeerID]map[wire.SegmentID]uint64 // what peers said that they have
	pass     string                                    // that it shows to peers
	passes   int                                       // that came since
	gone     bool                                      // the edge has closed the socket
	conns    map[wire.PeerID]*rtc.Conn
	got      []wire.Message
	captured []byte // every message, as it is on the data channel, chunks whole
}

// intrude joins a swarm by a session, and shows a pass to its peers.
func intrude(t *testing.T, client *http.Client, s *edge.Session, pass string) *intruder {
	t.Helper()
	n, err := rtc.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := edge.Dial(t.Context(), client, s, s.Pass)
	if err != nil {
		t.Fatal(err)
	}
	i := &intruder{t: t, socket: socket, net: n, self: s.Peer, pass: pass, done: make(chan struct{}), conns: map[wire.PeerID]*rtc.Conn{}, theirs: map[wire.PeerID]map[wire.SegmentID]uint64{}}
	go i.run()
	socket.Send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "/film/index.m3u8", Upload: true, Want: 16}})
	t.Cleanup(func() {
		socket.Abort()
		<-i.done
		i.mu.Lock()
		conns := i.conns
		i.conns = map[wire.PeerID]*rtc.Conn{}
		i.mu.Unlock()
		for _, c := range conns {
			c.Close()
		}
		if err := n.Close(); err != nil {
			t.Errorf("close the intruder's socket: %v", err)
		}
	})
	return i
}

func (i *intruder) run() {
	defer close(i.done)
	for {
		m, err := i.socket.Read()
		if err != nil {
			i.mu.Lock()
			i.gone = true
			i.mu.Unlock()
			return
		}
		if m.Type == signal.Pass {
			i.show(m.Pass)
			continue
		}
		i.mu.Lock()
		switch m.Type {
		case signal.Peers:
			for _, p := range m.Peers {
				if i.conns[p.ID] == nil {
					i.conns[p.ID] = i.net.Offer(rtc.Options{}, i.events(p.ID, "intruder"))
				}
			}
		case signal.Offer:
			if old := i.conns[*m.From]; old != nil {
				old.Close()
			}
			i.conns[*m.From] = i.net.Answer(rtc.Options{}, m.SDP, i.events(*m.From, m.Connection))
		case signal.Answer:
			if c := i.conns[*m.From]; c != nil {
				c.SetAnswer(m.SDP)
			}
		case signal.Candidate:
			if c := i.conns[*m.From]; c != nil {
				c.AddCandidate(*m.Candidate)
			}
		}
		i.mu.Unlock()
	}
}

func (i *intruder) events(peer wire.PeerID, name string) rtc.Events {
	return rtc.Events{
		Description: func(t signal.Type, sdp string) {
			i.socket.Send(&signal.Message{Type: t, To: &peer, Connection: name, SDP: sdp})
		},
		Candidate: func(c signal.ICECandidate) {
			i.socket.Send(&signal.Message{Type: signal.Candidate, To: &peer, Connection: name, Candidate: &c})
		},
		Open: func(rtc.Path) {
			i.mu.Lock()
			pass := i.pass
			i.mu.Unlock()
			i.send(peer, &wire.Message{Type: wire.Hello, Version: wire.Version, Peer: i.self, Token: pass})
			i.send(peer, &wire.Message{Type: wire.Status})
		},
		Lost: func() {},
		Message: func(m *wire.Message) {
			i.mu.Lock()
			i.got = append(i.got, *m)
			if m.Type == wire.Chunk { // put together of fragments
				i.captured = append(i.captured, m.Data...)
			} else {
				i.captured = append(i.captured, wire.Append(nil, m)...)
			}
			if i.theirs[peer] == nil {
				i.theirs[peer] = map[wire.SegmentID]uint64{}
			}
			for _, h := range m.Haves {
				i.theirs[peer][h.Segment] = h.Mask
			}
			i.mu.Unlock()
			for _, h := range m.Haves {
				i.ask(peer, h.Segment, h.Mask)
			}
		},
		Closed: func(error) {},
	}
}

func (i *intruder) ask(peer wire.PeerID, segment wire.SegmentID, mask uint64) {
	if mask != 0 {
		i.send(peer, &wire.Message{Type: wire.Request, Flags: wire.FlagProof, Segment: segment, Mask: mask, Within: 10_000})
	}
}

// askAgain asks every peer for one chunk of all that it has, wherever it came
// from before.
func (i *intruder) askAgain() {
	i.mu.Lock()
	asks := map[wire.PeerID]wire.SegmentID{}
	for peer, haves := range i.theirs {
		for segment, mask := range haves {
			if mask&1 != 0 {
				asks[peer] = segment
			}
		}
	}
	i.mu.Unlock()
	for peer, segment := range asks {
		i.ask(peer, segment, 1)
	}
}

// renew asks the edge for another pass, which is then shown to all peers.
func (i *intruder) renew() { i.socket.Send(&signal.Message{Type: signal.Renew}) }

// show shows all peers a pass.
func (i *intruder) show(pass string) {
	i.mu.Lock()
	i.pass = pass
	i.passes++
	peers := make([]wire.PeerID, 0, len(i.conns))
	for peer := range i.conns {
		peers = append(peers, peer)
	}
	i.mu.Unlock()
	for _, peer := range peers {
		i.send(peer, &wire.Message{Type: wire.Hello, Version: wire.Version, Peer: i.self, Token: pass})
	}
}

// passCount is how many passes came from the edge since the session was opened.
func (i *intruder) passCount() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.passes
}

// isGone says whether the edge has closed the socket.
func (i *intruder) isGone() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.gone
}

func (i *intruder) send(peer wire.PeerID, m *wire.Message) {
	i.mu.Lock()
	c := i.conns[peer]
	i.mu.Unlock()
	if c != nil {
		c.Send(m)
	}
}

// count is how many messages of a type came.
func (i *intruder) count(of wire.Type) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, m := range i.got {
		if m.Type == of {
			n++
		}
	}
	return n
}

// waitFor waits until enough messages of a type came; it reports whether they did.
func (i *intruder) waitFor(of wire.Type, n int, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for i.count(of) < n {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
