package attacks

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestCrawler: with one session, a crawler that asks for peers as often as it may
// learns of as many as the site allows of a larger swarm, also if it comes back
// with the same pass.
func TestCrawler(t *testing.T) {
	const allowed = 100
	s := newSite(t, fmt.Sprintf("neighbors 30\n max_told %d", allowed))
	token := s.token("/film/", time.Minute)
	b := s.bootstrap(s.client(token), "film")
	const peers, perSource = 500, 250
	var wait sync.WaitGroup
	for from := range peers / perSource {
		wait.Go(func() {
			client := clientFrom(t, token, fmt.Sprintf("127.0.0.%d", 2+from))
			for range perSource {
				session, err := edge.Open(t.Context(), client, b, signal.SessionRequest{})
				if err != nil {
					t.Error(err)
					return
				}
				k, err := edge.Dial(t.Context(), client, session, session.Pass)
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(k.Abort)
				k.Send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "/film/index.m3u8", Upload: true}})
			}
		})
	}
	wait.Wait()
	client := s.client(token)
	session := s.open(client, b)
	known := map[wire.PeerID]bool{}
	for range 2 {
		k, err := edge.Dial(t.Context(), client, session, session.Pass)
		if err != nil {
			t.Fatal(err)
		}
		// 30 announces of 30 would be 900 introductions, each time.
		for range 30 {
			k.Send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "/film/index.m3u8", Upload: true, Want: 30}})
		}
		for answers := 0; answers < 30; {
			m, err := k.Read()
			if err != nil {
				t.Fatal(err)
			}
			switch m.Type {
			case signal.Peers:
				answers++
				for _, p := range m.Peers {
					known[p.ID] = true
				}
			case signal.ErrorMsg:
				answers++
			}
		}
		k.Abort()
	}
	t.Logf("told of %d of %d peers", len(known), peers)
	if len(known) > allowed {
		t.Errorf("a crawler learned of %d peers, want %d at most", len(known), allowed)
	}
	if len(known) < allowed/2 {
		t.Errorf("a crawler learned of %d peers only: this was no crawl", len(known))
	}
}

// TestGuessedSwarm: a swarm id cannot be made from what is public.
func TestGuessedSwarm(t *testing.T) {
	s := newSite(t, "")
	token := s.token("/", time.Minute)
	real := s.bootstrap(s.client(token), "film").Swarm
	host := strings.TrimPrefix(s.base, "http://")
	for _, text := range []string{"/film/index.m3u8", s.base + "/film/index.m3u8", host + "/film/", "/film/", "film", host + "/film/index.m3u8"} {
		sum := sha256.Sum256([]byte(text))
		for _, guess := range []string{text, base64.RawURLEncoding.EncodeToString(sum[:16]), base64.RawURLEncoding.EncodeToString([]byte(text))} {
			if guess == real {
				t.Fatalf("the swarm id is made of %q alone", text)
			}
			resp, body := ask.Do(t, s.client(token), "POST", s.base+"/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q}`, guess))
			if resp.StatusCode != http.StatusForbidden || codeOf(body) != "unknown_swarm" {
				t.Errorf("swarm %q: %d %s", guess, resp.StatusCode, codeOf(body))
			}
		}
	}
	// Nor is that of another edge good here.
	other := newSite(t, "")
	if swarm := other.bootstrap(other.client(other.token("/", time.Minute)), "film").Swarm; swarm == real {
		t.Error("two edges with other secrets have the same swarm id")
	}
}

// TestForgedHeaders: whatever an upstream says in the mesh's name, viewers get
// the edge's word or none.
func TestForgedHeaders(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Mesh-Bootstrap", `v=1, session="https://pirate.example/mesh/session", swarm="pirate"`)
		h.Set("mesh-segment", "forged")
		h.Set("Mesh-Digests", ":AAAA:")
		h.Set("Mesh-Anything", "forged")
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			h.Set("Content-Type", "application/vnd.apple.mpegurl")
			fmt.Fprint(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n#EXT-X-ENDLIST\n")
			return
		}
		fmt.Fprint(w, strings.Repeat("x", 1000))
	}))
	defer upstream.Close()
	base := run(t, "mesh\n reverse_proxy "+upstream.Listener.Addr().String())[0]
	client := clientFrom(t, "", "127.0.0.1")
	resp, _ := ask.Do(t, client, "GET", base+"/s/index.m3u8", "")
	if got := resp.Header.Values("Mesh-Bootstrap"); len(got) != 1 || strings.Contains(got[0], "pirate") || !strings.Contains(got[0], `session="/mesh/session"`) {
		t.Errorf("Mesh-Bootstrap is %q", got)
	}
	for _, name := range []string{"Mesh-Segment", "Mesh-Digests", "Mesh-Anything"} {
		if got := resp.Header.Get(name); got != "" {
			t.Errorf("the manifest came with %s %q", name, got)
		}
	}
	b, ok := edge.ParseBootstrap(resp.Header, resp.Request.URL)
	if !ok {
		t.Fatal("no bootstrap")
	}
	session, err := edge.Open(t.Context(), client, b, signal.SessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		resp, body := ask.Do(t, client, "GET", base+"/s/0.ts", "")
		if token := resp.Header.Get("Mesh-Segment"); token != "" {
			if seg, err := session.Verifier.VerifySegment(token, time.Now()); err != nil || seg.Path != "/s/0.ts" || seg.Size != int64(len(body)) {
				t.Errorf("Mesh-Segment is %q: %v", token, err)
			}
		}
		if strings.Contains(fmt.Sprint(resp.Header), "forged") || resp.Header.Get("Mesh-Bootstrap") != "" {
			t.Errorf("a segment came with %v", resp.Header)
		}
	}
}
