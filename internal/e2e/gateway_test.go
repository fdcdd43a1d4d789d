package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/gateway"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/internal/program"
)

// serveGateway runs a gateway to an origin and gives its URL.
func serveGateway(t *testing.T, client *http.Client, base string, log *lines) (string, *gateway.Gateway) {
	t.Helper()
	g := gateway.New(gateway.Config{Origin: parseURL(t, base), Viewer: viewer.Config{HTTP: client, Log: log.logger(100)}})
	s := httptest.NewServer(g)
	t.Cleanup(func() {
		s.Close()
		g.Close()
	})
	return s.URL, g
}

// TestPlayer: ffmpeg plays the live stream through the gateway without an error,
// and gets a part of it from another viewer.
func TestPlayer(t *testing.T) {
	noLeaks(t)
	ffmpeg := program.Need(t, "plays through the gateway", "ffmpeg", "ffmpeg")
	base := demo(t)
	client := newClient(t)
	c := newCrowd(t)
	c.join(client, base, newOriginal(t, live.Config{}), nil)
	c.until("the other viewer to play", 20*time.Second, func(s viewer.Stats) bool { return s.Joined && s.PlayedMS > 0 })
	url, g := serveGateway(t, client, base, c.log)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-i", url+"/live/index.m3u8", "-t", "20", "-f", "null", "-")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || out.Len() > 0 {
		t.Errorf("ffmpeg: %v\n%s", err, &out)
	}
	s := g.Stats()
	t.Logf("%d bytes from peers, %d from the origin, %d given", s.PeerBytes, s.OriginBytes, s.UploadedBytes)
	if s.PeerBytes == 0 || s.OriginBytes == 0 {
		t.Error("the gateway took nothing from the other viewer, or nothing from the origin")
	}
	if t.Failed() {
		t.Log(c.log)
	}
}

// answer is what a player sees of a response.
type answer struct {
	status        int
	contentType   string
	length        int64
	contentRange  string
	body          string
	cut           bool // the body broke off
	acceptsRanges string
}

func get(t *testing.T, client *http.Client, url string, header ...string) answer {
	t.Helper()
	resp, err := client.Do(ask.Request(t, http.MethodGet, url, "", header...))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%s: %v", url, err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), resp.ContentLength, resp.Header.Get("Content-Range"),
		string(body), err != nil, resp.Header.Get("Accept-Ranges")}
}

// badOrigin serves a stream in which things go wrong.
type badOrigin struct {
	http.Handler
	goOn chan struct{} // lets the slow segment go on
}

func newBadOrigin() *badOrigin {
	b := &badOrigin{goOn: make(chan struct{})}
	good := bytes.Repeat([]byte("viewmesh"), 8<<10)
	mux := http.NewServeMux()
	mux.HandleFunc("/show/index.m3u8", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		text := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
		for _, name := range []string{"good", "missing", "broken", "short", "slow", "last"} {
			text += "#EXTINF:2.0,\n" + name + ".ts\n"
		}
		fmt.Fprint(w, text+"#EXT-X-ENDLIST\n")
	})
	serve := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(good))
	}
	mux.HandleFunc("/show/good.ts", serve)
	mux.HandleFunc("/show/last.ts", serve)
	mux.HandleFunc("/show/broken.ts", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "the packager fell over", http.StatusInternalServerError)
	})
	mux.HandleFunc("/show/short.ts", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Content-Length", fmt.Sprint(len(good)))
		_, _ = w.Write(good[:len(good)/3])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/show/slow.ts", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Content-Length", fmt.Sprint(len(good)))
		_, _ = w.Write(good[:len(good)/2])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-b.goOn:
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write(good[len(good)/2:])
	})
	b.Handler = mux
	return b
}

// TestBadOrigin: what the origin answers the player gets, as if there were no
// mesh and no gateway.
func TestBadOrigin(t *testing.T) {
	noLeaks(t)
	bad := newBadOrigin()
	packager := httptest.NewServer(bad)
	t.Cleanup(packager.Close)
	base := front(t, packager.Listener.Addr().String())[0]
	client := newClient(t)
	log := &lines{}
	url, _ := serveGateway(t, client, base, log)

	if direct, through := get(t, client, base+"/show/index.m3u8"), get(t, client, url+"/show/index.m3u8"); direct != through {
		t.Errorf("the playlist is %+v, through the gateway %+v", direct, through)
	}
	for _, name := range []string{"good", "missing", "broken", "short"} {
		direct, through := get(t, client, base+"/show/"+name+".ts"), get(t, client, url+"/show/"+name+".ts")
		if direct != through {
			t.Errorf("%s: the origin answers %s, the gateway %s", name, direct, through)
		}
	}
	for _, of := range []string{"bytes=0-", "bytes=100-199", "bytes=-5", "bytes=65535-", "bytes=65536-", "bytes=9-3", "lines=1-2"} {
		direct := get(t, client, base+"/show/last.ts", "Range", of)
		through := get(t, client, url+"/show/last.ts", "Range", of)
		if direct != through {
			t.Errorf("range %s: the origin answers %s, the gateway %s", of, direct, through)
		}
	}

	// What is there of a slow segment is passed on before the rest comes.
	resp, err := client.Get(url + "/show/slow.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	half := make([]byte, 32<<10)
	if _, err := io.ReadFull(resp.Body, half); err != nil {
		t.Fatalf("the first half of a slow segment: %v", err)
	}
	close(bad.goOn)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || len(rest) != len(half) {
		t.Errorf("the other half has %d bytes: %v", len(rest), err)
	}
	if t.Failed() {
		t.Log(log)
	}
}

// String leaves the body out.
func (a answer) String() string {
	return fmt.Sprintf("{%d %s length %d range %q body of %d bytes cut %v}", a.status, a.contentType, a.length, a.contentRange, len(a.body), a.cut)
}
