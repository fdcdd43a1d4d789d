package live_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/media"
)

var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// fakeClock is a clock that stands until it is set.
type fakeClock struct{ elapsed time.Duration }

func (c *fakeClock) now() time.Time { return epoch.Add(c.elapsed) }

func newOrigin(t testing.TB, config live.Config) *live.Origin {
	t.Helper()
	o, err := live.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func do(t testing.TB, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, h http.Handler, path string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMediaPlaylist(t *testing.T) {
	// 100 s and a bit are 50 segments, so 2 whole turns of 24 and the first two of the third.
	clock := &fakeClock{elapsed: 100*time.Second + 300*time.Millisecond}
	o := newOrigin(t, live.Config{Window: 4, Now: clock.now})
	want := `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:46
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:01:32.000Z
#EXTINF:2.000000,
seg-46.m4s
#EXTINF:2.000000,
seg-47.m4s
#EXTINF:2.000000,
seg-48.m4s
#EXTINF:2.000000,
seg-49.m4s
`
	if got := body(t, o, "/v0/index.m3u8"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	sound := body(t, o, "/a0/index.m3u8")
	for _, part := range []string{
		"#EXT-X-MEDIA-SEQUENCE:46\n", "seg-49.m4s\n",
		"#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:01:32.010Z\n", // segment 22 of a turn starts at frame 2063
		"#EXTINF:1.984000,\nseg-47.m4s\n",
	} {
		if !strings.Contains(sound, part) {
			t.Errorf("audio playlist lacks %q:\n%s", part, sound)
		}
	}
	if got, want := body(t, o, "/index.m3u8"), sampleFile(t, "index.m3u8"); got != want {
		t.Errorf("the multivariant playlist is not the sample's:\n%s", got)
	}
}

func TestDASHManifest(t *testing.T) {
	clock := &fakeClock{elapsed: 100*time.Second + 300*time.Millisecond}
	o := newOrigin(t, live.Config{Now: clock.now})
	want := `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic"
  availabilityStartTime="2025-01-01T00:00:00.000Z" publishTime="2025-01-01T00:00:00.000Z" minimumUpdatePeriod="PT60S"
  timeShiftBufferDepth="PT24S" suggestedPresentationDelay="PT6S" minBufferTime="PT2S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
      <SegmentTemplate timescale="1000000" duration="2000000" startNumber="0" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/seg-$Number$.m4s"/>
      <Representation id="v0" bandwidth="487044" codecs="avc1.4d401f" width="640" height="360"/>
      <Representation id="v1" bandwidth="213132" codecs="avc1.4d4016" width="426" height="240"/>
      <Representation id="v2" bandwidth="86544" codecs="avc1.4d400c" width="256" height="144"/>
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">
      <SegmentTemplate timescale="1000000" duration="2000000" startNumber="0" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/seg-$Number$.m4s"/>
      <Representation id="a0" bandwidth="52021" codecs="mp4a.40.2" audioSamplingRate="48000"/>
    </AdaptationSet>
  </Period>
  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="2025-01-01T00:01:40.300Z"/>
</MPD>
`
	if got := body(t, o, "/manifest.mpd"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWindowSlides(t *testing.T) {
	clock := &fakeClock{}
	o := newOrigin(t, live.Config{Now: clock.now})
	sequence := regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)
	for tick := 1; tick < 80; tick++ {
		clock.elapsed = time.Duration(tick) * 2 * time.Second
		for _, path := range []string{"/v0/index.m3u8", "/v2/index.m3u8", "/a0/index.m3u8"} {
			text := body(t, o, path)
			first, _ := strconv.Atoi(sequence.FindStringSubmatch(text)[1])
			count := strings.Count(text, "#EXTINF")
			if wantFirst, wantCount := max(0, tick-live.DefaultWindow), min(tick, live.DefaultWindow); first != wantFirst || count != wantCount {
				t.Fatalf("%s after %v: %d segments from %d, want %d from %d", path, clock.elapsed, count, first, wantCount, wantFirst)
			}
			if last := fmt.Sprintf("seg-%d.m4s\n", tick-1); !strings.HasSuffix(text, last) {
				t.Fatalf("%s after %v does not end in %s", path, clock.elapsed, last)
			}
			if strings.Contains(text, "DISCONTINUITY") || strings.Contains(text, "ENDLIST") {
				t.Fatalf("%s: a live stream without a seam has neither discontinuity nor end:\n%s", path, text)
			}
		}
		// A nanosecond earlier the last one was not there.
		clock.elapsed--
		if r := do(t, o, "GET", fmt.Sprintf("/v0/seg-%d.m4s", tick-1)); r.StatusCode != http.StatusNotFound {
			t.Fatalf("segment %d is served %v before its end", tick-1, time.Nanosecond)
		}
	}
}

func TestSegmentsComeAndGo(t *testing.T) {
	clock := &fakeClock{elapsed: 200 * time.Second} // newest is 99
	o := newOrigin(t, live.Config{Window: 5, Now: clock.now})
	for path, want := range map[string]int{
		"/v0/seg-99.m4s":  200, // newest
		"/v0/seg-95.m4s":  200, // oldest listed
		"/v0/seg-94.m4s":  200, // grace
		"/v0/seg-90.m4s":  200, // end of grace
		"/v0/seg-89.m4s":  404,
		"/v0/seg-100.m4s": 404, // not out yet
		"/a0/seg-99.m4s":  200,
		"/v0/init.mp4":    200,
		"/manifest.mpd":   200,
		// One spelling for each segment.
		"/v0/seg-099.m4s":              404,
		"/v0/seg-+99.m4s":              404,
		"/v0/seg-99":                   404,
		"/v0/seg--1.m4s":               404,
		"/v0/99.m4s":                   404,
		"/v0/seg-99999999999999999999": 404,
		"/":                            404,
		"/v0":                          404,
		"/v0/":                         404,
		"/v9/index.m3u8":               404,
		"/v0/../v0/init.mp4":           404,
	} {
		r := do(t, o, "GET", path)
		if r.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, r.StatusCode, want)
		}
		if cache := r.Header.Get("Cache-Control"); r.StatusCode == 404 && cache != "no-store" {
			t.Errorf("GET %s: a 404 that turns into a 200 later has Cache-Control %q", path, cache)
		}
	}
}

func TestDelayHoldsSegmentsBack(t *testing.T) {
	clock := &fakeClock{elapsed: 20*time.Second + 700*time.Millisecond}
	o := newOrigin(t, live.Config{Delay: 800 * time.Millisecond, Now: clock.now})
	if text := body(t, o, "/v0/index.m3u8"); !strings.HasSuffix(text, "seg-8.m4s\n") {
		t.Errorf("segment 9 ends at 20 s and is due 0.8 s later, got\n%s", text)
	}
	clock.elapsed += 100 * time.Millisecond
	if text := body(t, o, "/v0/index.m3u8"); !strings.HasSuffix(text, "seg-9.m4s\n") {
		t.Errorf("segment 9 is due now, got\n%s", text)
	}
	if mpd := body(t, o, "/manifest.mpd"); !strings.Contains(mpd, `availabilityStartTime="2025-01-01T00:00:00.800Z"`) {
		t.Errorf("the MPD promises segments before they are out:\n%s", mpd)
	}
}

func TestBeforeTheEpoch(t *testing.T) {
	clock := &fakeClock{elapsed: -3500 * time.Millisecond}
	o := newOrigin(t, live.Config{Now: clock.now})
	for _, path := range []string{"/v0/index.m3u8", "/manifest.mpd"} {
		r := do(t, o, "GET", path)
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") != "6" {
			t.Errorf("%s: %d with Retry-After %q, want 503 and 6", path, r.StatusCode, r.Header.Get("Retry-After"))
		}
	}
	if r := do(t, o, "GET", "/v0/seg-0.m4s"); r.StatusCode != http.StatusNotFound {
		t.Errorf("segment 0: %d", r.StatusCode)
	}
}

func TestTwoOriginsAgree(t *testing.T) {
	clock := &fakeClock{elapsed: 12345678 * time.Second}
	a := newOrigin(t, live.Config{Now: clock.now})
	b := newOrigin(t, live.Config{Now: clock.now, Media: media.Sample()})
	playlist := body(t, a, "/v1/index.m3u8")
	for _, line := range strings.Fields(playlist + "#\nindex.m3u8\ninit.mp4") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		path := "/v1/" + line
		ra, rb := do(t, a, "GET", path), do(t, b, "GET", path)
		if ra.Header.Get("ETag") != rb.Header.Get("ETag") || body(t, a, path) != body(t, b, path) {
			t.Errorf("%s differs between two origins of the same configuration", path)
		}
	}
}

func TestHeaders(t *testing.T) {
	clock := &fakeClock{elapsed: 100 * time.Second}
	o := newOrigin(t, live.Config{Now: clock.now})
	for path, want := range map[string]struct{ contentType, cache, modified string }{
		"/index.m3u8":    {"application/vnd.apple.mpegurl", "public, max-age=60", ""},
		"/v0/index.m3u8": {"application/vnd.apple.mpegurl", "public, max-age=1", "Wed, 01 Jan 2025 00:01:40 GMT"},
		"/manifest.mpd":  {"application/dash+xml", "public, max-age=1", "Wed, 01 Jan 2025 00:01:40 GMT"},
		"/v0/init.mp4":   {"video/mp4", "public, max-age=3600", ""},
		"/v0/seg-48.m4s": {"video/iso.segment", "public, max-age=86400, immutable", "Wed, 01 Jan 2025 00:01:38 GMT"},
		"/a0/seg-48.m4s": {"video/iso.segment", "public, max-age=86400, immutable", "Wed, 01 Jan 2025 00:01:38 GMT"},
	} {
		whole := body(t, o, path)
		head := do(t, o, "HEAD", path)
		if got := head.Header.Get("Content-Length"); got != strconv.Itoa(len(whole)) {
			t.Errorf("%s: Content-Length %s for %d bytes", path, got, len(whole))
		}
		if got := head.Header.Get("Content-Type"); got != want.contentType {
			t.Errorf("%s: Content-Type %q, want %q", path, got, want.contentType)
		}
		if got := head.Header.Get("Cache-Control"); got != want.cache {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, want.cache)
		}
		if got := head.Header.Get("Last-Modified"); got != want.modified {
			t.Errorf("%s: Last-Modified %q, want %q", path, got, want.modified)
		}
		tag := head.Header.Get("ETag")
		if r := do(t, o, "GET", path, "If-None-Match", tag); tag == "" || r.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d for its own ETag %s", path, r.StatusCode, tag)
		}
		// What a native player asks for, and a piece over the place where the rewritten head ends.
		r := do(t, o, "GET", path, "Range", "bytes=0-")
		if got, want := r.Header.Get("Content-Range"), fmt.Sprintf("bytes 0-%d/%d", len(whole)-1, len(whole)); r.StatusCode != 206 || got != want {
			t.Errorf("%s: %d, Content-Range %q, want 206 and %q", path, r.StatusCode, got, want)
		}
		from, to := 20, len(whole)-5
		w := httptest.NewRecorder()
		ranged := httptest.NewRequest("GET", path, nil)
		ranged.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
		o.ServeHTTP(w, ranged)
		if w.Body.String() != whole[from:to+1] {
			t.Errorf("%s: bytes %d to %d are not those of the whole", path, from, to)
		}
	}
	r := do(t, o, "POST", "/v0/index.m3u8")
	if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	for _, config := range []live.Config{{Window: 2}, {Window: -1}, {Delay: -1}} {
		if _, err := live.New(config); err == nil || !strings.Contains(err.Error(), "use ") {
			t.Errorf("%+v: error = %v, want one that says what to use", config, err)
		}
	}
	if _, err := live.New(live.Config{Media: fstest.MapFS{}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty media: error = %v, want fs.ErrNotExist", err)
	}
}

func TestNewRefusesWhatCannotBeLooped(t *testing.T) {
	dropLast := func(playlist string) string {
		i := strings.LastIndex(playlist, "#EXTINF")
		return playlist[:i] + "#EXT-X-ENDLIST\n"
	}
	tests := []struct {
		name, want string
		change     func(fstest.MapFS)
	}{
		{"one rendition is shorter", "has 23 segments", func(m fstest.MapFS) {
			m["v1/index.m3u8"].Data = []byte(dropLast(string(m["v1/index.m3u8"].Data)))
		}},
		{"audio is shorter by 10 ms", "trim all tracks to the same length", func(m fstest.MapFS) {
			for name, f := range m { // all of video loses its last segment, and of audio the last of 93 frames
				if strings.HasSuffix(name, "/index.m3u8") {
					f.Data = []byte(dropLast(string(f.Data)))
				}
			}
		}},
		{"a segment is missing in the middle", "must have no gap", func(m fstest.MapFS) {
			text := string(m["v0/index.m3u8"].Data)
			m["v0/index.m3u8"].Data = []byte(strings.Replace(text, "#EXTINF:2.000000,\nseg-7.m4s\n", "", 1))
		}},
		{"not fMP4", "not what the file holds", func(m fstest.MapFS) {
			m["v0/seg-3.m4s"].Data = []byte(strings.Repeat("G@\x00\x10", 47))
		}},
		{"cut off", "not what the file holds", func(m fstest.MapFS) {
			m["v0/seg-3.m4s"].Data = m["v0/seg-3.m4s"].Data[:5000]
		}},
		{"a segment of another track", "is not in the init section", func(m fstest.MapFS) {
			m["v0/seg-3.m4s"].Data = []byte(strings.Replace(string(m["v0/seg-3.m4s"].Data), "tfhd\x00\x02\x00\x38\x00\x00\x00\x01", "tfhd\x00\x02\x00\x38\x00\x00\x00\x07", 1))
		}},
		{"two renditions in one folder", "shares its folder", func(m fstest.MapFS) {
			m["v0/low.m3u8"] = m["v0/index.m3u8"]
			m["index.m3u8"].Data = []byte(strings.Replace(string(m["index.m3u8"].Data), "v1/index.m3u8", "v0/low.m3u8", 1))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := sampleCopy(t)
			tt.change(m)
			_, err := live.New(live.Config{Media: m})
			if !errors.Is(err, live.ErrMedia) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want ErrMedia with %q", err, tt.want)
			}
		})
	}
}

// Without a clock of its own the origin follows the machine's, at numbers of many millions.
func TestDefaultsAreLiveNow(t *testing.T) {
	o := newOrigin(t, live.Config{})
	before := time.Now()
	text := body(t, o, "/v0/index.m3u8")
	stamp := regexp.MustCompile(`DATE-TIME:(\S+)`).FindStringSubmatch(text)[1]
	start, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		t.Fatal(err)
	}
	end := start.Add(live.DefaultWindow * 2 * time.Second)
	if lag := time.Since(end); end.After(time.Now()) || lag > 2*time.Second+time.Since(before) {
		t.Errorf("the window ends at %v, %v ago; want less than a segment", end, lag)
	}
}

func sampleFile(t testing.TB, name string) string {
	t.Helper()
	data, err := fs.ReadFile(media.Sample(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func sampleCopy(t testing.TB) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	err := fs.WalkDir(media.Sample(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			m[path] = &fstest.MapFile{Data: []byte(sampleFile(t, path))}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
