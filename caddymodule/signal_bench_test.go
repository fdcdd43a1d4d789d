package caddymodule_test

import (
	"fmt"
	"net/http"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// crowd opens n signaling WebSockets into one swarm of a Caddy in this process.
// Both ends are in it, so what is measured is an upper bound for the edge.
func crowd(b *testing.B, n int) (conns []*websocket.Conn) {
	b.Helper()
	addr := freeport.Addr(b)
	caddytest.Start(b, fmt.Sprintf("{\n%smesh {\n stun off\n }\n servers {\n trusted_proxies static 127.0.0.0/8\n }\n}\nhttp://%s {\n log {\n output discard\n }\n mesh\n root %s\n file_server\n}\n", caddytest.Options(b), addr, vod(b, 1, 100)))
	client := newClient()
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + addr + "/vod/index.m3u8")
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	_, swarm, _ := strings.Cut(resp.Header.Get(headerBootstrap), `swarm="`)
	swarm, _, _ = strings.Cut(swarm, `"`)
	dialer := websocket.Dialer{ReadBufferSize: 512, WriteBufferSize: 512}
	for i := range n {
		pass, err := caddymodule.CurrentKeys().SignPass(tokens.Pass{
			Peer: wire.PeerID(i + 1).String(), Swarm: swarm, Scope: []string{"/vod/"}, Issued: time.Now(), Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			b.Fatal(err)
		}
		// Each from an address of its own, so that no limit of one is in the way.
		from := http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.113.%d", i%250)}}
		ws, _, err := dialer.Dial("ws://"+addr+"/mesh/signal", from)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { ws.Close() })
		if err := ws.WriteMessage(websocket.TextMessage, signal.Encode(&signal.Message{Type: signal.Hello, Pass: pass})); err != nil {
			b.Fatal(err)
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, ws)
	}
	return conns
}

// BenchmarkAnnounce has a swarm of 1,000 announce in turn, each asking for ten
// peers. Compare npm bittorrent-tracker: 23,000 to 37,000 answers a core-second,
// without the cost of the client, which is in the figure here.
func BenchmarkAnnounce(b *testing.B) {
	conns := crowd(b, 1000)
	frame := signal.Encode(&signal.Message{Type: signal.Announce,
		Announcement: &signal.Announcement{Rendition: "/live/v0/index.m3u8", Live: true, Upload: true, Want: 10, Neighbors: 5}})
	before := cpuTime()
	n := 0
	for b.Loop() {
		ws := conns[n%len(conns)]
		n++
		if err := ws.WriteMessage(websocket.TextMessage, frame); err != nil {
			b.Fatal(err)
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/(cpuTime()-before).Seconds(), "answers/cpu-s")
}

// BenchmarkIdleSocket reports the memory that an idle signaling WebSocket takes in
// the process, its client's end included.
func BenchmarkIdleSocket(b *testing.B) {
	const n = 2000
	for b.Loop() {
		inUse := func() float64 {
			goruntime.GC()
			goruntime.GC()
			var m goruntime.MemStats
			goruntime.ReadMemStats(&m)
			return float64(m.HeapInuse + m.StackInuse)
		}
		before := inUse()
		conns := crowd(b, n)
		b.ReportMetric((inUse()-before)/n/1024, "KiB/socket")
		for _, c := range conns {
			c.Close()
		}
	}
}
