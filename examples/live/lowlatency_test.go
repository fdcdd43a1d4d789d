package live_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/internal/program"
)

func TestLowLatencyPlaylist(t *testing.T) {
	// One part and a bit of segment 50 are out.
	clock := &fakeClock{elapsed: 100*time.Second + 700*time.Millisecond}
	o := newOrigin(t, live.Config{Window: 8, Now: clock.now, Part: 500 * time.Millisecond})
	full := body(t, o, "/v0/index.m3u8")
	for _, want := range []string{
		"#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.560,CAN-SKIP-UNTIL=12.0\n#EXT-X-PART-INF:PART-TARGET=0.520\n#EXT-X-MEDIA-SEQUENCE:42\n",
		"#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:01:24.000Z\n#EXTINF:2.000000,\nseg-42.m4s\n#EXTINF",
		"seg-46.m4s\n#EXT-X-PART:DURATION=0.480000,URI=\"seg-47.0.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.520000,URI=\"seg-47.1.m4s\"\n",
		"#EXTINF:2.000000,\nseg-49.m4s\n#EXT-X-PART:DURATION=0.480000,URI=\"seg-50.0.m4s\",INDEPENDENT=YES\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-50.1.m4s\"\n",
		"#EXT-X-RENDITION-REPORT:URI=\"../v1/index.m3u8\",LAST-MSN=50,LAST-PART=0\n",
	} {
		if !strings.Contains(full, want) {
			t.Errorf("there is no\n%s\nin\n%s", want, full)
		}
	}
	delta := body(t, o, "/v0/index.m3u8?_HLS_skip=YES")
	if !strings.Contains(delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n") || strings.Contains(delta, "seg-43.m4s") || !strings.Contains(delta, "seg-44.m4s") {
		t.Errorf("a delta update is\n%s", delta)
	}
}

// The parts of a segment make it up, whatever they are called, and a range of the segment that is being made is one
// of them.
func TestPartsMakeUpTheirSegment(t *testing.T) {
	clock := &fakeClock{elapsed: 101*time.Second + 100*time.Millisecond}
	named := newOrigin(t, live.Config{Now: clock.now, Part: 500 * time.Millisecond})
	ranged := newOrigin(t, live.Config{Now: clock.now, Part: 500 * time.Millisecond, PartRanges: true})
	for _, rendition := range []string{"v2", "a0"} {
		sum := ""
		for part := range 4 {
			sum += body(t, named, fmt.Sprintf("/%s/seg-49.%d.m4s", rendition, part))
		}
		if sum != body(t, named, "/"+rendition+"/seg-49.m4s") || sum != body(t, ranged, "/"+rendition+"/seg-49.m4s") {
			t.Errorf("%s: the parts are not the segment", rendition)
		}
		first, second := body(t, named, "/"+rendition+"/seg-50.0.m4s"), body(t, named, "/"+rendition+"/seg-50.1.m4s")
		from, to := len(first), len(first)+len(second)-1
		r := do(t, ranged, http.MethodGet, "/"+rendition+"/seg-50.m4s", "Range", fmt.Sprintf("bytes=%d-%d", from, to))
		b, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusPartialContent || string(b) != second || r.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/*", from, to) {
			t.Errorf("%s: a range of what is being made: %s, %d bytes, %s", rendition, r.Status, len(b), r.Header.Get("Content-Range"))
		}
		list := body(t, ranged, "/"+rendition+"/index.m3u8")
		if !strings.Contains(list, fmt.Sprintf("URI=\"seg-50.m4s\",BYTERANGE=\"%d@%d\"", len(second), from)) ||
			!strings.Contains(list, fmt.Sprintf("URI=\"seg-50.m4s\",BYTERANGE-START=%d,", to+1)) {
			t.Errorf("%s: no range of part 1, or no hint behind it, in\n%s", rendition, list)
		}
		for _, path := range []string{"/seg-50.3.m4s", "/seg-49.4.m4s", "/seg-50.m4s", "/seg-9.0.m4s"} {
			if r := do(t, named, http.MethodGet, "/"+rendition+path); r.StatusCode != http.StatusNotFound {
				t.Errorf("%s%s: %s, want 404", rendition, path, r.Status)
			}
		}
	}
}

// runningClock is a clock that runs when it is told to.
type runningClock struct {
	mu   sync.Mutex
	from time.Time
	at   time.Duration
}

func (c *runningClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from.IsZero() {
		return epoch.Add(c.at)
	}
	return epoch.Add(c.at + time.Since(c.from))
}

func (c *runningClock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from = time.Now()
}

// A reload for what is not there yet, and a request for the part that is hinted at, wait until it is.
func TestBlockingReload(t *testing.T) {
	for path, want := range map[string]string{
		"/v0/index.m3u8?_HLS_msn=50&_HLS_part=1": `URI="seg-50.1.m4s"`,
		"/v0/index.m3u8?_HLS_msn=49&_HLS_part=5": `URI="seg-50.0.m4s"`, // beyond the last part: the first of the next
		"/v0/seg-50.1.m4s":                       "moof",
	} {
		clock := &runningClock{at: 100*time.Second + 850*time.Millisecond}
		o := newOrigin(t, live.Config{Now: clock.now, Part: 500 * time.Millisecond})
		if strings.Contains(body(t, o, "/v0/index.m3u8"), `PART:DURATION=0.520000,URI="seg-50.1.m4s"`) {
			t.Fatal("the part is there too early")
		}
		clock.run()
		if got := body(t, o, path); !strings.Contains(got, want) {
			t.Errorf("%s: no %s in %d bytes", path, want, len(got))
		}
		if now := clock.now().Sub(epoch); !strings.Contains(path, "part=5") && now < 101*time.Second {
			t.Errorf("%s: answered at %v", path, now)
		}
	}
	clock := &fakeClock{elapsed: 100 * time.Second}
	o := newOrigin(t, live.Config{Now: clock.now, Part: 500 * time.Millisecond})
	for _, q := range []string{"_HLS_msn=52", "_HLS_msn=-1", "_HLS_msn=x", "_HLS_part=0", "_HLS_msn=50&_HLS_part=x"} {
		if r := do(t, o, http.MethodGet, "/v0/index.m3u8?"+q); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s, want 400", q, r.Status)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	o.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v0/index.m3u8?_HLS_msn=51", nil).WithContext(gone))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("a player that has gone gets %d", w.Code)
	}
}

// Parts decode one after another, over the end of the loop, with no frame lost and none twice.
func TestPartsDecode(t *testing.T) {
	ffmpeg := program.Need(t, "plays the live stream", "ffmpeg", "ffmpeg")
	clock := &fakeClock{elapsed: 110 * time.Second}
	o := newOrigin(t, live.Config{Now: clock.now, Part: 500 * time.Millisecond})
	for rendition, frames := range map[string]int{"v2": 8 * 50, "a0": 8*2*48000/1024 + 1} {
		file := body(t, o, "/"+rendition+"/init.mp4")
		for n := 44; n < 52; n++ {
			for part := range 4 {
				file += body(t, o, fmt.Sprintf("/%s/seg-%d.%d.m4s", rendition, n, part))
			}
		}
		name := filepath.Join(t.TempDir(), rendition+".mp4")
		if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "warning", "-nostdin", "-xerror", "-i", name, "-f", "null", "-").CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: ffmpeg: %v: %s", rendition, err, out)
		}
		out, err = exec.CommandContext(t.Context(), program.Need(t, "plays the live stream", "ffmpeg", "ffprobe"), "-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", name).Output()
		if got := len(strings.Fields(string(out))); err != nil || got < frames-1 || got > frames {
			t.Errorf("%s: %d frames, want %d: %v", rendition, got, frames, err)
		}
	}
}

func TestPartsThatCannotBe(t *testing.T) {
	for _, part := range []time.Duration{time.Millisecond, -time.Second} {
		if _, err := live.New(live.Config{Part: part}); err == nil || !strings.Contains(err.Error(), "at least 100ms") {
			t.Errorf("parts of %v: %v", part, err)
		}
	}
}
