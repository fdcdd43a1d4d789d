package caddymodule

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

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
			got := listing(t, string(body))
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

// listing has a catalog learn a manifest at /s/x and writes down what it lists.
func listing(t *testing.T, body string) string {
	t.Helper()
	c := newCatalog(nil)
	base := &url.URL{Host: "h", Path: "/s/x"}
	p := c.presentation("h", base.Path)
	now := time.Unix(1_700_000_000, 0)
	c.known(p, base.Path, []byte(body), now)
	if manifest.IsXML([]byte(body)) {
		m, err := manifest.ReadMPD([]byte(body), base)
		if err != nil {
			t.Fatal(err)
		}
		c.learnMPD(p, base, m, now)
	} else {
		pl, err := manifest.ReadHLS([]byte(body), manifest.Source{URL: base})
		if err != nil {
			t.Fatal(err)
		}
		if pl.Multivariant {
			c.learnMultivariant(p, pl)
		} else {
			c.learnMedia(p, base, &pl.Listing, pl.Skipped > 0, now)
		}
	}
	var lines []string
	add := func(path, query string, r byteRange, encrypted, ad bool) {
		line := path
		if query != "" {
			line += "?" + query
		}
		if r.length > 0 {
			line += fmt.Sprintf(" bytes %d+%d", r.offset, r.length)
		}
		if encrypted {
			line += " encrypted"
		}
		if ad {
			line += " ad"
		}
		lines = append(lines, line)
	}
	for at, l := range c.segments {
		for r, encrypted := range l.ranges {
			add(at.path, l.query, r, encrypted, l.ad)
		}
	}
	for _, ts := range c.templates {
		for _, t := range ts {
			add(t.Prefix+strings.Repeat("#", t.Width)+t.Suffix, t.Query, byteRange{}, t.Encrypted, false)
		}
	}
	for path := range p.forbidden {
		lines = append(lines, "never "+path)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// TestShareDASH: segments that a template of an MPD matches are vouched for, and
// with encrypted_only just those under ContentProtection.
func TestShareDASH(t *testing.T) {
	body, err := os.ReadFile("testdata/share/protected.mpd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "s/index.mpd", string(body))
	for _, name := range []string{"s/video/v0/seg-00001.m4s", "s/video/v0/init.mp4", "media/audio-2.mp4", "s/video/v0/seg-x.m4s", "s/video/v0/seg-1.m4s",
		"s/video/key-cert-7.m4s", "licence/1.m4s", "licence/widevine", "s/subtitles.vtt"} {
		write(t, dir, name, string(pattern(name, 3000)))
	}
	for share, want := range map[string]string{
		"all":            "/s/video/v0/seg-00001.m4s /s/video/v0/init.mp4 /media/audio-2.mp4 /s/subtitles.vtt",
		"encrypted_only": "/s/video/v0/seg-00001.m4s /s/video/v0/init.mp4",
		"none":           "",
	} {
		t.Run(share, func(t *testing.T) {
			e := newEdge(t)
			e.load("", "mesh {\n share "+share+"\n }\n root "+dir+"\n file_server")
			resp, b := e.get("/s/index.mpd")
			if string(b) != string(body) || (resp.Header.Get(headerBootstrap) == "") != (share == "none") {
				t.Errorf("share %s: the MPD came with %q", share, resp.Header.Get(headerBootstrap))
			}
			var got []string
			for _, path := range []string{"/s/video/v0/seg-00001.m4s", "/s/video/v0/init.mp4", "/media/audio-2.mp4", "/s/subtitles.vtt",
				"/s/video/v0/seg-x.m4s", "/s/video/v0/seg-1.m4s", "/s/video/key-cert-7.m4s", "/licence/1.m4s", "/licence/widevine", "/s/index.mpd"} {
				if resp, _ := e.get(path); resp.Header.Get(headerSegment) != "" {
					got = append(got, path)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("share %s: vouched for\n%v\nwant\n%s", share, got, want)
			}
			if share == "all" {
				scope := e.openSession("/s/index.mpd").Pass
				pass, err := e.verifier().VerifyPass(scope, time.Now())
				if err != nil || !pass.Covers("/media/audio-2.mp4") || pass.Covers("/licence/1.m4s") {
					t.Errorf("the pass covers %v, %v", pass.Scope, err)
				}
			}
		})
	}
}

// TestMPDIsForgotten: templates go with the MPD that listed them, and with their
// presentation.
func TestMPDIsForgotten(t *testing.T) {
	c := newCatalog(nil)
	base := &url.URL{Host: "h", Path: "/s/x.mpd"}
	learn := func(media string) {
		t.Helper()
		body := `<MPD type="dynamic"><Period><AdaptationSet><SegmentTemplate media="` + media + `"/><Representation id="v"/></AdaptationSet></Period></MPD>`
		p := c.presentation("h", base.Path)
		c.known(p, base.Path, []byte(body), time.Time{})
		m, err := manifest.ReadMPD([]byte(body), base)
		if err != nil {
			t.Fatal(err)
		}
		c.learnMPD(p, base, m, time.Time{})
	}
	learn("old/$Number$.m4s")
	first := c.segment("h", "/s/old/1.m4s")
	if first == nil || c.segment("h", "/s/old/1.m4s") != first {
		t.Fatal("a segment of the template is not listed, or anew each time")
	}
	if c.segment("other", "/s/old/1.m4s") != nil || c.segment("h", "/s/old/01.m4s") != nil || c.segment("h", "/s/old/.m4s") != nil {
		t.Error("more is listed than the template says")
	}
	first.withheld.Store(true)
	learn("old/$Time$.m4s")
	if l := c.segment("h", "/s/old/1.m4s"); l == nil || !l.withheld.Load() {
		t.Error("what was seen of an answer is forgotten with the next MPD")
	}
	learn("new/$Number$.m4s")
	if c.segment("h", "/s/old/1.m4s") != nil || c.segment("h", "/s/new/1.m4s") == nil {
		t.Error("the template of the MPD before is still listed")
	}
	for i := range maxPresentations {
		c.presentation("h", fmt.Sprintf("/%d/x", i))
	}
	if len(c.templates) != 0 {
		t.Errorf("templates of %d directories are left of a presentation that was let go", len(c.templates))
	}
}

// TestAds: ads are shared while all viewers get the same, and not once two got
// different ones; or as the operator says.
func TestAds(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"show.ts", "ad-1.ts", "ad-2.ts"} {
		write(t, dir, "s/"+name, string(pattern(name, 3000)))
	}
	playlist := func(ad string) {
		write(t, dir, "s/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nshow.ts\n#EXT-X-CUE-OUT:10\n#EXTINF:10,\n"+ad+"\n#EXT-X-CUE-IN\n")
	}
	for option, want := range map[string][3]bool{"": {true, false, true}, "ads share": {true, true, true}, "ads origin_only": {false, false, true}} {
		t.Run(option, func(t *testing.T) {
			e := newEdge(t)
			e.load("", "mesh {\n "+option+"\n }\n root "+dir+"\n file_server")
			shared := func(path string) bool {
				resp, _ := e.get(path)
				return resp.Header.Get(headerSegment) != ""
			}
			playlist("ad-1.ts")
			e.get("/s/index.m3u8")
			same := shared("/s/ad-1.ts")
			playlist("ad-2.ts")
			e.get("/s/index.m3u8")
			if got := [3]bool{same, shared("/s/ad-2.ts"), shared("/s/show.ts")}; got != want {
				t.Errorf("%q: the ad, the ad once another viewer got another, the show: %v, want %v", option, got, want)
			}
		})
	}
}

// TestNumberInDirectory: what a template with the number in a directory matches,
// and what only looks like it.
func TestNumberInDirectory(t *testing.T) {
	c := newCatalog(nil)
	base := &url.URL{Host: "h", Path: "/s/x.mpd"}
	p := c.presentation("h", base.Path)
	m, err := manifest.ReadMPD([]byte(`<MPD><Period>
		<AdaptationSet><SegmentTemplate media="v/$Number%03d$/a/seg.m4s"/><Representation id="v"/></AdaptationSet>
		<AdaptationSet><SegmentTemplate media="v/$Number$.m4s"/><Representation id="flat"/></AdaptationSet>
		<ContentProtection><Laurl>v/007/a/seg.m4s</Laurl></ContentProtection>
	</Period></MPD>`), base)
	if err != nil {
		t.Fatal(err)
	}
	c.known(p, base.Path, nil, time.Time{})
	c.learnMPD(p, base, m, time.Time{})
	for path, want := range map[string]bool{
		"/s/v/001/a/seg.m4s": true, "/s/v/1000/a/seg.m4s": true, "/s/v/9.m4s": true,
		"/s/v/1/a/seg.m4s": false, "/s/v/0001/a/seg.m4s": false, "/s/v/00x/a/seg.m4s": false, "/s/v/001/b/a/seg.m4s": false,
		"/s/v/001/seg.m4s": false, "/s/v/a/seg.m4s": false, "/s/v/001/a/": false, "/s/v/001/a/seg.m4s/2": false,
		"/s/001/a/seg.m4s": false, "/s/v/007/a/seg.m4s": false, "/x/s/v/001/a/seg.m4s": false, "/": false, "": false, "*": false,
	} {
		if l := c.segment("h", path); (l != nil) != want {
			t.Errorf("%q is listed: %v", path, l != nil)
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
		c := newCatalog(nil)
		p := c.presentation("h", base.Path)
		c.known(p, base.Path, body, time.Time{})
		m, err := manifest.ReadMPD(body, base)
		if err == nil {
			c.learnMPD(p, base, m, time.Time{})
		} else if pl, err := manifest.ReadHLS(body, manifest.Source{URL: base}); err != nil {
			return
		} else if pl.Multivariant {
			c.learnMultivariant(p, pl)
		} else {
			c.learnMedia(p, base, &pl.Listing, pl.Skipped > 0, time.Time{})
		}
		for at, l := range c.segments {
			if p.forbidden[at.path] || !p.covers(at.path) || l.presentation != p {
				t.Fatalf("%s is listed", at.path)
			}
			for r := range l.ranges {
				if r.offset < 0 || r.length < 0 {
					t.Errorf("%s is listed with %+v", l.path, r)
				}
			}
		}
		if m == nil {
			return
		}
		for _, tm := range m.Templates {
			// What it matches is listed once at most, in what the passes cover, and
			// never what is forbidden or a manifest.
			path := tm.Prefix + strings.Repeat("7", tm.Width) + tm.Suffix
			if l := c.segment("h", path); l != nil && (l.presentation != p || !p.covers(path) || p.forbidden[path] || path == base.Path) {
				t.Fatalf("%s of %+v is listed", path, tm)
			}
		}
	})
}
