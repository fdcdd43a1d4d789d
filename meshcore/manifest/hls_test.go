package manifest_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// base is where the manifests of these tests come from.
var base = &url.URL{Host: "host", Path: "/s/x"}

// relative writes a URL as one below base.
func relative(u *url.URL) string {
	return strings.TrimPrefix(strings.TrimPrefix(u.String(), "//host"), "/s/")
}

// summary writes what a playlist lists in one line each.
func summary(p *manifest.Playlist) string {
	var b strings.Builder
	for _, u := range p.Playlists {
		fmt.Fprintf(&b, "rendition %s\n", relative(u))
	}
	for _, e := range p.Entries {
		fmt.Fprintf(&b, "resource %s", relative(e.URL))
		if e.Length != 0 {
			fmt.Fprintf(&b, " %d@%d", e.Length, e.Offset)
		}
		if e.Encrypted {
			b.WriteString(" encrypted")
		}
		b.WriteString("\n")
	}
	for _, u := range p.Forbidden {
		fmt.Fprintf(&b, "forbidden %s\n", relative(u))
	}
	return b.String()
}

func mediaPlaylist(uris ...string) string {
	var s strings.Builder
	s.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
	for _, u := range uris {
		s.WriteString("#EXTINF:2.0,\n" + u + "\n")
	}
	s.WriteString("#EXT-X-ENDLIST\n")
	return s.String()
}

func TestReadHLS(t *testing.T) {
	head := "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n"
	for _, c := range []struct {
		name, in, want string
	}{
		{"segments", head + "#EXTINF:4.0,title\na.ts\n#EXTINF:4,\nb.ts?x=1\n", "resource a.ts\nresource b.ts?x=1\n"},
		{"line ends", strings.ReplaceAll(head, "\n", "\r\n") + "#EXTINF:4,\r\na.ts\r\n\r\n", "resource a.ts\n"},
		{"byte order mark", "\ufeff" + head + "#EXTINF:4,\na.ts\n", "resource a.ts\n"},
		{"comment and unknown tags", head + "# hello\n#EXT-X-NEW:URI=\"no.ts\"\n#EXTINF:4,\n#EXT-X-DATERANGE:ID=\"a\",X-URI=\"no.ts\"\na.ts\n", "resource a.ts\n"},
		{"URI without EXTINF", head + "stray.ts\n#EXTINF:4,\na.ts\n", "resource a.ts\n"},
		{"map", head + "#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\na.m4s\n", "resource init.mp4\nresource a.m4s\n"},
		{"two maps", head + "#EXT-X-MAP:URI=\"i1.mp4\"\n#EXTINF:4,\na.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i2.mp4\",BYTERANGE=\"600@10\"\n#EXTINF:4,\nb.m4s\n",
			"resource i1.mp4\nresource a.m4s\nresource i2.mp4 600@10\nresource b.m4s\n"},
		{"ranges", head + "#EXTINF:4,\n#EXT-X-BYTERANGE:100@50\na.mp4\n#EXTINF:4,\n#EXT-X-BYTERANGE:200\na.mp4\n#EXT-X-BYTERANGE:7@0\n#EXTINF:4,\nb.mp4\n",
			"resource a.mp4 100@50\nresource a.mp4 200@150\nresource b.mp4 7@0\n"},
		{"impossible range", head + "#EXTINF:4,\n#EXT-X-BYTERANGE:-5@0\na.mp4\n#EXTINF:4,\nb.mp4\n", "resource b.mp4\n"},
		{"key", head + "#EXT-X-KEY:METHOD=AES-128,URI=\"k.bin?a,b\",IV=0x1\n#EXTINF:4,\na.ts\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\nb.ts\n",
			"resource a.ts encrypted\nresource b.ts\nforbidden k.bin?a,b\n"},
		{"several keys", head + "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n" +
			"#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,AA==\",KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"\n" +
			"#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4,\na.m4s\n",
			"resource i.mp4 encrypted\nresource a.m4s encrypted\n"},
		{"key without method", head + "#EXT-X-KEY:URI=\"k\"\n#EXTINF:4,\na.ts\n", "resource a.ts\nforbidden k\n"},
		{"parts", head + "#EXT-X-PART:DURATION=1,URI=\"a.1.m4s\"\n#EXT-X-PART:DURATION=1,URI=\"a.2.m4s\",GAP=YES\n" +
			"#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"10@0\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"20\"\n#EXTINF:4,\na.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"b.1.m4s\"\n" +
			"#EXT-X-RENDITION-REPORT:URI=\"../v1/index.m3u8\"\n",
			"resource a.1.m4s\nresource a.mp4 10@0\nresource a.mp4 20@10\nresource a.m4s\nforbidden /v1/index.m3u8\n"},
		{"variables", head + "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"x/y\"\n#EXT-X-MAP:URI=\"{$a}.mp4\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"{$a}.key\"\n#EXTINF:4,\n{$a}.m4s?{$a}\n",
			"resource x/y.mp4\nresource x/y.m4s?x/y encrypted\nforbidden x/y.key\n"},
		{"multivariant", "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"a.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\"\n# in between\nv.m3u8\n" +
			"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-SESSION-DATA:DATA-ID=\"d\",URI=\"d.json\"\n",
			"rendition a.m3u8\nrendition v.m3u8\nrendition i.m3u8\nforbidden k\nforbidden d.json\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := manifest.ReadHLS([]byte(c.in), manifest.Source{URL: base})
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(p); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestNoPlaylist: what does not begin as a playlist is none.
func TestNoPlaylist(t *testing.T) {
	for _, in := range []string{"", "<html>", "#EXTM", "\n#EXTM3U\n"} {
		if _, err := manifest.ReadHLS([]byte(in), manifest.Source{URL: base}); !errors.Is(err, manifest.ErrPlaylist) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestOmissions: media that cannot be read is left out and counted, and what stands
// around it is listed.
func TestOmissions(t *testing.T) {
	head, tail := "#EXTM3U\n#EXTINF:4,\nbefore.ts\n", "#EXTINF:4,\nafter.ts\n"
	for name, c := range map[string]struct {
		line, reason, example string
	}{
		"library panics":         {"#EXT-X-KEY:\n", "", ""},
		"variable without value": {"#EXT-X-DEFINE:IMPORT=\"a\"\n#EXTINF:4,\n{$a}.ts\n", manifest.OmitVariable, "{$a}.ts"},
		"variable in a map":      {"#EXT-X-MAP:URI=\"{$a}.mp4\"\n", manifest.OmitVariable, "{$a}.mp4"},
		"variable in a range":    {"#EXT-X-MAP:URI=\"i.mp4\",BYTERANGE=\"{$a}\"\n", manifest.OmitVariable, "{$a}"},
		"impossible range":       {"#EXTINF:4,\n#EXT-X-BYTERANGE:1x@3\na.ts\n", manifest.OmitRange, "a.ts"},
		"library disagrees":      {"#EXTINF:4,\n#EXT-X-BYTERANGE:5@0\n#EXT-X-BYTERANGE:7@0\na.ts\n", manifest.OmitDisputed, "a.ts"},
		"bare percent":           {"#EXTINF:4,\n100%.ts\n", manifest.OmitURL, "100%.ts"},
		"another scheme":         {"#EXT-X-PART:DURATION=1,URI=\"blob:x\"\n", manifest.OmitURL, "blob:x"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := manifest.ReadHLS([]byte(head+c.line+tail), manifest.Source{URL: base})
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(p); got != "resource before.ts\nresource after.ts\n" {
				t.Errorf("listed %s", got)
			}
			var want []manifest.Omission
			if c.reason != "" {
				want = []manifest.Omission{{Reason: c.reason, Count: 1, Example: c.example}}
			}
			if !slices.Equal(p.Omissions, want) {
				t.Errorf("omitted %+v, want %+v", p.Omissions, want)
			}
		})
	}
}

// TestImports: a media playlist has the variables of the multivariant one.
func TestImports(t *testing.T) {
	from := manifest.Source{URL: base, Imports: map[string]string{"a": "x"}}
	p, err := manifest.ReadHLS([]byte("#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"a\"\n#EXTINF:4,\n{$a}.ts\n"), from)
	if err != nil || summary(p) != "resource x.ts\n" {
		t.Errorf("%s: %v", summary(p), err)
	}
}

// TestLongPlaylist: the library is used within what it can, at any length.
func TestLongPlaylist(t *testing.T) {
	uris := make([]string, 20_000)
	for i := range uris {
		uris[i] = fmt.Sprintf("seg-%d.ts", i)
	}
	p, err := manifest.ReadHLS([]byte(mediaPlaylist(uris...)), manifest.Source{URL: base})
	if err != nil || len(p.Entries) != len(uris) || !p.Ended {
		t.Errorf("%d segments, ended %v: %v", len(p.Entries), p.Ended, err)
	}
}

// BenchmarkReadHLS reads a live playlist of 12 segments, which happens once for
// each version of it.
func BenchmarkReadHLS(b *testing.B) {
	uris := make([]string, 12)
	for i := range uris {
		uris[i] = fmt.Sprintf("seg-%d.ts", i)
	}
	body := []byte(mediaPlaylist(uris...))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := manifest.ReadHLS(body, manifest.Source{URL: base}); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzHLS: no playlist makes the reader panic, or lists a range that is none.
func FuzzHLS(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4\",BYTERANGE=\"1@2\"\n#EXTINF:2.0,\na.ts\n#EXTINF:2.0,\nb.ts\n#EXT-X-ENDLIST\n"))
	f.Add([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0/index.m3u8\n"))
	f.Add([]byte("#EXTM3U\n#EXT-X-KEY:\n#EXTINF:4,\na.ts\n"))
	f.Add([]byte("#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:9@\na\n#EXT-X-PART:URI=\"x\",BYTERANGE=\"5\"\n#EXT-X-ENDLIST"))
	f.Add([]byte(lowLatencyText))
	f.Add([]byte("#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$a}\"\n#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n#EXTINF:1,\n{$a}"))
	f.Add([]byte("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a\n#EXT-X-STREAM-INF:,=,\nx"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := manifest.ReadHLS(body, manifest.Source{URL: base})
		if err != nil {
			return
		}
		for _, e := range p.Entries {
			if e.URL == nil || e.Offset < 0 || e.Length < 0 || e.Offset+e.Length < e.Offset {
				t.Errorf("listed %+v", e)
			}
		}
		for i, s := range p.Segments {
			if (s.URL == nil && !s.Gap) || s.Sequence != p.Sequence+int64(i) || s.Duration < 0 || s.Offset < 0 || s.Length < 0 {
				t.Errorf("segment %d: %+v", i, s)
			}
		}
		if n := len(new(manifest.Timeline).Place(p, 0)); n != len(p.Segments) {
			t.Errorf("%d starts for %d segments", n, len(p.Segments))
		}
		for i, u := range new(manifest.Timeline).Units(p, 0, true) {
			if (u.URL == nil && !u.Gap) || u.Duration < 0 || u.Offset < 0 || u.Length < 0 {
				t.Errorf("unit %d: %+v", i, u)
			}
		}
		for _, h := range p.Hints {
			if h.URL == nil || h.Offset < 0 || h.Length < 0 {
				t.Errorf("hinted %+v", h)
			}
		}
	})
}
