package attacks

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/ask"
)

// clip is a piece of an MPEG-2 transport stream, by its first bytes.
var clip = bytes.Repeat(append([]byte{0x47, 0x40, 0x00, 0x10, 0x00}, bytes.Repeat([]byte("secret"), 31)[:183]...), 40)

// picture is a PNG, by its first bytes.
var picture = append([]byte("\x89PNG\x0D\x0A\x1A\x0A"), bytes.Repeat([]byte("pixels"), 200)...)

// lenient is an upstream that reads paths as loosely as any, and answers every method
// with the body that lies there. The query says how: type, split for several ranges.
func lenient(t *testing.T) (address string) {
	playlist := "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI=\"key.txt\"\n"
	for _, name := range []string{"0.jpg", "1.json", "2", "3(1).png"} {
		playlist += "#EXTINF:1,\n" + name + "\n"
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _, _ := strings.Cut(r.URL.Path, ";")
		body, as := clip, "image/jpeg"
		switch path.Clean(strings.ToLower(strings.ReplaceAll(p, `\`, "/"))) {
		case "/tv/index.m3u8":
			body, as = []byte(playlist+"#EXT-X-ENDLIST\n"), "application/vnd.apple.mpegurl"
		case "/tv/key.txt":
			body, as = []byte("0123456789abcdef"), "text/plain"
		case "/tv/sealed.jpg":
			body = random(t, 4000)
		case "/tv/cover.png", "/tv/cover":
			body, as = picture, "image/png"
		case "/tv/about.html":
			body, as = []byte("<!doctype html>hello"), "text/html"
		}
		if q := r.URL.Query(); q.Get("type") != "" {
			as = q.Get("type")
		}
		if r.URL.Query().Has("split") {
			as = "multipart/byteranges; boundary=x"
			body = []byte(fmt.Sprintf("--x\r\nContent-Range: bytes 0-9/20\r\n\r\n%s\r\n--x--\r\n", body))
		}
		w.Header().Set("Content-Type", as)
		for len(body) > 0 { // in small pieces, which tell little
			n := min(100, len(body))
			if _, err := w.Write(body[:n]); err != nil {
				return
			}
			body = body[n:]
		}
	}))
	t.Cleanup(up.Close)
	return strings.TrimPrefix(up.URL, "http://")
}

// TestSpellings: without a token there is no method, spelling, range or type by which
// the upstream's media gets out, listed or not; and the page around the player does.
func TestSpellings(t *testing.T) {
	s := newStreams(t)
	site := strings.Replace(s.directives(""), "root "+s.dir, "", 1)
	s.base = run(t, strings.Replace(site, "file_server", "reverse_proxy "+lenient(t), 1))[0]
	token := s.token("/tv/", time.Hour)
	if resp, _ := ask.Do(t, s.client(token), "GET", s.base+"/tv/index.m3u8", ""); resp.StatusCode != 200 {
		t.Fatalf("the playlist: %d", resp.StatusCode)
	}
	refused := func(how, method, path string, header ...string) {
		t.Helper()
		status, body := raw(t, s.base, method, path, header...)
		if status != 401 || strings.Contains(body, "secret") || strings.Contains(body, "abcdef") {
			t.Errorf("%s: %s %s: %d, %d bytes", how, method, path, status, len(body))
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PROPFIND", "TRACE", "X"} {
		for _, p := range []string{"/tv/index.m3u8", "/tv/0.jpg", "/tv/1.json", "/tv/2", "/tv/3(1).png", "/tv/key.txt", "/tv/new.ts"} {
			refused("method", method, p)
			refused("half a preflight", method, p, "Origin: https://www.example.com")
		}
	}
	for _, p := range []string{
		"/tv/%30.jpg", "/tv/0%2ejpg", "/tv/0%2Ejpg", "/tv//0.jpg", "//tv/0.jpg", "/tv/./0.jpg", "/tv/x/../0.jpg", "/tv/%2e/0.jpg",
		"/tv/x/%2e%2e/0.jpg", "/tv/x//../../0.jpg", "/tv//../tv/0.jpg", "/tv%2f0.jpg", "/tv%5c0.jpg", "/tv/0.jpg;x=1", "/tv;v=1/0.jpg",
		"/tv/0.JPG", "/TV/0.jpg", "/tv/0.jpg?x=1", "/tv/0.jpg%20", "/tv/0.jpg.", "/tv/%2530.jpg", "/tv/1%2Ejson", "/tv//1.json",
		"/tv/3%281%29.png", "/tv/3%281).png", "/tv//2", "/tv/%32", "/tv/key%2Etxt", "/tv//key.txt", "/x/..;/tv/0.jpg",
	} {
		refused("spelling", "GET", p)
		refused("spelling of a picture", "GET", p+map[bool]string{true: "&", false: "?"}[strings.Contains(p, "?")]+"type=image/jpeg")
	}
	for _, p := range []string{"/tv/0.jpg", "/tv/new.jpg", "/tv/new.js", "/tv/sealed.jpg", "/tv/new", "/tv/new.html"} {
		for _, as := range []string{"image/jpeg", "application/octet-stream", "text/html", "video/mp2t", "application/json", "nonsense"} {
			refused("type", "GET", p+"?type="+as)
			refused("range", "GET", p+"?type="+as, "Range: bytes=0-9")
			refused("ranges", "GET", p+"?split&type="+as, "Range: bytes=0-9,20-29")
			refused("ranges that nobody asked for", "GET", p+"?split&type="+as)
		}
	}
	for _, p := range []string{"/tv/cover.png", "/tv/about.html", "/tv/cover", "/tv/cover.png?type=application/octet-stream"} {
		if status, body := raw(t, s.base, "GET", p); status != 200 || body == "" {
			t.Errorf("the page's %s: %d, %d bytes", p, status, len(body))
		}
	}
	for _, p := range []string{"/tv/0.jpg", "/tv/key.txt", "/tv/new.jpg?type=video/mp2t"} {
		if resp, b := ask.Do(t, s.client(token), "GET", s.base+p, ""); resp.StatusCode != 200 || b == "" {
			t.Errorf("%s with a token: %d", p, resp.StatusCode)
		}
	}
	resp, b := ask.Do(t, s.client(""), "OPTIONS", s.base+"/tv/0.jpg", "", "Origin", "https://www.example.com",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization, range")
	if h := resp.Header; resp.StatusCode != 204 || b != "" || h.Get("Access-Control-Allow-Headers") != "authorization, range" || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a preflight: %d, %d bytes, %v", resp.StatusCode, len(b), h)
	}
}

// raw sends a request as it is spelled, and returns the status and the body.
func raw(t *testing.T, base, method, target string, header ...string) (status int, body string) {
	t.Helper()
	address := strings.TrimPrefix(base, "http://")
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: " + address, "Connection: close", "Content-Length: 0"}, header...)
	if _, err := c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, _ = b.ReadFrom(c)
	_, _ = fmt.Sscanf(b.String(), "HTTP/1.1 %d", &status)
	_, body, _ = strings.Cut(b.String(), "\r\n\r\n")
	return status, body
}
