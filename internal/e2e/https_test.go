package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/examples/peer/web"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// TestHTTPS: viewers share over an edge that speaks HTTPS, HTTP/2 included, with a
// certificate of Caddy's own CA; who does not trust that CA reads what to do.
func TestHTTPS(t *testing.T) {
	noLeaks(t)
	origin, err := live.New(live.Config{})
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(origin)
	t.Cleanup(upstream.Close)
	port, storage := freeport.Port(t), t.TempDir()
	caddytest.Start(t, fmt.Sprintf(`{
		admin off
		persist_config off
		auto_https disable_redirects
		skip_install_trust
		grace_period 1s
		storage file_system %q
		log {
			output discard
		}
		mesh {
			stun off
		}
	}
	https://localhost:%s {
		tls internal
		mesh {
			stats
		}
		handle_path /live/* {
			reverse_proxy %s
		}
	}`, storage, port, strings.TrimPrefix(upstream.URL, "http://")))
	base := "https://localhost:" + port

	stranger, err := web.New(web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stranger.CloseIdleConnections)
	client, err := web.New(web.Options{CA: filepath.Join(storage, "pki/authorities/local/root.crt")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	var resp *http.Response
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // until Caddy has its certificate
		if resp, err = client.Get(base + "/live/index.m3u8"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("the edge speaks %s, and this test is about HTTP/2", resp.Proto)
	}
	if _, err := stranger.Get(base + "/live/index.m3u8"); err == nil || !strings.Contains(err.Error(), "--ca FILE") {
		t.Errorf("a client that does not know the CA reads %v", err)
	}
	c := newCrowd(t)
	for range 2 {
		c.join(client, base, nil, nil)
	}
	c.until("both to join and share", 60*time.Second, func(s viewer.Stats) bool { return s.Joined && s.Report.Neighbors > 0 })
	c.until("one to have taken from the other", 60*time.Second, func(s viewer.Stats) bool { return s.PeerBytes+s.UploadedBytes > 0 })
	c.end()
	if t.Failed() {
		t.Log(c.log)
	}
}
