package hls

import (
	"errors"
	"strings"
	"testing"
	"time"
)

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
	if len(l.Reports) != 1 || l.Reports[0].URL.Path != "/live/v1/index.m3u8" || l.Reports[0].MSN != 42 || l.Reports[0].LastPart != 0 {
		t.Errorf("reports %+v", l.Reports)
	}
	var line Timeline
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
		{40, Whole, 0, 2 * time.Second, 0, 0, true, false},
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
	whole := new(Timeline).Units(p, 0, false)
	if len(whole) != 2 || whole[1].Part != Whole || whole[1].Start-begin != 2*time.Second {
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
	if u, blocks := p.Update(base, false); u.RawQuery != "token=1&_HLS_msn=42&_HLS_part=1" || !blocks {
		t.Errorf("next %s, blocks %v", u, blocks)
	}
	if u, _ := p.Update(base, true); u.RawQuery != "token=1&_HLS_msn=42&_HLS_part=1&_HLS_skip=YES" {
		t.Errorf("next %s", u)
	}
	if u, blocks := parse(t, "#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXTINF:1,\nx").Update(base, false); u.RawQuery != "token=1&_HLS_msn=1" || !blocks {
		t.Errorf("without parts: next %s, blocks %v", u, blocks)
	}
	for _, text := range []string{"#EXTM3U\n#EXTINF:1,\nx", lowLatencyText + "#EXT-X-ENDLIST"} {
		if u, blocks := parse(t, text).Update(base, true); u != base || blocks {
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
	p, err := Context{URL: base, Before: before}.Parse([]byte(text))
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
		before *Playlist
		text   string
	}{
		{nil, text},
		{before, strings.Replace(text, "SEQUENCE:40", "SEQUENCE:39", 1)},
		{before, strings.Replace(text, "SEQUENCE:40", "SEQUENCE:41", 1)},
		{before, strings.Replace(text, "SEGMENTS=2", "SEGMENTS=9223372036854775807", 1)},
	} {
		if _, err := (Context{URL: base, Before: c.before}).Parse([]byte(c.text)); !errors.Is(err, ErrSkipped) {
			t.Errorf("%q: %v, want ErrSkipped", c.text, err)
		}
	}
}

// TestVariables of all three sources, in URIs, attributes and ranges.
func TestVariables(t *testing.T) {
	p, err := Context{URL: base, Imports: map[string]string{"dir": "/films"}}.Parse([]byte(`#EXTM3U
#EXT-X-DEFINE:NAME="ext",VALUE="m4s"
#EXT-X-DEFINE:IMPORT="dir"
#EXT-X-DEFINE:QUERYPARAM="token"
#EXT-X-MAP:URI="{$dir}/init.{$ext}?t={$token}"
#EXTINF:1,
{$dir}/a.{$ext}
`))
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Segments[0]; s.URL.Path != "/films/a.m4s" || s.Init.URL.String() != "https://example.com/films/init.m4s?t=1" || p.Variables["ext"] != "m4s" {
		t.Errorf("segment %v with %v", s.URL, s.Init.URL)
	}
	for _, text := range []string{
		"#EXTM3U\n#EXTINF:1,\n{$none}",
		"#EXTM3U\n#EXT-X-MAP:URI=\"{$none}\"",
		"#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"none\"",
		"#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"none\"",
		"#EXTM3U\n#EXT-X-PART:DURATION=1",
		"#EXTM3U\n#EXT-X-PART:URI=\"x\"",
		"#EXTM3U\n#EXT-X-PART:URI=\"x\",DURATION=1,BYTERANGE=\"x\"",
		"#EXTM3U\n#EXT-X-PART-INF:PART-TARGET=x",
		"#EXTM3U\n#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=-1",
		"#EXTM3U\n#EXT-X-PRELOAD-HINT:TYPE=PART",
		"#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=-1",
		"#EXTM3U\n#EXT-X-RENDITION-REPORT:URI=\"x\",LAST-MSN=x",
	} {
		if _, err := Parse([]byte(text), base); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, want ErrSyntax", text, err)
		}
	}
}
