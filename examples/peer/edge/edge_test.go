package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseBootstrap(t *testing.T) {
	base, _ := url.Parse("https://example.com/live/index.m3u8")
	b, ok := ParseBootstrap(http.Header{HeaderBootstrap: {`v=1, session="/mesh/session", swarm="abc"`}}, base)
	if !ok || b.Session.String() != "https://example.com/mesh/session" || b.Swarm != "abc" || b.Token != "" || name(b, "/a;t=T/b") != "/a;t=T/b" {
		t.Errorf("%+v %v", b, ok)
	}
	withToken, _ := url.Parse("https://example.com/live;t=T/index.m3u8")
	b, ok = ParseBootstrap(http.Header{HeaderBootstrap: {`v=1, session="/mesh/session", swarm="abc", token="s t"`}}, withToken)
	if !ok || b.Token != "T" || name(b, "/a;t=T/s=S/b") != "/a/b" {
		t.Errorf("with a viewer token: %+v %v", b, ok)
	}
	b, ok = ParseBootstrap(http.Header{HeaderBootstrap: {`v=1, session="/mesh/session", swarm="abc", params="sid u", path="^/s/[^/]+"`}}, base)
	if !ok || name(b, "/s/7/a.ts?sid=1&q=hi&u=2") != "/a.ts?q=hi" {
		t.Errorf("with what is the viewer's: %+v %v", b, ok)
	}
	for _, value := range []string{"", "nonsense=", `v=1, session="/mesh/session", swarm="abc", path="("`, `v=2, session="/mesh/session", swarm="abc"`, `v=1, session="/mesh/session"`,
		`v=1, session=7, swarm="abc"`, `v=1, session="%zz", swarm="abc"`, `v=1, session=("/mesh/session"), swarm="abc"`} {
		if b, ok := ParseBootstrap(http.Header{HeaderBootstrap: {value}}, base); ok {
			t.Errorf("%s was read as %+v", value, b)
		}
	}
}

// name returns what a URL names by a bootstrap.
func name(b Bootstrap, uri string) string {
	path, query, _ := strings.Cut(uri, "?")
	return b.Identity.Name(path, query).String()
}

// server answers /mesh/session and /mesh/signal as told.
func server(t *testing.T, session, socket http.HandlerFunc) (Bootstrap, *http.Client) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/mesh/session", session)
	if socket != nil {
		mux.HandleFunc("/mesh/signal", socket)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/mesh/session")
	if err != nil {
		t.Fatal(err)
	}
	return Bootstrap{Session: u, Swarm: "swarm"}, s.Client()
}

func answer(t *testing.T) signal.SessionAnswer {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	public, err := keys.Public()
	if err != nil {
		t.Fatal(err)
	}
	return signal.SessionAnswer{V: 1, Peer: 7, Pass: "pass", ExpiresMS: 60_000, Keys: public, Signal: "/mesh/signal", Segment: "/mesh/segment"}
}

func TestOpen(t *testing.T) {
	give := answer(t)
	b, client := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if req, err := signal.DecodeSession(body); err != nil || req.Swarm != "swarm" || req.Mode != "receive_only" {
			t.Errorf("asked with %s: %v", body, err)
		}
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		_ = json.NewEncoder(w).Encode(give)
	}, nil)
	s, err := Open(context.Background(), client, b, signal.SessionRequest{Mode: "receive_only"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Peer != 7 || s.Swarm != "swarm" || s.Socket.Scheme != "ws" || s.Socket.Path != "/mesh/signal" ||
		s.Statement("/a b", 0, 0).RequestURI() != "/mesh/segment?path=%2Fa+b" || s.Statement("/a", 5, 7).RequestURI() != "/mesh/segment?length=7&offset=5&path=%2Fa" {
		t.Errorf("%+v", s)
	}
	if left := time.Until(s.Expires); left < 50*time.Second || left > time.Minute {
		t.Errorf("it expires in %v", left)
	}
	if ahead := time.Until(s.Now()); ahead < 59*time.Minute {
		t.Errorf("the edge's clock is an hour ahead, and taken to be %v", ahead)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		status     int
		retryAfter string
		want       time.Duration
	}{{403, "", 0}, {400, "", 0}, {404, "", 0}, {503, "7", 7 * time.Second}, {429, "", defaultRetry}, {502, "x", defaultRetry}} {
		b, client := server(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", c.retryAfter)
			w.WriteHeader(c.status)
			fmt.Fprint(w, `{"code":"full","detail":"too many"}`)
		}, nil)
		_, err := Open(context.Background(), client, b, signal.SessionRequest{})
		var no *Refused
		if !errors.As(err, &no) || no.Status != c.status || no.RetryAfter != c.want || no.Code != "full" {
			t.Errorf("status %d: %v", c.status, err)
		}
	}
	for _, body := range []string{"", "{}", `{"v":1,"peer":"0000000000000007","pass":"p","expires_ms":1,"keys":{"keys":[]}}`} {
		b, client := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }, nil)
		if _, err := Open(context.Background(), client, b, signal.SessionRequest{}); err == nil {
			t.Errorf("%q was taken for a session", body)
		}
	}
}

// TestSocket: hello first, what is sent arrives in order also when it is closed
// at once, and what the edge says is read.
func TestSocket(t *testing.T) {
	give := answer(t)
	got := make(chan signal.Message, 100)
	b, client := server(t, func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(give) },
		func(w http.ResponseWriter, r *http.Request) {
			ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer ws.Close()
			defer close(got)
			_ = ws.WriteMessage(websocket.TextMessage, signal.Encode(&signal.Message{Type: signal.Welcome, AnnounceMS: 5}))
			_ = ws.WriteMessage(websocket.TextMessage, []byte("nonsense"))
			for {
				_, frame, err := ws.ReadMessage()
				if err != nil {
					return
				}
				m, err := signal.Decode(frame)
				if err != nil {
					t.Error(err)
				}
				got <- m
			}
		})
	s, err := Open(context.Background(), client, b, signal.SessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := Dial(context.Background(), client, s, "renewed")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := k.Read(); err != nil || m.Type != signal.Welcome || m.AnnounceMS != 5 {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := k.Read(); !errors.Is(err, signal.ErrJSON) {
		t.Errorf("nonsense: %v", err)
	}
	for range 50 {
		k.Send(&signal.Message{Type: signal.Renew})
	}
	k.Send(&signal.Message{Type: signal.Leave})
	k.Close()
	if _, err := k.Read(); err == nil {
		t.Error("read from a closed socket")
	}
	if k.Send(&signal.Message{Type: signal.Renew}) {
		t.Error("sent on a closed socket")
	}
	k.Abort()
	var types []signal.Type
	for m := range got {
		if m.Type == signal.Hello && m.Pass != "renewed" {
			t.Errorf("hello with %q", m.Pass)
		}
		types = append(types, m.Type)
	}
	if len(types) != 52 || types[0] != signal.Hello || types[51] != signal.Leave {
		t.Errorf("the edge got %v", types)
	}
}

func TestDialRefused(t *testing.T) {
	give := answer(t)
	b, client := server(t, func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(give) },
		func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	s, err := Open(context.Background(), client, b, signal.SessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var no *Refused
	if _, err := Dial(context.Background(), client, s, "pass"); !errors.As(err, &no) || no.Status != 503 {
		t.Errorf("%v", err)
	}
}
