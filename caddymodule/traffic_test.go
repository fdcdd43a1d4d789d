package caddymodule_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestReloadsUnderTraffic reloads while viewers load manifests and segments, open
// sessions and talk over signaling: no body is wrong and no socket is lost.
func TestReloadsUnderTraffic(t *testing.T) {
	dir := vod(t, 4, 50_000)
	e := newEdge(t)
	site := func(i int) string {
		return fmt.Sprintf("mesh {\n report_interval %ds\n stats\n }\n root %s\n file_server", 5+i, dir)
	}
	e.load("", site(0))
	var sockets []*socket
	for range 12 {
		sockets = append(sockets, e.connect(e.openSession("/vod/index.m3u8")))
	}
	var stop atomic.Bool
	var requests atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				v := fmt.Sprintf("v%d", (i+n)%2)
				name := fmt.Sprintf("seg-%d.m4s", n%4)
				for _, path := range []string{"/vod/index.m3u8", "/vod/" + v + "/index.m3u8", "/vod/" + v + "/" + name, "/mesh/stats"} {
					resp, body, err := e.try("GET", path, "")
					switch {
					case err != nil:
						t.Errorf("%s: %v", path, err)
					case resp.StatusCode != 200:
						t.Errorf("%s: %d", path, resp.StatusCode)
					case path[len(path)-4:] == ".m4s" && !bytes.Equal(body, pattern(v+name, 50_000)):
						t.Errorf("%s: the body is wrong", path)
					}
					requests.Add(1)
				}
			}
		})
	}
	for _, s := range sockets {
		wg.Go(func() {
			s.announce(0)
			for !stop.Load() {
				s.send(&signal.Message{Type: signal.ReportMsg, Report: &signal.Report{PlayedMS: 1}})
				s.announce(2)
			}
		})
	}
	for i := range 8 {
		e.load("", site(i+1))
		before := requests.Load()
		waitFor(t, func() bool { return requests.Load() > before+8 })
	}
	stop.Store(true)
	wg.Wait()
	if st := decodeStats(t, e); st.Sessions != len(sockets) {
		t.Errorf("%d sessions are left of %d", st.Sessions, len(sockets))
	}
}
