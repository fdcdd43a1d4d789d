package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/viewmesh/viewmesh/internal/program"
)

// trackerScript runs the tracker of npm's bittorrent-tracker on a port of its
// own, which it prints, until its standard input ends.
const trackerScript = `
import Server from "bittorrent-tracker/server";
const server = new Server({ udp: false, http: true, ws: true, stats: false });
server.on("listening", () => console.log(server.http.address().port));
server.listen(0, "127.0.0.1");
process.stdin.on("end", () => process.exit()).resume();
`

// startTracker gives the URL of a WebTorrent tracker.
func startTracker(t *testing.T, modules string) string {
	t.Helper()
	node := program.Need(t, "runs the tracker of p2p-media-loader", "nodejs", "node")
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, node, "--input-type=module", "--eval", trackerScript)
	cmd.Dir = filepath.Dir(modules)
	var errs strings.Builder
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cancel()
		_ = cmd.Wait() // ended by either
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the tracker says nothing: %v\n%s", err, &errs)
	}
	return "ws://127.0.0.1:" + strings.TrimSpace(port)
}

// side is what one way of carrying hls.js reached.
type side struct {
	offload        float64   // by the edge's count of what it sent
	late           int       // pages that came late
	starts, firsts []float64 // ms, of those that play and that got a byte from a peer
	behind         float64   // s behind the live edge, mean
	connected      bool      // pages did
	waits          int
}

// median gives the middle of n times, for which what is missing is endless.
func median(ms []float64, n int) float64 {
	ms = slices.Sorted(slices.Values(ms))
	if n/2 >= len(ms) {
		return math.Inf(1)
	}
	return ms[n/2]
}

func (s *side) start() float64     { return median(s.starts, s.late) }
func (s *side) firstByte() float64 { return median(s.firsts, s.late) }

// seen is what a page of beside.js tells. Times are ms from the navigation, 0 for
// not yet.
type seen struct {
	Start         float64 // it plays
	Worker        float64 // the service worker sees the page's requests
	Neighbor      float64 // the first connection
	FirstPeerByte float64
	Peer, Origin  int64   // bytes, by the carrier's own count
	Handed        int64   // bytes that hls.js was given
	Behind        float64 // s behind the live edge
	Waits         int     // stalls
}

// add takes the times of a late page.
func (s *side) add(v seen) {
	s.late++
	if v.Start > 0 {
		s.starts = append(s.starts, v.Start)
	}
	if v.FirstPeerByte > 0 {
		s.firsts = append(s.firsts, v.FirstPeerByte)
	}
}

func see(p *page) seen {
	p.t.Helper()
	var v seen
	text := eval[string](p, `JSON.stringify({ ...seen, waits }, (_, x) => (typeof x === "number" ? Math.round(x) : x))`)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		p.t.Fatal(err)
	}
	p.t.Logf("%s: %+v", p.name, v)
	return v
}

// besidePath is the page that plays a live stream, carried by what it names.
func besidePath(by, stream, tracker string) string {
	return "/beside.html?src=/" + stream + "/index.m3u8&by=" + by + "&tracker=" + url.QueryEscape(tracker)
}

// measureOffload has n pages play the live stream, each side for itself.
func measureOffload(t *testing.T, browser context.Context, modules, tracker, by string, s *side, n, play int) {
	e := startEdge(t, options{site: withPlayers(modules)})
	pages := watch(t, browser, e, n, besidePath(by, "live", tracker), play)
	var all int64
	for _, p := range pages {
		v := see(p)
		// Bytes taken ahead count for whoever took them.
		all += max(v.Peer+v.Origin, v.Handed)
		s.behind += v.Behind / float64(n)
		s.waits += v.Waits
		s.connected = s.connected || v.Neighbor > 0
	}
	s.offload = 1 - float64(e.stats().Egress)/float64(all)
}

// measureTimes has a few pages of each side play, each side a stream of its own on
// one edge, and then others come one after another, a page of each side in turn,
// and in the opposite order the next time: what the machine does besides is the
// same for all. Each stays until it has a byte from a peer, for 4 s at most.
func measureTimes(t *testing.T, browser context.Context, modules, tracker string, order []string, sides map[string]*side, late int) {
	site := withPlayers(modules)
	for _, by := range order {
		site += fmt.Sprintf("\nhandle_path /%s/* {\n demo_live\n}", by)
	}
	e := startEdge(t, options{site: site})
	for _, by := range order {
		if by != alone {
			watch(t, browser, e, 3, besidePath(by, by, tracker), 4)
		}
	}
	order = slices.Clone(order)
	for i := range late {
		for _, by := range order {
			t.Run(fmt.Sprintf("%s %d", by, i), func(t *testing.T) { // which closes the page
				p := open(t, browser, "late page", e.url(besidePath(by, by, tracker)))
				// What does not come until then is told by its times.
				_, _ = chromedp.Run(p.ctx, chromedp.Poll[bool]("globalThis.seen?.start > 0 && (seen.firstPeerByte > 0 || seen.alone)", chromedp.WithPollingTimeout(4*time.Second)))
				sides[by].add(see(p))
			})
		}
		slices.Reverse(order)
	}
}

// alone is hls.js that nobody carries.
const alone = "nothing"

// TestBeside: p2p-media-loader, as npm has it and with its defaults, carries
// hls.js in the same run as ours does, on the same stream, in the same browser,
// and ours is ahead. Its tracker is on loopback, and neither side needs a STUN
// server there. VIEWMESH_BESIDE=1 is the long measure: 60 s, our loader as well as
// our worker, and more pages that come late.
func TestBeside(t *testing.T) {
	modules := npmFolder(t)
	browser := startBrowser(t)
	tracker := startTracker(t, modules)
	const p2p = "p2p-media-loader"
	long := os.Getenv("VIEWMESH_BESIDE") != ""
	ours, play, late := []string{"worker"}, 20, 5
	if long {
		ours, play, late = []string{"worker", "loader"}, 60, 16
	}
	late = number(t, "VIEWMESH_LATE", late)
	n := number(t, "VIEWMESH_PAGES", 4)
	play = seconds(t, play)
	order := append([]string{alone, p2p}, ours...)
	sides := map[string]*side{}
	for _, by := range order {
		sides[by] = &side{}
	}
	t.Run("times", func(t *testing.T) { measureTimes(t, browser, modules, tracker, order, sides, late) })
	for _, by := range order[1:] {
		t.Run(by, func(t *testing.T) { measureOffload(t, browser, modules, tracker, by, sides[by], n, play) })
	}
	table := fmt.Sprintf("%d pages, %d s of the live stream, then %d late pages, %s\n%-17s %8s %11s %18s %12s %7s\n", n, play, late, strings.Join(packages, " "),
		"", "offload", "start-up", "first peer byte", "behind live", "stalls")
	for _, by := range order {
		s := sides[by]
		table += fmt.Sprintf("%-17s %8.3f %8.0f ms %15.0f ms %10.1f s %7d\n", by, s.offload, s.start(), s.firstByte(), s.behind, s.waits)
	}
	t.Log(table)
	if t.Failed() {
		return
	}
	theirs := sides[p2p]
	if !theirs.connected {
		t.Error("the pages of p2p-media-loader did not find each other: that shows nothing")
	}
	for _, by := range ours {
		s := sides[by]
		if s.offload <= theirs.offload {
			t.Errorf("%s: offload is %.3f, that of p2p-media-loader %.3f", by, s.offload, theirs.offload)
		}
		if s.firstByte() >= theirs.firstByte() {
			t.Errorf("%s: has bytes from peers after %.0f ms, p2p-media-loader after %.0f ms", by, s.firstByte(), theirs.firstByte())
		}
		if long && s.start() >= theirs.start() {
			t.Errorf("%s: plays after %.0f ms, p2p-media-loader after %.0f ms", by, s.start(), theirs.start())
		}
	}
}
