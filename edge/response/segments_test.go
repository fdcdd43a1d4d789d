package response_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/tokens"
)

const playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-BYTERANGE:100@50\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n"

// site puts an edge before next, which does not serve the playlist itself.
func site(t *testing.T, next http.Handler) *httptest.Server {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(edge.Config{Secret: make([]byte, 16), Keys: func() *tokens.Keyring { return keys }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e.Wrap(edge.Policy{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			_, _ = io.WriteString(w, playlist)
			return
		}
		next.ServeHTTP(w, r)
	})))
	t.Cleanup(func() { server.Close(); e.Close() })
	do(t, server, http.MethodGet, "/s/index.m3u8")
	return server
}

func do(t *testing.T, server *httptest.Server, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

// TestStatementWithoutBody: a HEAD and a 304 say of a segment what the GET said,
// and nothing once the bytes have another validator.
func TestStatementWithoutBody(t *testing.T) {
	etag := `"1"`
	server := site(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "x.ts", time.Time{}, strings.NewReader(strings.Repeat(r.URL.Path, 100)))
	}))
	for _, c := range []struct{ path, ranges string }{{"/s/a.ts", ""}, {"/s/b.ts", "bytes=50-149"}} {
		etag = `"1"`
		if resp, _ := do(t, server, http.MethodHead, c.path, "Range", c.ranges); resp.Header.Get("Mesh-Segment") != "" {
			t.Errorf("%s: a statement before any byte has passed", c.path)
		}
		var want *http.Response
		for want == nil || want.Header.Get("Mesh-Segment") == "" { // the last byte goes out before it is digested
			want, _ = do(t, server, http.MethodGet, c.path, "Range", c.ranges)
		}
		head, _ := do(t, server, http.MethodHead, c.path, "Range", c.ranges)
		unchanged, _ := do(t, server, http.MethodGet, c.path, "Range", c.ranges, "If-None-Match", etag)
		if unchanged.StatusCode != http.StatusNotModified {
			t.Fatalf("status %d", unchanged.StatusCode)
		}
		for name, got := range map[string]*http.Response{"HEAD": head, "304": unchanged} {
			for _, h := range []string{"Mesh-Segment", "Mesh-Digests"} {
				if got.Header.Get(h) != want.Header.Get(h) {
					t.Errorf("%s of %s: %s %q, want %q", name, c.path, h, got.Header.Get(h), want.Header.Get(h))
				}
			}
		}
		etag = `"2"`
		if got, _ := do(t, server, http.MethodGet, c.path, "Range", c.ranges, "If-None-Match", etag); got.Header.Get("Mesh-Segment") != "" {
			t.Errorf("a 304 for another version of %s has the statement of the first", c.path)
		}
	}
}

// TestCutOff: of a body that may have been cut off nothing is stated, however it
// was cut; of one that has an end, it is.
func TestCutOff(t *testing.T) {
	body := strings.Repeat("x", 50_000)
	plain := func(answer string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, answer) }
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	for name, c := range map[string]struct {
		answer func(net.Conn)
		stated bool
	}{
		"chunked":              {plain("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n"), true},
		"chunked and cut":      {plain("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk), false},
		"HTTP/1.0":             {plain("HTTP/1.0 200 OK\r\n\r\n" + body), false},
		"HTTP/1.1 with close":  {plain("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body), false},
		"shorter than it said": {plain("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + body), false},
		"reset": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n"+body)
			_ = c.(*net.TCPConn).SetLinger(0)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			up := upstream(t, c.answer)
			for proxied, next := range map[string]http.Handler{
				"by a proxy": httputil.NewSingleHostReverseProxy(up),
				"by a handler that looks away": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, up.String(), nil)
					if err != nil {
						return
					}
					resp, err := http.DefaultTransport.RoundTrip(out)
					if err != nil {
						return
					}
					defer resp.Body.Close()
					_, _ = io.Copy(w, resp.Body)
				}),
			} {
				server := site(t, next)
				var stated string
				for range 3 { // what the second answer says is of the first
					do(t, server, http.MethodGet, "/s/a.ts")
					_, stated = do(t, server, http.MethodGet, "/mesh/segment?path=/s/a.ts")
				}
				if got := strings.Contains(stated, `"token"`); got != c.stated {
					t.Errorf("%s: %s", proxied, stated)
				}
			}
		})
	}
}

// TestViewerLeaves: a body that a viewer did not wait for is not taken for whole.
func TestViewerLeaves(t *testing.T) {
	left := make(chan struct{})
	server := site(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "the first half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the handler ends without an error
		close(left)
	}))
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/s/a.ts", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	<-left
	for range 3 {
		if _, stated := do(t, server, http.MethodGet, "/mesh/segment?path=/s/a.ts"); strings.Contains(stated, `"token"`) {
			t.Errorf("stated %s", stated)
		}
	}
}

// upstream answers each request with bytes of its own and closes.
func upstream(t *testing.T, answer func(net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					answer(c)
				}
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}
