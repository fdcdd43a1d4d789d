package manifest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// beyond are cases that a listing alone cannot decide: why.
var beyond = map[string]string{
	"h13-gzip":               "the server decodes it",
	"h13b-br":                "the server decodes it",
	"h13c-deflate":           "the server decodes it",
	"h13d-zstd":              "the server decodes it",
	"h10c-equivalent-escape": "an escaped comma is another name (RFC 3986, section 2.2): the server says whether it serves both",
	"d09-number-in-query":    "a template has its numbers in the path; the omission says so",
}

// TestCases reads the manifests of testdata/cases.json, which are as packagers and
// players' test suites have them, and asks for each URL whether it is listed.
func TestCases(t *testing.T) {
	b, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name      string
		Manifests []struct {
			URL, Body string
			Base64    string `json:"body_base64"`
			Header    map[string]string
		}
		Expect []struct {
			URL    string
			Shared bool
			Range  *struct{ Offset, Length int64 }
		}
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if why := beyond[c.Name]; why != "" {
				t.Log(why)
				return
			}
			var all manifest.MPD
			for _, m := range c.Manifests {
				body := []byte(strings.ReplaceAll(m.Body, "{host}", "edge.example:8080"))
				if m.Base64 != "" {
					if body, err = base64.StdEncoding.DecodeString(m.Base64); err != nil {
						t.Fatal(err)
					}
				}
				u, err := url.Parse("http://edge.example:8080" + strings.ReplaceAll(m.URL, " ", "%20"))
				if err != nil {
					t.Fatal(err)
				}
				mediaType, _, _ := strings.Cut(strings.ToLower(m.Header["Content-Type"]), ";")
				if !manifest.Sniff(body) || (!manifest.IsHLS(mediaType) && !manifest.IsDASH(mediaType) && !manifest.IsGeneric(mediaType)) || !manifest.MayBeManifest(u.Path) {
					t.Errorf("%s of type %q is not known for a manifest", m.URL, mediaType)
				}
				add := func(l *manifest.Listing) {
					all.Entries, all.Forbidden = append(all.Entries, l.Entries...), append(all.Forbidden, l.Forbidden...)
				}
				if manifest.IsXML(body) {
					mpd, err := manifest.ReadMPD(body, u)
					if err != nil {
						t.Fatal(err)
					}
					add(&mpd.Listing)
					all.Templates = append(all.Templates, mpd.Templates...)
				} else {
					p, err := manifest.ReadHLS(body, manifest.Source{URL: u})
					if err != nil {
						t.Fatal(err)
					}
					add(&p.Listing)
				}
			}
			for _, e := range c.Expect {
				var want manifest.Resource
				if e.Range != nil {
					want.Offset, want.Length = e.Range.Offset, e.Range.Length
				}
				at := func(u *url.URL) bool {
					path, query, ok := manifest.Local(u, "edge.example:8080")
					if query != "" {
						path += "?" + query
					}
					return ok && path == e.URL
				}
				listed := slices.ContainsFunc(all.Entries, func(x manifest.Entry) bool {
					return at(x.URL) && x.Offset == want.Offset && x.Length == want.Length
				})
				path, query, _ := strings.Cut(e.URL, "?")
				listed = listed || slices.ContainsFunc(all.Templates, func(x manifest.Template) bool { return x.Query == query && x.Matches(path) })
				// What is forbidden is so whatever its query says.
				forbidden := slices.ContainsFunc(all.Forbidden, func(u *url.URL) bool { p, _, ok := manifest.Local(u, "edge.example:8080"); return ok && p == path })
				if got := listed && !forbidden; got != e.Shared {
					t.Errorf("%s: listed %v, forbidden %v", e.URL, listed, forbidden)
				}
			}
		})
	}
}
