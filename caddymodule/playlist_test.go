package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// summary writes what a playlist lists in one line each.
func summary(p playlist) string {
	var b strings.Builder
	for _, r := range p.renditions {
		fmt.Fprintf(&b, "rendition %s\n", r)
	}
	for _, r := range p.resources {
		fmt.Fprintf(&b, "resource %s", r.uri)
		if r.length != 0 {
			fmt.Fprintf(&b, " %d@%d", r.length, r.offset)
		}
		if r.encrypted {
			b.WriteString(" encrypted")
		}
		b.WriteString("\n")
	}
	for _, f := range p.forbidden {
		fmt.Fprintf(&b, "forbidden %s\n", f)
	}
	return b.String()
}

func TestParseHLS(t *testing.T) {
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
		{"impossible range", head + "#EXTINF:4,\n#EXT-X-BYTERANGE:-5@0\na.mp4\n#EXTINF:4,\nb.mp4\n", "resource a.mp4 -1@0\nresource b.mp4\n"},
		{"key", head + "#EXT-X-KEY:METHOD=AES-128,URI=\"k.bin?a,b\",IV=0x1\n#EXTINF:4,\na.ts\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\nb.ts\n",
			"resource a.ts encrypted\nresource b.ts\nforbidden k.bin?a,b\n"},
		{"several keys", head + "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n" +
			"#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,AA==\",KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"\n" +
			"#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4,\na.m4s\n",
			"resource i.mp4 encrypted\nresource a.m4s encrypted\nforbidden skd://x\nforbidden data:text/plain;base64,AA==\n"},
		{"key without method", head + "#EXT-X-KEY:URI=\"k\"\n#EXTINF:4,\na.ts\n", "resource a.ts\nforbidden k\n"},
		{"parts", head + "#EXT-X-PART:DURATION=1,URI=\"a.1.m4s\"\n#EXT-X-PART:DURATION=1,URI=\"a.2.m4s\",GAP=YES\n" +
			"#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"10@0\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"20\"\n#EXTINF:4,\na.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"b.1.m4s\"\n" +
			"#EXT-X-RENDITION-REPORT:URI=\"../v1/index.m3u8\"\n",
			"resource a.1.m4s\nresource a.mp4 10@0\nresource a.mp4 20@10\nresource a.m4s\nforbidden ../v1/index.m3u8\n"},
		{"variables", head + "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"x/y\"\n#EXT-X-MAP:URI=\"{$a}.mp4\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"{$a}.key\"\n#EXTINF:4,\n{$a}.m4s?{$a}\n",
			"resource x/y.mp4\nresource x/y.m4s?x/y encrypted\nforbidden x/y.key\n"},
		{"multivariant", "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"a.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\"\n# in between\nv.m3u8\n" +
			"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-SESSION-DATA:DATA-ID=\"d\",URI=\"d.json\"\n",
			"rendition a.m3u8\nrendition v.m3u8\nrendition i.m3u8\nforbidden k\nforbidden d.json\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := parseHLS([]byte(c.in), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(p); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestParseHLSRefuses: what is no playlist, or what the library gives up on or
// reads otherwise, lists nothing. Nobody else panics.
func TestParseHLSRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                   "",
		"page":                    "<html>",
		"library panics":          "#EXTM3U\n#EXT-X-KEY:\nstray.ts\n#EXTINF:4,\na.ts\n",
		"variable without value":  "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"a\"\n#EXTINF:4,\nx.ts\n#EXTINF:4,\n{$a}.ts\n",
		"variable of the viewer":  "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"a\"\n#EXTINF:4,\n{$a}.ts\n",
		"library reads otherwise": "#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:1x@3\na.ts\n",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := parseHLS([]byte(in), nil)
			if err == nil && len(p.resources) > 0 && p.resources[0].length >= 0 {
				t.Errorf("listed %+v", p)
			}
			if err != nil && !errors.Is(err, errPlaylist) {
				t.Errorf("error %v does not wrap errPlaylist", err)
			}
			if name == "library panics" && (err == nil || !strings.Contains(err.Error(), "gave up")) {
				t.Errorf("the panic came out as %v", err)
			}
		})
	}
}

// TestImports: a media playlist has the variables of the multivariant one.
func TestImports(t *testing.T) {
	p, err := parseHLS([]byte("#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"a\"\n#EXTINF:4,\n{$a}.ts\n"), map[string]string{"a": "x"})
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
	p, err := parseHLS([]byte(mediaPlaylist("", uris...)), nil)
	if err != nil || len(p.resources) != len(uris) || !p.ended {
		t.Errorf("%d segments, ended %v: %v", len(p.resources), p.ended, err)
	}
}

func TestResolve(t *testing.T) {
	base, err := url.Parse("/a%20b/v0/index.m3u8?token=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref, path, query string
		ok               bool
	}{
		{"seg.ts", "/a%20b/v0/seg.ts", "", true},
		{"seg 1.ts?x=y#f", "/a%20b/v0/seg%201.ts", "x=y", true},
		{"../v1/s%2fx.ts", "/a%20b/v1/s%2fx.ts", "", true},
		{"/root.ts", "/root.ts", "", true},
		{"../../../../up.ts", "/up.ts", "", true},
		{"//host/x.ts", "/x.ts", "", true},
		{"https://HOST/x.ts", "/x.ts", "", true},
		{"https://other/x.ts", "", "", false},
		{"data:video/mp4;base64,AA", "", "", false},
		{"skd://key", "", "", false},
		{"%zz", "", "", false},
	} {
		path, query, ok := resolve(base, "host", c.ref)
		if path != c.path || query != c.query || ok != c.ok {
			t.Errorf("%s: %q %q %v", c.ref, path, query, ok)
		}
	}
}

// FuzzParseHLS: no playlist makes a reader panic or lists a range that is none.
func FuzzParseHLS(f *testing.F) {
	f.Add([]byte(mediaPlaylist("#EXT-X-MAP:URI=\"i.mp4\",BYTERANGE=\"1@2\"", "a.ts", "b.ts")))
	f.Add([]byte(multivariant("v0/index.m3u8")))
	f.Add([]byte("#EXTM3U\n#EXT-X-KEY:\n#EXTINF:4,\na.ts\n"))
	f.Add([]byte("#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:9@\na\n#EXT-X-PART:URI=\"x\",BYTERANGE=\"5\"\n#EXT-X-ENDLIST"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parseHLS(body, nil)
		if err != nil {
			return
		}
		c := newCatalog(nil)
		pr := c.presentation("host", "/s/index.m3u8")
		base := &url.URL{Path: "/s/index.m3u8"}
		c.known(pr, base.Path, body, time.Time{})
		if p.multivariant {
			c.learnMultivariant(pr, base, &p)
		} else {
			c.learnMedia(pr, base, &p, time.Time{})
		}
		for _, l := range c.segments {
			for r := range l.ranges {
				if r.offset < 0 || r.length < 0 {
					t.Errorf("%s is listed with %+v", l.path, r)
				}
			}
			if pr.forbidden[l.path] {
				t.Errorf("%s is forbidden and listed", l.path)
			}
		}
	})
}
