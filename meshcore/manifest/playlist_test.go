package manifest_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// live is where the playlists of these tests come from.
var live, _ = url.Parse("https://example.com/live/v0/index.m3u8?token=1")

func parse(t *testing.T, text string) *manifest.Playlist {
	t.Helper()
	p, err := manifest.ReadHLS([]byte(text), manifest.Source{URL: live})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const lowLatencyText = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:40
#EXT-X-MAP:URI="init.mp4",BYTERANGE="700@0"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05Z
#EXTINF:2,
seg-40.m4s
#EXT-X-PART:DURATION=0.5,URI="seg-41.m4s",BYTERANGE="100@0",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="seg-41.m4s",BYTERANGE="90"
#EXT-X-PART:DURATION=0.999,URI="seg-41.m4s",BYTERANGE="80",GAP=YES
#EXTINF:2,
seg-41.m4s
#EXT-X-PART:DURATION=0.5,URI="seg-42.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="other.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="seg-42.1.m4s"
#EXT-X-RENDITION-REPORT:URI="../v1/index.m3u8",LAST-MSN=42,LAST-PART=0
`

func TestMultivariant(t *testing.T) {
	p := parse(t, "#EXTM3U\r\n"+
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"one, two\",DEFAULT=YES,URI=\"../a0/index.m3u8\"\r\n"+
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"muxed\"\r\n"+
		"#EXT-X-STREAM-INF:AUDIO=\"a\",CODECS=\"avc1.4d401f,mp4a.40.2\",BANDWIDTH=500000\r\n"+
		"\r\n# a comment\r\nindex.m3u8\r\n")
	if !p.Multivariant || len(p.Variants) != 1 || len(p.Renditions) != 2 {
		t.Fatalf("%d variants, %d renditions", len(p.Variants), len(p.Renditions))
	}
	if v := p.Variants[0]; v.URL.String() != "https://example.com/live/v0/index.m3u8" || v.Audio != "a" || v.Bandwidth != 500000 {
		t.Errorf("variant %+v", v)
	}
	if r := p.Renditions[0]; r.URL.Path != "/live/a0/index.m3u8" || r.Name != "one, two" || !r.Default || r.Type != "AUDIO" {
		t.Errorf("rendition %+v", r)
	}
	if r := p.Renditions[1]; r.URL != nil || r.Default {
		t.Errorf("rendition without URI %+v", r)
	}
}

func TestMedia(t *testing.T) {
	p := parse(t, `#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.500+01:00
#EXTINF:3.84,title, with a comma
#EXT-X-BYTERANGE:100@720
all.mp4
#EXTINF:4
#EXT-X-BYTERANGE:50
all.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="other.mp4"
#EXT-X-GAP
#EXTINF:2.5,
/x/seg%20.m4s?k=v
https://elsewhere.example/not-timed.m4s
`)
	if p.Multivariant || p.Target != 4*time.Second || p.Sequence != 7 || p.Ended || len(p.Segments) != 3 {
		t.Fatalf("%+v", p)
	}
	a, b, c := p.Segments[0], p.Segments[1], p.Segments[2]
	if a.Offset != 720 || a.Length != 100 || a.Sequence != 7 || a.Duration != 3840*time.Millisecond || a.Init.Length != 720 {
		t.Errorf("first segment %+v", a)
	}
	if b.Offset != 820 || b.Length != 50 || b.Sequence != 8 || b.At.Sub(a.At) != a.Duration || b.Discontinuity {
		t.Errorf("second segment %+v", b)
	}
	if c.URL.EscapedPath() != "/x/seg%20.m4s" || c.URL.RawQuery != "k=v" || !c.Gap || !c.Discontinuity || !c.At.IsZero() ||
		c.Init.URL.Path != "/live/v0/other.mp4" || c.Length != 0 {
		t.Errorf("third segment %+v", c)
	}
}

func TestLowLatency(t *testing.T) {
	p := parse(t, lowLatencyText)
	l := p.Low
	if l == nil || l.PartTarget != 500*time.Millisecond || l.PartHoldBack != 1500*time.Millisecond || l.HoldBack != 6*time.Second ||
		!l.BlockReload || l.SkipUntil != 12*time.Second {
		t.Fatalf("%+v", l)
	}
	if l.Hint == nil || l.Hint.URL.Path != "/live/v0/seg-42.1.m4s" || l.HintOpen || len(l.Tail) != 1 {
		t.Errorf("hint %+v behind %d parts", l.Hint, len(l.Tail))
	}
	var line manifest.Timeline
	units := line.Units(p, 0, true)
	begin := time.Duration(p.Segments[0].At.UnixNano())
	type want struct {
		sequence         int64
		part             int
		start, duration  time.Duration
		offset, length   int64
		independent, gap bool
	}
	for i, w := range []want{
		{40, manifest.Whole, 0, 2 * time.Second, 0, 0, true, false},
		{41, 0, 2000 * time.Millisecond, 500 * time.Millisecond, 0, 100, true, false},
		{41, 1, 2500 * time.Millisecond, 500 * time.Millisecond, 100, 90, false, false},
		{41, 2, 3000 * time.Millisecond, 1000 * time.Millisecond, 190, 80, false, true},
		{42, 0, 4000 * time.Millisecond, 500 * time.Millisecond, 0, 0, true, false},
	} {
		u := units[i]
		if got := (want{u.Sequence, u.Part, u.Start - begin, u.Duration, u.Offset, u.Length, u.Independent, u.Gap}); got != w {
			t.Errorf("unit %d is %+v, want %+v", i, got, w)
		}
		if u.Init == nil || u.Init.Length != 700 {
			t.Errorf("unit %d has the init section %+v", i, u.Init)
		}
	}
	if len(units) != 5 {
		t.Errorf("%d units", len(units))
	}
	whole := new(manifest.Timeline).Units(p, 0, false)
	if len(whole) != 2 || whole[1].Part != manifest.Whole || whole[1].Start-begin != 2*time.Second {
		t.Errorf("without parts: %+v", whole)
	}
}

// TestHintedRange: a hint may say from where on, and not up to where.
func TestHintedRange(t *testing.T) {
	for text, want := range map[string]struct {
		offset, length int64
		open           bool
	}{
		`BYTERANGE-START=270`:                     {270, 0, true},
		`BYTERANGE-START=270,BYTERANGE-LENGTH=50`: {270, 50, false},
	} {
		l := parse(t, "#EXTM3U\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\","+text).Low
		if l.Hint.Offset != want.offset || l.Hint.Length != want.length || l.HintOpen != want.open {
			t.Errorf("%s: %+v, open %v", text, l.Hint, l.HintOpen)
		}
	}
}

// TestUpdates: a request for what comes next names it, and keeps what the URL had.
func TestUpdates(t *testing.T) {
	p := parse(t, lowLatencyText)
	if u, blocks := p.Update(live, false); u.RawQuery != "token=1&_HLS_msn=42&_HLS_part=1" || !blocks {
		t.Errorf("next %s, blocks %v", u, blocks)
	}
	if u, _ := p.Update(live, true); u.RawQuery != "token=1&_HLS_msn=42&_HLS_part=1&_HLS_skip=YES" {
		t.Errorf("next %s", u)
	}
	if u, blocks := parse(t, "#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXTINF:1,\nx").Update(live, false); u.RawQuery != "token=1&_HLS_msn=1" || !blocks {
		t.Errorf("without parts: next %s, blocks %v", u, blocks)
	}
	for _, text := range []string{"#EXTM3U\n#EXTINF:1,\nx", lowLatencyText + "#EXT-X-ENDLIST"} {
		if u, blocks := parse(t, text).Update(live, true); u != live || blocks {
			t.Errorf("next %s, blocks %v, of %q", u, blocks, text[:20])
		}
	}
}

// TestDelta: what an update leaves out is what it was before.
func TestDelta(t *testing.T) {
	before := parse(t, lowLatencyText)
	text := `#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:40
#EXT-X-SKIP:SKIPPED-SEGMENTS=2
#EXTINF:2,
seg-42.m4s
`
	p, err := manifest.ReadHLS([]byte(text), manifest.Source{URL: live, Before: before})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Segments) != 3 || p.Segments[1].Length != 0 || len(p.Segments[1].Parts) != 3 {
		t.Fatalf("segments %+v", p.Segments)
	}
	last := p.Segments[2]
	if last.Sequence != 42 || last.Init == nil || last.At.Sub(before.Segments[0].At) != 4*time.Second {
		t.Errorf("the new segment is %+v", last)
	}
	for _, c := range []struct {
		before *manifest.Playlist
		text   string
	}{
		{nil, text},
		{before, strings.Replace(text, "SEQUENCE:40", "SEQUENCE:39", 1)},
		{before, strings.Replace(text, "SEQUENCE:40", "SEQUENCE:41", 1)},
		{before, strings.Replace(text, "SEGMENTS=2", "SEGMENTS=9223372036854775807", 1)},
	} {
		p, err := manifest.ReadHLS([]byte(c.text), manifest.Source{URL: live, Before: c.before})
		if err != nil || p.Skipped == 0 {
			t.Errorf("%q: %d skipped, %v", c.text, p.Skipped, err)
		}
	}
}

// TestVariables: variables have their values in URIs, attributes and ranges.
func TestVariables(t *testing.T) {
	p, err := manifest.ReadHLS([]byte(`#EXTM3U
#EXT-X-DEFINE:NAME="ext",VALUE="m4s"
#EXT-X-DEFINE:IMPORT="dir"
#EXT-X-MAP:URI="{$dir}/init.{$ext}"
#EXTINF:1,
{$dir}/a.{$ext}
`), manifest.Source{URL: live, Imports: map[string]string{"dir": "/films"}})
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Segments[0]; s.URL.Path != "/films/a.m4s" || s.Init.URL.String() != "https://example.com/films/init.m4s" || p.Variables["ext"] != "m4s" {
		t.Errorf("segment %v with %v", s.URL, s.Init.URL)
	}
}
