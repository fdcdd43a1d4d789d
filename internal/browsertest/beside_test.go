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
	starts, firsts []float64 // ms, of the pages that found others there; firsts has only those that got a byte from a peer
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

func (s *side) start() float64     { return median(s.starts, len(s.starts)) }
func (s *side) firstByte() float64 { return median(s.firsts, len(s.starts)) }

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

// add takes the times of a page that found others there.
func (s *side) add(v seen) {
	s.starts = append(s.starts, v.Start)
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

// measure has n pages play the live stream, and then others come one after
// another, each until it has a byte from a peer.
func measure(t *testing.T, browser context.Context, modules, by, tracker string, n, play, late int) (s side) {
	e := startEdge(t, options{site: withPlayers(modules)})
	path := "/beside.html?src=/live/index.m3u8&by=" + by + "&tracker=" + url.QueryEscape(tracker)
	pages := watch(t, browser, e, n, path, play)
	var all int64
	for i, p := range pages {
		v := see(p)
		// Bytes taken ahead count for whoever took them.
		all += max(v.Peer+v.Origin, v.Handed)
		s.behind += v.Behind / float64(n)
		s.waits += v.Waits
		s.connected = s.connected || v.Neighbor > 0
		if i > 0 {
			s.add(v)
		}
	}
	s.offload = 1 - float64(e.stats().Egress)/float64(all)
	for i := range late {
		t.Run(fmt.Sprintf("late %d", i), func(t *testing.T) { // which closes the page
			p := open(t, browser, "late page", e.url(path))
			// That it never gets a byte is told by its times.
			_, _ = chromedp.Run(p.ctx, chromedp.Poll[bool]("globalThis.seen?.start > 0 && (seen.firstPeerByte > 0 || seen.alone)", chromedp.WithPollingTimeout(8*time.Second)))
			s.add(see(p))
		})
	}
	return s
}

// TestBeside: p2p-media-loader, as npm has it and with its defaults, carries
// hls.js in the same run as ours does, on the same stream, in the same browser.
// Its tracker is on loopback, and neither side needs a STUN server there.
//
// By default it shows that both work, and prints a table. VIEWMESH_BESIDE=1 is the
// long measure, in which ours has to be ahead: 60 s, our loader as well as our
// worker, and eight pages more that come late, which make medians of the times
// that are worth comparing. Start-up is printed and not held against either: most
// of it is hls.js's own, as the row without a carrier says, and what is left is
// less than what a busy machine adds.
func TestBeside(t *testing.T) {
	modules := npmFolder(t)
	browser := startBrowser(t)
	tracker := startTracker(t, modules)
	long := os.Getenv("VIEWMESH_BESIDE") != ""
	ours, play, late := []string{"worker"}, 20, 0
	if long {
		ours, play, late = []string{"worker", "loader"}, 60, 8
	}
	n := number(t, "VIEWMESH_PAGES", 4)
	play = seconds(t, play)
	table := fmt.Sprintf("%d pages, %d s of the live stream, %s\n%-17s %8s %11s %18s %12s %7s\n", n, play, strings.Join(packages, " "),
		"", "offload", "start-up", "first peer byte", "behind live", "stalls")
	sides := map[string]*side{}
	// The first round warms the browser, and says what hls.js does alone.
	for _, by := range append([]string{"nothing", "p2p-media-loader"}, ours...) {
		t.Run(by, func(t *testing.T) {
			s := &side{}
			if by == "nothing" {
				*s = measure(t, browser, modules, by, tracker, 2, 4, late)
			} else {
				*s = measure(t, browser, modules, by, tracker, n, play, late)
			}
			sides[by] = s
			table += fmt.Sprintf("%-17s %8.3f %8.0f ms %15.0f ms %10.1f s %7d\n", by, s.offload, s.start(), s.firstByte(), s.behind, s.waits)
		})
	}
	t.Log(table)
	if t.Failed() {
		return
	}
	theirs := sides["p2p-media-loader"]
	if !theirs.connected {
		t.Error("the pages of p2p-media-loader did not find each other: that shows nothing")
	}
	for _, by := range ours {
		s := sides[by]
		if s.offload < 0.4 {
			t.Errorf("%s: offload is %.3f", by, s.offload)
		}
		if !long {
			continue
		}
		if s.offload <= theirs.offload {
			t.Errorf("%s: offload is %.3f, that of p2p-media-loader %.3f", by, s.offload, theirs.offload)
		}
		if s.firstByte() >= theirs.firstByte() {
			t.Errorf("%s: has bytes from peers after %.0f ms, p2p-media-loader after %.0f ms", by, s.firstByte(), theirs.firstByte())
		}
	}
}
