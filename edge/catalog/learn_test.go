package catalog

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestShareCorpus reads each manifest of testdata/share and compares what may
// travel with the golden file beside it. Whatever the golden files say, nothing
// whose name says that it is a key, a licence, a certificate or a manifest is
// among it.
func TestShareCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/share/*.m*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := listed(t, string(body))
			for line := range strings.Lines(got) {
				name, _, _ := strings.Cut(line, " ")
				for _, never := range []string{"key", "licen", "cert", "m3u8", "mpd", "data:", "json", "other.", "never"} {
					if strings.Contains(name, never) && !strings.HasPrefix(line, "never") {
						t.Errorf("may travel: %s", line)
					}
				}
			}
			if *update {
				if err := os.WriteFile(file+".want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file + ".want")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// listed has a catalog learn a manifest at /s/x and writes down what it lists.
func listed(t *testing.T, body string) string {
	t.Helper()
	c := New(nil)
	p := learn(t, c, "h", "/s/x", time.Unix(1_700_000_000, 0), body)
	var lines []string
	add := func(path, query string, r Range, encrypted, ad bool) {
		line := path
		if query != "" {
			line += "?" + query
		}
		if r.Length > 0 {
			line += fmt.Sprintf(" bytes %d+%d", r.Offset, r.Length)
		}
		if encrypted {
			line += " encrypted"
		}
		if ad {
			line += " ad"
		}
		lines = append(lines, line)
	}
	for _, here := range c.segments {
		for _, l := range here {
			for r, encrypted := range l.Ranges {
				add(l.Path, l.Query, r, encrypted, l.Ad)
			}
		}
	}
	for _, ts := range c.templates.byDir {
		for _, t := range ts {
			add(t.String(), "", Range{}, t.Encrypted, false)
		}
	}
	for n := range p.forbidden {
		lines = append(lines, "never "+n.String())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// TestMPDIsForgotten: templates go with the MPD that listed them, and with their
// presentation.
func TestMPDIsForgotten(t *testing.T) {
	c := New(nil)
	list := func(media string) {
		t.Helper()
		learn(t, c, "h", "/s/x.mpd", time.Time{}, `<MPD type="dynamic"><Period><AdaptationSet><SegmentTemplate media="`+media+`"/><Representation id="v"/></AdaptationSet></Period></MPD>`)
	}
	list("old/$Number$.m4s")
	first := segment(c, "h", "/s/old/1.m4s")
	if first == nil || segment(c, "h", "/s/old/1.m4s") != first {
		t.Fatal("a segment of the template is not listed, or anew each time")
	}
	if segment(c, "other", "/s/old/1.m4s") != nil || segment(c, "h", "/s/old/01.m4s") != nil || segment(c, "h", "/s/old/.m4s") != nil {
		t.Error("more is listed than the template says")
	}
	first.Withhold()
	list("old/$Time$.m4s")
	if l := segment(c, "h", "/s/old/1.m4s"); l == nil || !l.Withheld() {
		t.Error("what was seen of an answer is forgotten with the next MPD")
	}
	list("new/$Number$.m4s")
	if segment(c, "h", "/s/old/1.m4s") != nil || segment(c, "h", "/s/new/1.m4s") == nil {
		t.Error("the template of the MPD before is still listed")
	}
	for i := range maxPresentations {
		c.Presentation("h", fmt.Sprintf("/%d/x", i))
	}
	if len(c.templates.byDir) != 0 {
		t.Errorf("templates of %d directories are left of a presentation that was let go", len(c.templates.byDir))
	}
}

// TestNumberInDirectory: what a template with the number in a directory matches,
// and what only looks like it.
func TestNumberInDirectory(t *testing.T) {
	c := New(nil)
	learn(t, c, "h", "/s/x.mpd", time.Time{}, `<MPD><Period>
		<AdaptationSet><SegmentTemplate media="v/$Number%03d$/a/seg.m4s"/><Representation id="v"/></AdaptationSet>
		<AdaptationSet><SegmentTemplate media="v/$Number$.m4s"/><Representation id="flat"/></AdaptationSet>
		<ContentProtection><Laurl>v/007/a/seg.m4s</Laurl></ContentProtection>
	</Period></MPD>`)
	for path, want := range map[string]bool{
		"/s/v/001/a/seg.m4s": true, "/s/v/1000/a/seg.m4s": true, "/s/v/9.m4s": true,
		"/s/v/1/a/seg.m4s": false, "/s/v/0001/a/seg.m4s": false, "/s/v/00x/a/seg.m4s": false, "/s/v/001/b/a/seg.m4s": false,
		"/s/v/001/seg.m4s": false, "/s/v/a/seg.m4s": false, "/s/v/001/a/": false, "/s/v/001/a/seg.m4s/2": false,
		"/s/001/a/seg.m4s": false, "/s/v/007/a/seg.m4s": false, "/x/s/v/001/a/seg.m4s": false, "/": false, "": false, "*": false,
	} {
		if l := segment(c, "h", path); (l != nil) != want {
			t.Errorf("%q is listed: %v", path, l != nil)
		}
	}
}

// TestOmissions: a segment that cannot be read does not keep the others from being
// listed.
func TestOmissions(t *testing.T) {
	c := New(nil)
	p := c.Presentation("h", "/s/x.m3u8")
	body := []byte(mediaPlaylist("a.ts", "100%.ts", "b.ts"))
	c.Unchanged(p, manifest.Name{Path: "/s/x.m3u8"}, body, time.Time{})
	omitted, err := c.Learn(p, &url.URL{Path: "/s/x.m3u8"}, body, &manifest.Identity{}, time.Time{})
	if want := []manifest.Omission{{Reason: manifest.OmitURL, Count: 1, Example: "100%.ts"}}; err != nil || !slices.Equal(omitted, want) {
		t.Errorf("omitted %+v, %v, want %+v", omitted, err, want)
	}
	if segment(c, "h", "/s/a.ts") == nil || segment(c, "h", "/s/b.ts") == nil {
		t.Error("what stands around it is not listed")
	}
}

// TestInterstitial: all that the playlist of an interstitial lists is ads, by way of
// its renditions, too; the programme that it is played over is none.
func TestInterstitial(t *testing.T) {
	c := New(nil)
	const media = "#EXTM3U\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"
	learn(t, c, "h", "/s/x.m3u8", time.Time{}, "#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n"+
		"#EXT-X-DATERANGE:ID=\"1\",CLASS=\"com.apple.hls.interstitial\",START-DATE=\"2026-01-01T00:00:00Z\",DURATION=15,X-ASSET-URI=\"/ads/1/x.m3u8\"\n"+media[len("#EXTM3U\n"):])
	learn(t, c, "h", "/ads/1/x.m3u8", time.Time{}, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/x.m3u8\n")
	learn(t, c, "h", "/ads/1/v/x.m3u8", time.Time{}, media)
	for path, ad := range map[string]bool{"/s/a.ts": false, "/ads/1/v/a.ts": true} {
		if l := segment(c, "h", path); l == nil || l.Ad != ad {
			t.Errorf("%s is listed as %+v, want it an ad: %v", path, l, ad)
		}
	}
}

// FuzzCatalog: whatever a manifest says, nothing is listed that is forbidden, a
// manifest, outside what the passes cover, or a range that is none.
func FuzzCatalog(f *testing.F) {
	files, _ := filepath.Glob("testdata/share/*.m*")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:9@\na\n#EXT-X-PART:URI=\"x\",BYTERANGE=\"5\"\n#EXT-X-ENDLIST"))
	base := &url.URL{Host: "h", Path: "/s/x"}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := New(nil)
		p := c.Presentation("h", base.Path)
		c.Unchanged(p, manifest.Name{Path: base.Path}, body, time.Time{})
		if _, err := c.Learn(p, base, body, &manifest.Identity{}, time.Time{}); err != nil {
			return
		}
		covered := func(path string) bool {
			return slices.ContainsFunc(c.Scopes(p), func(s string) bool { return tokens.CoversPath(s, path) })
		}
		for at, here := range c.segments {
			for _, l := range here {
				if p.forbidden[l.Name] || !covered(at.Path) || l.Presentation != p || l.Path != at.Path {
					t.Fatalf("%s is listed", l.Name)
				}
				for r := range l.Ranges {
					if r.Offset < 0 || r.Length < 0 {
						t.Errorf("%s is listed with %+v", l.Path, r)
					}
				}
			}
		}
		m, err := manifest.ReadMPD(body, base)
		if err != nil {
			return
		}
		for _, tm := range m.Templates {
			// What it matches is listed once at most, in what the passes cover, and
			// never what is forbidden or a manifest.
			path := tm.Example()
			if l := segment(c, "h", path); l != nil && (l.Presentation != p || !covered(path) || p.forbidden[l.Name] || path == base.Path) {
				t.Fatalf("%s of %+v is listed", path, tm)
			}
		}
	})
}
