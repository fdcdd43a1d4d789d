package browsertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	joined "github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/rtc"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// intrude joins the swarm of a manifest, seen to come from an address ("" for its own),
// and offers a page a connection. told has the page's answer and candidates.
func intrude(t *testing.T, e *edgeAt, seenAs string, opened func(*rtc.Conn)) (told chan signal.Message) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, to)
		if err == nil && seenAs != "" {
			_, err = fmt.Fprintf(c, "PROXY TCP4 %s 127.0.0.1 5000 80\r\n", seenAs)
		}
		return c, err
	}}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := client.Get(e.manifest)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	b, ok := joined.ParseBootstrap(resp.Header, resp.Request.URL)
	if !ok {
		t.Fatal("the manifest has no bootstrap")
	}
	session, err := joined.Open(t.Context(), client, b, signal.SessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := joined.Dial(t.Context(), client, session, session.Pass)
	if err != nil {
		t.Fatal(err)
	}
	own, err := rtc.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	told = make(chan signal.Message, 1024)
	var conn *rtc.Conn
	done, offered := make(chan struct{}), make(chan struct{}) // conn is set once it has offered
	go func() {
		defer close(done)
		for {
			m, err := socket.Read()
			if err != nil {
				return
			}
			switch m.Type {
			case signal.Peers:
				if conn != nil {
					break
				}
				conn = own.Offer(rtc.Options{}, rtc.Events{
					Description: func(kind signal.Type, sdp string) {
						socket.Send(&signal.Message{Type: kind, To: &e.page, Connection: "i", SDP: sdp})
					},
					Candidate: func(c signal.ICECandidate) {
						socket.Send(&signal.Message{Type: signal.Candidate, To: &e.page, Connection: "i", Candidate: &c})
					},
					Open: func(rtc.Path) {
						<-offered
						conn.Send(&wire.Message{Type: wire.Hello, Version: wire.Version, Peer: session.Peer, Token: session.Pass})
						conn.Send(&wire.Message{Type: wire.Status})
						opened(conn)
					},
					Lost: func() {}, Message: func(*wire.Message) {}, Closed: func(error) {},
				})
				close(offered)
			case signal.Answer:
				conn.SetAnswer(m.SDP)
				told <- m
			case signal.Candidate:
				conn.AddCandidate(*m.Candidate)
				told <- m
			}
		}
	}()
	socket.Send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "r", Upload: true, Want: 4}})
	t.Cleanup(func() {
		socket.Abort()
		<-done
		if conn != nil {
			conn.Close()
		}
		_ = own.Close()
	})
	return told
}

// edgeAt is a manifest, and the page that plays it.
type edgeAt struct {
	manifest string
	page     wire.PeerID
}

// TestIntruder: a peer elsewhere is told no private address of a page. One in the page's own
// home is, connects, and sends it 60 MiB that it has not asked for: the page keeps none of
// that, and plays on.
func TestIntruder(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	page := watch(t, browser, e, 1, "/native.html?src=/vod/index.m3u8", 3)[0]
	at := &edgeAt{manifest: e.url("/vod/index.m3u8")}
	if err := at.page.UnmarshalText([]byte(eval[string](page, `[...mesh.viewers.values()][0].session.peer`))); err != nil {
		t.Fatal(err)
	}
	private := func(m signal.Message) bool {
		text := m.SDP
		if m.Candidate != nil {
			text = "a=" + m.Candidate.Candidate
		}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); strings.HasPrefix(line, "a=candidate") && (strings.HasSuffix(f[4], ".local") || net.ParseIP(f[4]).IsPrivate() || net.ParseIP(f[4]).IsLoopback()) {
				return true
			}
		}
		return false
	}
	elsewhere := intrude(t, at, "203.0.113.1", func(*rtc.Conn) {})
	var heard []signal.Message
	select {
	case m := <-elsewhere:
		heard = append(heard, m)
	case <-time.After(30 * time.Second):
		t.Fatal("the page does not answer a peer elsewhere")
	}
	const chunks = 15
	data, sent := make([]byte, wire.MaxChunk), make(chan struct{}, chunks)
	home := intrude(t, at, "", func(c *rtc.Conn) {
		for n := range chunks {
			c.SendChunk(wire.SegmentID(1<<40+n), uint8(n), data, nil, func() { sent <- struct{}{} })
		}
	})
	for named := false; !named; {
		select {
		case m := <-home:
			named = private(m)
		case <-time.After(30 * time.Second):
			t.Fatal("the page names no address of its own in its home: this shows nothing")
		}
	}
	const kept = `[...mesh.viewers.values()].reduce((sum, v) => sum + v.store.bytes() + [...v.engine.table.values()].reduce((n, s) => n + s.held.reduce((n, h) => n + h.data.length, 0), 0), 0)`
	before := eval[int](page, kept)
	for n := range chunks {
		select {
		case <-sent:
		case <-time.After(60 * time.Second):
			t.Fatalf("chunk %d does not get through", n)
		}
	}
	if grown := eval[int](page, kept) - before; grown > 8<<20 {
		t.Errorf("the page keeps %d MiB of the flood", grown>>20)
	}
	for len(elsewhere) > 0 {
		heard = append(heard, <-elsewhere)
	}
	for _, m := range heard {
		if private(m) {
			t.Errorf("a peer elsewhere was told %+v", m)
		}
	}
	page.until("playing on", played(8), 30*time.Second)
	page.quiet()
}
