// Package browsertest plays the demo's streams in headless Chromium, with the
// browser peer of meshcore/browser and a real Caddy in this process.
package browsertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/viewmesh/viewmesh"
	_ "github.com/viewmesh/viewmesh/examples/live/caddylive"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// edge is a Caddy with the module, the streams of the demo and the pages of
// testdata.
type edge struct {
	t    *testing.T
	addr string

	begun traffic // when each page of watch had played ten seconds; zero for short plays
}

// stats is what GET /mesh/stats answers.
type stats struct {
	Sessions int     `json:"sessions"`
	Peer     int64   `json:"peer_bytes"`
	Origin   int64   `json:"origin_bytes"`
	Relayed  int64   `json:"relayed_bytes"`
	Egress   int64   `json:"origin_egress_bytes"`
	Offload  float64 `json:"offload"`
	Saving   float64 `json:"saving"`
	Up       int64   `json:"relay_up_bytes"`
	Down     int64   `json:"relay_down_bytes"`
}

// silent makes every endpoint of the mesh answer 503, and breaks no connection.
var silent atomic.Bool

// told is what pages that no test can look into say of themselves, by what they
// post to /told.
var told atomic.Value

// halting is the path of the segment whose next response is to stop half-way, and resumed
// how many requests for the rest of one came.
var (
	halting atomic.Value
	resumed atomic.Int64
)

// segmentRate is the bytes/s of the way from the origin, which all responses that
// carry a segment share; 0 is no bound.
var segmentRate atomic.Int64

func init() {
	caddy.RegisterModule(&gate{})
	httpcaddyfile.RegisterHandlerDirective("test_gate", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return &gate{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_gate", httpcaddyfile.Before, "encode")
}

// gate stands before the mesh handler, for tests of an edge that stops answering
// or is slow, and of pages that report to it.
type gate struct{}

func (*gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_gate", New: func() caddy.Module { return new(gate) }}
}

func (*gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if silent.Load() && strings.HasPrefix(r.URL.Path, "/mesh/") {
		w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	if r.URL.Path == "/told" && r.Method == http.MethodPost {
		b, err := io.ReadAll(r.Body)
		told.Store(b)
		return err
	}
	if strings.HasSuffix(r.URL.Path, ".m4s") {
		way.Lock()
		way.asked[r.URL.Path]++
		way.Unlock()
		if strings.HasSuffix(r.Header.Get("Range"), "-") && r.Header.Get("Range") != "bytes=0-" {
			resumed.Add(1)
		}
		if halting.CompareAndSwap(r.URL.Path, "") {
			w = &halts{w, r.Context().Done(), 0}
		}
		if rate := segmentRate.Load(); rate > 0 {
			w = &slow{w, rate}
		}
	}
	return next.ServeHTTP(w, r)
}

// halts writes some kilobytes, and then nothing until the other side has had enough.
type halts struct {
	http.ResponseWriter
	over <-chan struct{}
	n    int
}

func (h *halts) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *halts) Write(p []byte) (int, error) {
	const most = 8 << 10
	k := min(len(p), most-h.n)
	n, err := h.ResponseWriter.Write(p[:k])
	if h.n += n; err == nil && h.n == most {
		_ = http.NewResponseController(h.ResponseWriter).Flush()
		select {
		case <-h.over:
		case <-time.After(time.Minute):
		}
		return n, io.ErrClosedPipe
	}
	return n, err
}

// slow writes at the rate of a way that all share.
type slow struct {
	http.ResponseWriter
	rate int64
}

// way is when the way from the origin is free, and what went over it.
var way struct {
	sync.Mutex
	free  time.Time
	asked map[string]int // requests by path
}

func (s *slow) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *slow) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		k := min(len(p), 2048)
		way.Lock()
		if now := time.Now(); way.free.Before(now) {
			way.free = now
		}
		way.free = way.free.Add(time.Duration(int64(k) * int64(time.Second) / s.rate))
		through := way.free
		way.Unlock()
		time.Sleep(time.Until(through))
		var m int
		m, err = s.ResponseWriter.Write(p[:k])
		if err == nil {
			err = http.NewResponseController(s.ResponseWriter).Flush()
		}
		n += m
		p = p[m:]
	}
	return n, err
}

// limit bounds the way from the origin, of which nobody has asked anything yet.
func limit(rate int64) {
	segmentRate.Store(rate)
	way.Lock()
	defer way.Unlock()
	way.asked = map[string]int{}
}

// asked is how many requests the origin has had below a path since the last limit.
func asked(path string) (n int) {
	way.Lock()
	defer way.Unlock()
	for p, k := range way.asked {
		if strings.HasPrefix(p, path) {
			n += k
		}
	}
	return n
}

// withPlayers is a site's directive that serves a folder of npm packages below
// /npm/.
func withPlayers(folder string) string {
	return fmt.Sprintf("handle_path /npm/* {\n root %s\n file_server\n }", folder)
}

// options are lines of the Caddyfile.
type options struct {
	global string // of the global option mesh; no STUN unless given
	mesh   string // of the directive mesh
	live   string // of demo_live
	site   string // further directives
	report string // the report interval, 1s unless given
}

// startEdge starts Caddy.
func startEdge(t *testing.T, o options) *edge {
	t.Helper()
	if o.global == "" {
		o.global = "stun off"
	}
	if o.report == "" {
		o.report = "1s"
	}
	silent.Store(false)
	limit(0)
	addr := freeport.Addr(t)
	caddyfile := fmt.Sprintf(`{
		%s
		servers {
			listener_wrappers {
				proxy_protocol {
					allow 127.0.0.0/8
				}
			}
		}
		mesh {
			%s
		}
	}
	http://%s {
		test_gate
		mesh {
			stats
			report_interval %s
			%s
		}
		handle_path /live/* {
			demo_live {
				%s
			}
		}
		handle_path /vod/* {
			root %s
			file_server
		}
		handle_path /demo/* {
			root %s
			file_server
		}
		%s
		handle {
			root %s
			file_server
		}
	}`, caddytest.Options(t), o.global, addr, o.report, o.mesh, o.live, absolute(t, "../../examples/media/sample"),
		absolute(t, "../../examples/media/www"), o.site, absolute(t, "testdata"))
	caddytest.Start(t, caddyfile)
	return &edge{t: t, addr: addr}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func (e *edge) url(path string) string { return "http://" + e.addr + path }

func (e *edge) stats() stats {
	e.t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(e.url("/mesh/stats"))
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	var s stats
	if err := json.Unmarshal(b, &s); err != nil {
		e.t.Fatalf("stats: %v: %s", err, b)
	}
	return s
}
