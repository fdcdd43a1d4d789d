package manifest_test

import (
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestNames: what a resource is called, by the vectors that the browser's engine
// runs, too.
func TestNames(t *testing.T) {
	b, err := os.ReadFile("../testdata/paths.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Names []struct {
			URL, Path, Name string
			Params, Tokens  []string
		}
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Names) < 15 {
		t.Errorf("only %d vectors", len(vectors.Names))
	}
	for _, v := range vectors.Names {
		who := manifest.Identity{Params: v.Params, Cut: func(uri string) string {
			_, without := tokens.CutURI(uri, v.Tokens)
			return without
		}}
		if v.Path != "" {
			if who.Path, err = manifest.ParseViewerPath(v.Path); err != nil {
				t.Errorf("%s: %v", v.Path, err)
				continue
			}
		}
		u, err := url.Parse(v.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := who.Of(u).String(); got != v.Name {
			t.Errorf("%s: %s, want %s", v.URL, got, v.Name)
		}
	}
}

// TestViewerPaths: what browsers read in another way is refused, with a word of what
// to write.
func TestViewerPaths(t *testing.T) {
	for _, good := range []string{"^/s/[^/]+", `/(?:session|user)-\d{1,8}`, `/\w+\.tok`, "x+?y*$"} {
		if _, err := manifest.ParseViewerPath(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"(", "a**", "(?i)/S/", "(?P<n>a)", "(?=a)", `\Aa`, `a\z`, `\Qa`, `\pL`, `\x41`, `\bx`, "[[:alpha:]]", "é", ".*", "a?", "^", "", strings.Repeat("a", 300)} {
		if _, err := manifest.ParseViewerPath(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// FuzzName: the name of what has a name is that name, so that what was named once may
// be named again.
func FuzzName(f *testing.F) {
	f.Add("/a/b.ts", "sid=1&q=2", "sid")
	f.Add("/%61", "s%69d=1", "sid q")
	f.Fuzz(func(t *testing.T, path, query, params string) {
		if _, err := url.PathUnescape(path); err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || strings.Contains(query, "#") {
			return
		}
		who := manifest.Identity{Params: strings.Fields(params)}
		n := who.Name(path, query)
		if again := who.Name(n.Path, n.Query); again != n {
			t.Errorf("%v becomes %v", n, again)
		}
		for pair := range strings.SplitSeq(n.Query, "&") {
			if name, _, _ := strings.Cut(pair, "="); name != "" && slices.Contains(who.Params, name) {
				t.Errorf("%v keeps %s", n, name)
			}
		}
	})
}
