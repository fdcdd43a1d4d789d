package attacks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestSilentSocket: a WebSocket that says no hello ends after ten seconds, however often
// it pings and pongs.
func TestSilentSocket(t *testing.T) {
	s := newSite(t, "")
	ws, resp, err := websocket.DefaultDialer.Dial(strings.Replace(s.base, "http", "ws", 1)+"/mesh/signal", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	defer ws.Close()
	ended := make(chan error, 1)
	go func() {
		_, _, err := ws.ReadMessage()
		ended <- err
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case <-ended:
			return
		case <-tick.C:
			_ = ws.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second))
			_ = ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		case <-deadline:
			t.Fatal("it is open after 20 s")
		}
	}
}

// line is a peer's signaling.
type line struct {
	*edge.Socket
	session *edge.Session
	got     chan signal.Message
}

// signaling opens a session and joins its swarm.
func (s *site) signaling(token string, want int) *line {
	s.t.Helper()
	client := s.client(token)
	l, err := s.dial(client, s.bootstrap(client, "film"))
	if err != nil {
		s.t.Fatal(err)
	}
	l.announce(want)
	l.until(s.t, signal.Peers)
	return l
}

// announce asks for peers.
func (l *line) announce(want int) {
	l.Send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "/film/index.m3u8", Upload: true, Want: want}})
}

// dial opens a session and its signaling.
func (s *site) dial(client *http.Client, b edge.Bootstrap) (*line, error) {
	session, err := edge.Open(s.t.Context(), client, b, signal.SessionRequest{})
	if err != nil {
		return nil, err
	}
	socket, err := edge.Dial(s.t.Context(), client, session, session.Pass)
	if err != nil {
		return nil, err
	}
	l := &line{socket, session, make(chan signal.Message, 4096)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(l.got)
		for {
			m, err := socket.Read()
			if err != nil {
				return
			}
			l.got <- m
		}
	}()
	s.t.Cleanup(func() { socket.Abort(); <-done })
	return l, nil
}

// until returns the next message of a type, and how many offers came before it.
func (l *line) until(t *testing.T, of signal.Type) (m signal.Message, offers int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case m, ok := <-l.got:
			if !ok {
				t.Fatalf("the signaling ended before %s", of)
			}
			if m.Type == of {
				return m, offers
			}
			if m.Type == signal.Offer {
				offers++
			}
		case <-deadline:
			t.Fatalf("no %s", of)
		}
	}
}

// TestOffers: 990 offers of 32 KB do not end another viewer's signaling: none arrives of a
// peer that it was not introduced to, and few of one that it was.
func TestOffers(t *testing.T) {
	s := newSite(t, "")
	victim := s.signaling(s.tokenOf("victim", "/film/", time.Hour), 0)
	stranger := s.signaling(s.tokenOf("stranger", "/film/", time.Hour), 0)
	friend := s.signaling(s.tokenOf("friend", "/film/", time.Hour), 4)
	sdp := strings.Repeat("a", 32_000)
	for _, c := range []struct {
		who  *line
		most int
	}{{stranger, 0}, {friend, 4}} {
		to := victim.session.Peer
		for range 990 {
			c.who.Send(&signal.Message{Type: signal.Offer, To: &to, Connection: "c", SDP: sdp})
		}
		c.who.Send(&signal.Message{Type: signal.Ping})
		c.who.until(t, signal.Pong) // all are taken
		victim.Send(&signal.Message{Type: signal.Ping})
		if _, offers := victim.until(t, signal.Pong); offers > c.most {
			t.Errorf("%d offers arrived, want at most %d", offers, c.most)
		}
	}
	victim.Send(&signal.Message{Type: signal.Renew})
	victim.until(t, signal.Pass)
}

// TestRemovedKeyEndsSessions: after a reload that takes a key away, a session that stands
// on it is not renewed, while one of another key is.
func TestRemovedKeyEndsSessions(t *testing.T) {
	s, other := newStreams(t), newStreams(t)
	address := freeport.Addr(t)
	s.base = "http://" + address
	options := caddytest.Options(t)
	site := func(files ...string) string {
		return fmt.Sprintf("{\n%s\nmesh {\n stun off\n }\n}\n%s {\n mesh {\n token jwt {\n alg EdDSA\n paths_claim paths\n jwks_file %s\n }\n }\n root %s\n file_server\n}\n",
			options, s.base, strings.Join(files, " "), s.dir)
	}
	mine, theirs := s.dir+"/../login.json", other.dir+"/../login.json"
	caddytest.Start(t, site(mine, theirs))
	removed := s.signaling(s.token("/film/", time.Hour), 0)
	kept := s.signaling(other.token("/film/", time.Hour), 0)
	caddytest.Load(t, site(theirs))
	kept.Send(&signal.Message{Type: signal.Renew})
	kept.until(t, signal.Pass)
	removed.Send(&signal.Message{Type: signal.Renew})
	if m, _ := removed.until(t, signal.ErrorMsg); m.Code != "refused" {
		t.Errorf("the session of the removed key got %+v", m)
	}
}
