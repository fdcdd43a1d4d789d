package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestTemplate: what a template matches, and what only looks like it.
func TestTemplate(t *testing.T) {
	m, err := manifest.ReadMPD([]byte(`<MPD><Period>
		<AdaptationSet><SegmentTemplate media="v/$Number%03d$/a/seg.m4s?x=1"/><Representation id="v"/></AdaptationSet>
	</Period></MPD>`), base)
	if err != nil || len(m.Templates) != 1 {
		t.Fatalf("%+v: %v", m, err)
	}
	tm := m.Templates[0]
	if tm.Dir() != "/s/v/" || tm.String() != "/s/v/###/a/seg.m4s?x=1" || tm.Query != "x=1" || tm.Encrypted || !m.Ended {
		t.Errorf("%+v in %s", tm, tm.Dir())
	}
	for path, want := range map[string]bool{
		"/s/v/001/a/seg.m4s": true, "/s/v/1000/a/seg.m4s": true, "/s/v/1/a/seg.m4s": false, "/s/v/0001/a/seg.m4s": false,
		"/s/v/00x/a/seg.m4s": false, "/s/v/001/seg.m4s": false, "/s/v/001/a/": false, "/x/s/v/001/a/seg.m4s": false, "": false,
		"/s/v/123456789012345678901/a/seg.m4s": false,
	} {
		if tm.Matches(path) != want {
			t.Errorf("%q is matched: %v", path, !want)
		}
	}
}

// FuzzMPD: no MPD makes the reader panic, or lists what its bounds exclude.
func FuzzMPD(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.mpd")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`<MPD type="dynamic"><BaseURL>x/</BaseURL><Period><AdaptationSet><ContentProtection><Laurl>k</Laurl></ContentProtection>
		<SegmentTemplate media="$RepresentationID$/$Time%04d$.m4s" initialization="i"/><Representation id="v" bandwidth="1"/></AdaptationSet>
		<AdaptationSet><Representation><SegmentList><Initialization range="0-9"/><SegmentURL media="a" mediaRange="10-19"/></SegmentList></Representation></AdaptationSet></Period></MPD>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := manifest.ReadMPD(body, base)
		if err != nil {
			return
		}
		for _, e := range m.Entries {
			if e.URL == nil || e.Offset < 0 || e.Length < 0 {
				t.Errorf("listed %+v", e)
			}
		}
		if len(m.Templates) > manifest.MaxTemplates {
			t.Errorf("%d templates", len(m.Templates))
		}
		for _, tm := range m.Templates {
			if strings.Count(strings.Join(tm.Around[1:], ""), "/") > manifest.MaxTemplateDepth || strings.Contains(tm.Example(), "?") {
				t.Fatalf("template %+v", tm)
			}
			if path := tm.Example(); !tm.Matches(path) || !strings.HasPrefix(path, tm.Dir()) {
				t.Fatalf("%+v does not match %s", tm, path)
			}
		}
	})
}
