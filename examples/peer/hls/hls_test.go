package hls

import (
	"errors"
	"net/url"
	"testing"
	"time"
)

var base, _ = url.Parse("https://example.com/live/v0/index.m3u8?token=1")

func parse(t *testing.T, text string) *Playlist {
	t.Helper()
	p, err := Parse([]byte(text), base)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMultivariant(t *testing.T) {
	p := parse(t, "#EXTM3U\r\n"+
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"one, two\",DEFAULT=YES,URI=\"../a0/index.m3u8\"\r\n"+
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"muxed\"\r\n"+
		"#EXT-X-STREAM-INF:AUDIO=\"a\",CODECS=\"avc1.4d401f,mp4a.40.2\",BANDWIDTH=500000\r\n"+
		"\r\n# a comment\r\nindex.m3u8\r\n")
	if !p.Multivariant() || len(p.Variants) != 1 || len(p.Renditions) != 2 {
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
	if p.Multivariant() || p.Target != 4*time.Second || p.Sequence != 7 || p.Ended || len(p.Segments) != 3 {
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

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]error{
		"":                                   ErrNotPlaylist,
		"<html>":                             ErrNotPlaylist,
		"#EXTM3U\n#EXTINF:soon,\nx":          ErrSyntax,
		"#EXTM3U\n#EXTINF:-1,\nx":            ErrSyntax,
		"#EXTM3U\n#EXTINF:NaN,\nx":           ErrSyntax,
		"#EXTM3U\n#EXT-X-TARGETDURATION:\n":  ErrSyntax,
		"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:-1":  ErrSyntax,
		"#EXTM3U\n#EXT-X-BYTERANGE:0@1":      ErrSyntax,
		"#EXTM3U\n#EXT-X-BYTERANGE:1@x":      ErrSyntax,
		"#EXTM3U\n#EXT-X-MAP:URI=\"\"":       ErrSyntax,
		"#EXTM3U\n#EXT-X-MAP:URI=\"%zz\"":    ErrSyntax,
		"#EXTM3U\n#EXTINF:1,\nhttp://a b:c/": ErrSyntax,
	} {
		if _, err := Parse([]byte(text), base); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i\",BYTERANGE=\"1@2\"\n#EXTINF:4,\n#EXT-X-BYTERANGE:5\nx\n#EXT-X-ENDLIST"))
	f.Add([]byte(lowLatencyText))
	f.Add([]byte("#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$a}\"\n#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n#EXTINF:1,\n{$a}"))
	f.Add([]byte("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a\n#EXT-X-STREAM-INF:,=,\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text, base)
		if err != nil {
			return
		}
		for i, s := range p.Segments {
			if s.URL == nil || s.Sequence != p.Sequence+int64(i) || s.Duration < 0 || s.Offset < 0 || s.Length < 0 {
				t.Errorf("segment %d: %+v", i, s)
			}
		}
		if n := len(new(Timeline).Place(p, 0)); n != len(p.Segments) {
			t.Errorf("%d starts for %d segments", n, len(p.Segments))
		}
		for i, u := range new(Timeline).Units(p, 0, true) {
			if u.URL == nil || u.Duration < 0 || u.Offset < 0 || u.Length < 0 {
				t.Errorf("unit %d: %+v", i, u)
			}
		}
	})
}

// list makes a playlist of segments of 2 s from a sequence on.
func list(first int64, n int, at time.Time) *Playlist {
	p := &Playlist{Target: 2 * time.Second, Sequence: first}
	for i := range n {
		s := Segment{Sequence: first + int64(i), Duration: 2 * time.Second}
		if !at.IsZero() {
			s.At = at.Add(time.Duration(i) * 2 * time.Second)
		}
		p.Segments = append(p.Segments, s)
	}
	return p
}

func TestTimeline(t *testing.T) {
	var l Timeline
	first := l.Place(list(10, 3, time.Time{}), 0)
	if first[0] != 20*time.Second || l.End() != 26*time.Second {
		t.Errorf("without a date it begins at %v and ends at %v", first[0], l.End())
	}
	next := list(11, 3, time.Time{})
	next.Segments[0].Duration = 2 * time.Second
	if s := l.Place(next, 0); s[0] != first[1] || s[1] != first[2] {
		t.Errorf("after a reload segment 11 moved from %v to %v", first[1], s[0])
	}
	if s := l.Place(list(20, 2, time.Time{}), 0); s[0] != 40*time.Second {
		t.Errorf("after a pause segment 20 is at %v, want 40 s", s[0])
	}
	if s := l.Place(list(0, 2, time.Time{}), 0); s[0] != 44*time.Second {
		t.Errorf("a stream that began anew goes on at %v, want 44 s", s[0])
	}

	ended := list(5, 2, time.Time{})
	ended.Ended = true
	if s := new(Timeline).Place(ended, 0); s[0] != 0 {
		t.Errorf("on demand it begins at %v", s[0])
	}
	at := time.Unix(1000, 0)
	if s := new(Timeline).Place(list(5, 2, at), 0); s[0] != 1000*time.Second {
		t.Errorf("with a date it begins at %v, want 1000 s", s[0])
	}
	if s := new(Timeline).Place(list(5, 2, time.Time{}), 104*time.Second); s[0] != 100*time.Second {
		t.Errorf("beside a track that ends at 104 s it begins at %v, want 100 s", s[0])
	}
}
