package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// narrow serves four segments of 300 kB over an uplink of 60 kB/s.
func narrow(t *testing.T, options string) *edge {
	e := newEdge(t)
	e.load("", "mesh {\n capacity 60kB\n "+options+"\n }\n root "+vod(t, 4, 300_000)+"\n file_server")
	return e
}

// take asks for a segment and reads its first byte; the rest is left on its way.
func (e *edge) take(segment int) {
	e.t.Helper()
	resp, err := e.client.Get(e.url(fmt.Sprintf("/vod/v0/seg-%d.m4s", segment)))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { resp.Body.Close() })
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		e.t.Fatal(err)
	}
}

// TestScarce: while segments wait for each other what is small goes out all the same, and
// says that the origin is scarce.
func TestScarce(t *testing.T) {
	e := narrow(t, "")
	first := e.openSession("/vod/index.m3u8")
	if first.OriginWaitMS != 0 {
		t.Errorf("before anybody asks for a segment, one waits for %d ms", first.OriginWaitMS)
	}
	s := e.connect(first)
	e.get("/vod/v0/index.m3u8")
	for i := range 3 {
		e.take(i)
	}
	if a := e.openSession("/vod/index.m3u8"); a.OriginWaitMS < 10_000 {
		t.Errorf("behind 900 kB at 54 kB/s a segment waits for %d ms", a.OriginWaitMS)
	}
	if m := s.until(signal.Peers); m.OriginWaitMS < 1000 {
		t.Errorf("who had come before learns that a segment waits for %d ms", m.OriginWaitMS)
	}
	if m := s.announce(4); m.OriginWaitMS < 1000 {
		t.Errorf("a list of peers says that a segment waits for %d ms", m.OriginWaitMS)
	}
}

// overloaded waits until segments have waited for too long for a while, and returns the
// last answer to a request for a session.
func (e *edge) overloaded(until func(*http.Response) bool) (*http.Response, []byte) {
	e.t.Helper()
	body := fmt.Sprintf(`{"v":1,"swarm":%q}`, e.swarmOf("/vod/index.m3u8"))
	e.get("/vod/v0/index.m3u8")
	for i := range 3 {
		e.take(i)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, b := e.do(http.MethodPost, "/mesh/session", body)
		if until(resp) || time.Now().After(end) {
			return resp, b
		}
	}
}

// TestOverloadRefuse: once segments have waited for too long, there are no more sessions,
// and the answer says when to come again.
func TestOverloadRefuse(t *testing.T) {
	e := narrow(t, "overload refuse")
	resp, b := e.overloaded(func(resp *http.Response) bool { return resp.StatusCode != http.StatusOK })
	var p problem
	if err := json.Unmarshal(b, &p); err != nil || resp.StatusCode != http.StatusServiceUnavailable || p.Code != "overloaded" {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || after < 10 {
		t.Errorf("Retry-After: %q", resp.Header.Get("Retry-After"))
	}
}

// TestOverloadOthers: with pass and degrade there are sessions all the same.
func TestOverloadOthers(t *testing.T) {
	for _, option := range []string{"overload pass", "overload degrade"} {
		t.Run(option, func(t *testing.T) {
			e := narrow(t, option)
			after := time.Now().Add(3 * time.Second)
			if resp, b := e.overloaded(func(*http.Response) bool { return time.Now().After(after) }); resp.StatusCode != http.StatusOK {
				t.Errorf("%d %s", resp.StatusCode, b)
			}
		})
	}
}

// TestCapacityKeepsBodies: a body that waits for its turn is the same as one that does not.
func TestCapacityKeepsBodies(t *testing.T) {
	for _, server := range []string{"file_server", "file_server {\n precompressed\n }"} {
		e := newEdge(t)
		dir := vod(t, 2, 300_000)
		e.load("", "root "+dir+"\n "+server)
		_, want := e.get("/vod/v0/seg-1.m4s")
		e.load("", "mesh {\n capacity 2MB\n }\n root "+dir+"\n "+server)
		e.get("/vod/v0/index.m3u8")
		for range 2 { // with a digest that is new, and one that is known
			if resp, got := e.get("/vod/v0/seg-1.m4s"); string(got) != string(want) || resp.Header.Get(headerSegment) == "" {
				t.Errorf("%d bytes, want %d; %v", len(got), len(want), resp.Header)
			}
		}
		if resp, got := e.get("/vod/v0/seg-1.m4s", "Range", "bytes=100000-199999"); string(got) != string(want[100_000:200_000]) {
			t.Errorf("%d: %d bytes of a range", resp.StatusCode, len(got))
		}
	}
}
