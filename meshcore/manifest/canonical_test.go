package manifest_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestCanonicalPath: two spellings of a path are one, by the vectors that the
// browser's engine runs, too.
func TestCanonicalPath(t *testing.T) {
	b, err := os.ReadFile("../testdata/paths.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Canonical []struct{ In, Out string }
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Canonical {
		if got := manifest.CanonicalPath(v.In); got != v.Out {
			t.Errorf("%s: %s, want %s", v.In, got, v.Out)
		}
	}
	if len(vectors.Canonical) < 20 {
		t.Errorf("only %d vectors", len(vectors.Canonical))
	}
}

// FuzzCanonicalPath: the spelling of a canonical path is itself, it has no dot
// segment, and it never leaves the root.
func FuzzCanonicalPath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2E/x", "/%25%32e", "//..//", "/a%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := url.PathUnescape(s); err != nil || !strings.HasPrefix(s, "/") {
			return // no server takes it
		}
		c := manifest.CanonicalPath(s)
		if again := manifest.CanonicalPath(c); again != c {
			t.Errorf("%q becomes %q, and that %q", s, c, again)
		}
		if !strings.HasPrefix(c, "/") {
			t.Errorf("%q becomes %q", s, c)
		}
		for part := range strings.SplitSeq(c, "/") {
			if part == "." || part == ".." {
				t.Errorf("%q keeps a dot segment: %q", s, c)
			}
		}
	})
}

// TestCanonicalQuery: the viewer's parameters are no part of a resource's name.
func TestCanonicalQuery(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"x=1%2F+2&y", "x=1%2F+2&y"},
		{"CMCD=bl%3D100%2Csu", ""},
		{"x=1&CMCD=bl%3D100&y=2?", "x=1&y=2?"},
		{"_HLS_msn=12&_HLS_part=1&x=1", "x=1"},
		{"MYCMCD=1", "MYCMCD=1"},
		{"sid=7&q=hi&sid=8", "q=hi"},
		{"q=hi&sid", "q=hi"},
		{"sidx=1&&q=2", "sidx=1&q=2"},
	} {
		if got := manifest.CanonicalQuery(c.in, []string{"sid"}); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestCanonicalHost(t *testing.T) {
	for _, c := range []struct {
		host  string
		https bool
		want  string
	}{
		{"Video.Example:80", false, "video.example"},
		{"video.example:443", true, "video.example"},
		{"video.example:443", false, "video.example:443"},
		{"video.example:8080", false, "video.example:8080"},
		{"[::1]:80", false, "[::1]"},
	} {
		if got := manifest.CanonicalHost(c.host, c.https); got != c.want {
			t.Errorf("%s: %s, want %s", c.host, got, c.want)
		}
	}
}
