package tokens

import (
	"slices"
	"strings"
	"testing"
)

func TestCutToken(t *testing.T) {
	uriSigning := []style{pathParameter, formParameter}
	for _, c := range []struct {
		name, uri, token, without string
		styles                    []style
	}{
		{"the RFC's example", "http://example.com/media/path?come=data&token=S.J.T&other=data", "S.J.T", "http://example.com/media/path?come=data&other=data", nil},
		{"only parameter", "http://h/p?token=S.J.T", "S.J.T", "http://h/p", nil},
		{"first parameter", "http://h/p?token=S.J.T&a=b", "S.J.T", "http://h/p?a=b", nil},
		{"last parameter", "http://h/p?a=b&token=S.J.T", "S.J.T", "http://h/p?a=b", nil},
		{"behind the path", "http://h/p;token=S.J.T", "S.J.T", "http://h/p", nil},
		{"behind the path, a query after", "http://h/p;token=S.J.T?a=b", "S.J.T", "http://h/p?a=b", nil},
		{"inside the path", "http://h/p;token=S.J.T/seg.ts", "S.J.T", "http://h/p/seg.ts", nil},
		{"between path parameters", "http://h/p;x=1;token=S.J.T;y=2", "S.J.T", "http://h/p;x=1;y=2", nil},
		{"path before query", "http://h/p;token=A?token=B", "A", "http://h/p?token=B", nil},
		{"empty value", "http://h/p?token=&a=b", "", "http://h/p?a=b", nil},
		{"a name that ends alike", "http://h/p?mytoken=A&x=;token=B", "", "", nil},
		{"a name in the path, not a parameter", "http://h/token=A/p", "", "", nil},
		{"a segment of its own", "http://h/token=S.J.T/live/p", "S.J.T", "http://h/live/p", []style{pathParameter, pathSegment}},
		{"a segment in the middle", "http://h/a/token=S.J.T/p?x", "S.J.T", "http://h/a/p?x", []style{pathParameter, pathSegment}},
		{"no token", "http://h/p?a=b", "", "", nil},
		{"a host that looks like one", "http://token=A/p", "", "", []style{pathParameter, pathSegment}},
	} {
		styles := c.styles
		if styles == nil {
			styles = uriSigning
		}
		token, without, ok := cutToken(c.uri, "token", styles...)
		if c.without == "" {
			if ok || without != c.uri {
				t.Errorf("%s: found %q", c.name, token)
			}
			continue
		}
		if !ok || token != c.token || without != c.without {
			t.Errorf("%s: got %q, %q, want %q, %q", c.name, token, without, c.token, c.without)
		}
	}
	for _, uri := range []string{"http://h/p", "http://h/p?a=b"} {
		for _, add := range []func(string, string, string) string{AddToQuery, AddToPath} {
			if token, without, ok := cutToken(add(uri, "usp", "S.J.T"), "usp", uriSigning...); !ok || token != "S.J.T" || without != uri {
				t.Errorf("what was added to %q is read back as %q, %q", uri, token, without)
			}
		}
	}
}

func TestNormalizeURI(t *testing.T) {
	for in, want := range map[string]string{
		"http://cdni.example/foo/bar":            "http://cdni.example/foo/bar",
		"HTTP://CDNI.Example":                    "http://cdni.example/",
		"http://h:80/":                           "http://h/",
		"https://h:443":                          "https://h/",
		"https://h:80/":                          "https://h:80/",
		"http://h:/":                             "http://h/",
		"http://h%41%c3%bc/":                     "http://ha%C3%BC/",
		"http://[2001:DB8::1]:8080/":             "http://[2001:db8::1]:8080/",
		"http://h/%7euser/%3a%2f%41":             "http://h/~user/%3A%2FA",
		"http://h/a/./b/../c/":                   "http://h/a/c/",
		"http://h/a/b/..":                        "http://h/a/",
		"http://h/a/.":                           "http://h/a/",
		"http://h/../../a":                       "http://h/a",
		"http://h/a/%2e%2E/b":                    "http://h/b",
		"http://h/a//b":                          "http://h/a//b",
		"http://h/a/...":                         "http://h/a/...",
		"http://h?a=%62/../c":                    "http://h/?a=b/../c",
		"http://h/Path?Q=%aa":                    "http://h/Path?Q=%AA",
		"http://h/p?":                            "http://h/p?",
		"http://h/p?a?b":                         "http://h/p?a?b",
		"http://h/a#b":                           "",
		"http://h/a b":                           "",
		"http://h/ä":                             "",
		"http://h/%":                             "",
		"http://h/%4":                            "",
		"http://h/%zz":                           "",
		"http://u@h/":                            "",
		"http:///p":                              "",
		"http://::":                              "",
		"http://h:80:80/":                        "",
		"http://h:port/":                         "",
		"http://[::1/":                           "",
		"http://[]/":                             "",
		"http://[::1]x/":                         "",
		"http://[::1]:80/":                       "http://[::1]/",
		"http://:80/":                            "",
		"ftp://h/":                               "",
		"/p":                                     "",
		"":                                       "",
		"http://h/" + strings.Repeat("a", 8<<10): "",
		"https://h/p;x=1;y/../z,(a)!$&'*+=:@?/?!": "https://h/z,(a)!$&'*+=:@?/?!",
	} {
		got, err := normalizeURI(in)
		if want == "" {
			if ReasonOf(err) != ReasonMalformedURI {
				t.Errorf("%q: got %q, %v, want it refused", in, got.text, err)
			}
			continue
		}
		if err != nil || got.text != want {
			t.Errorf("%q: got %q, %v, want %q", in, got.text, err, want)
			continue
		}
		if again, err := normalizeURI(got.text); err != nil || again != got {
			t.Errorf("%q: normalized again it is %q", in, again.text)
		}
	}
}

func TestURIContainer(t *testing.T) {
	const rfcPattern = `regex:[^:]*\://[^/]*/folder/content/quality_[^/]*/segment.{3}\.mp4(\?.*)?`
	for _, c := range []struct {
		container, uri string
		want           bool
	}{
		{rfcPattern, "https://h/folder/content/quality_720/segment001.mp4", true},
		{rfcPattern, "https://h/folder/content/quality_720/segment001.mp4?a=b", true},
		{rfcPattern, "https://h/folder/content/quality_720/segment01.mp4", false},
		{rfcPattern, "https://h/folder/content/quality_720/x/segment001.mp4", false},
		{rfcPattern, "https://evil/x/folder/content/quality_720/segment001.mp4", false},
		// The whole URI has to match, whichever alternative is shorter.
		{`regex:https://h/a`, "https://h/ab", false},
		{`regex:https://h/a|https://h/ab`, "https://h/ab", true},
		{`regex:ttps://h/a`, "https://h/a", false},
		{`regex:https://h/a|.*`, "https://h/b", true},
		{`regex:https://h/[[:digit:]]+\.ts`, "https://h/42.ts", true},
		{`regex:https://h/(a|b){2}`, "https://h/ab", true},
		{`regex:`, "https://h/a", false},
		// The spelling of a path is what the pattern speaks of: what a server may
		// read as another path is refused.
		{`regex:https://h/live/.*`, "https://h/live/../secret", false},
		{`regex:https://h/live/.*`, "https://h/live/..%2fsecret", false},
		{`regex:https://h/live/.*`, "https://h/live/%2E%2e%5csecret", false},
		{`regex:https://h/live/.*`, "https://h/live/a%00.ts", false},
		{`regex:https://h/live/.*`, "https://h/live/a?x=../..%2fsecret", true},
	} {
		container, err := parseContainer(c.container)
		if err != nil {
			t.Errorf("%s: %v", c.container, err)
			continue
		}
		if got := container.matches(must(normalizeURI(c.uri))); got != c.want {
			t.Errorf("%s on %s: got %v", c.container, c.uri, got)
		}
	}
	for _, form := range []struct{ container, uri string }{
		{"hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY", "http://cdni.example/foo/bar"},
		{"hash:sha-256-128;2tderfWPa86Ku7YnzW51YQ", "http://cdni.example/foo/bar"},
		{must(HashContainer("https://h/a%2Fb?c")), "https://h/a%2fb?c"}, // one URI is meant, so an encoded slash is safe
	} {
		if c := must(parseContainer(form.container)); !c.matches(must(normalizeURI(form.uri))) || c.matches(must(normalizeURI(form.uri+"x"))) {
			t.Errorf("%s does not stand for %s alone", form.container, form.uri)
		}
	}
	for name, container := range map[string]string{
		"empty":                 "",
		"no form":               "https://h/",
		"broken expression":     "regex:(",
		"closes a group":        "regex:a)|(.*",
		"not POSIX":             `regex:\d+`,
		"too long":              "regex:" + strings.Repeat("a", maxPatternSize+1),
		"too costly":            "regex:(/[^/]*){400}",
		"too costly in sum":     "regex:.{600}.{600}",
		"far too costly":        "regex:((((.{1000}){1000}){1000}){1000}){1000}",
		"hash short of 128 bit": "hash:sha-256-64;2tderfWPa84",
		"hash of other length":  "hash:sha-256;2tderfWPa86Ku7YnzW51YQ",
		"other hash":            "hash:sha-512;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY",
		"hash padded":           "hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY=",
	} {
		if _, err := parseContainer(container); ReasonOf(err) != ReasonURI {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := RegexContainer("("); err == nil {
		t.Error("RegexContainer takes a broken expression")
	}
}

// The scope of a pattern must hold all it matches, and should not be wider than
// the directory its spelling shows.
func TestPatternScope(t *testing.T) {
	for expr, want := range map[string]string{
		`https://h/a/.*`:                                    "/a/",
		`https://h/a/[^?]*(\?.*)?`:                          "/a/",
		`https://h/a/[^?#]*(\?.*)?$`:                        "/a/",
		`^https?://[^/]+/a/.*$`:                             "/a/",
		`(http|https)://h(:[0-9]+)?/a/b/.*(\?.*)?`:          "/a/b/",
		`https://h/(ab|xy)/.*`:                              "/ab/ /xy/",
		`https://h/a/.*|https://h/b/x|https://other/.*`:     "/a/",
		`https://h/a/.*|https://h/a/b/.*`:                   "/a/",
		`https://h/x/.*|https://h/.*`:                       "/",
		`https://h/[a-z]/.*`:                                "/a/", // that of the URI it was verified for
		`https://h/a(/b)?/.*`:                               "/a/",
		`https://.*/a/.*`:                                   "/a/",
		`https://h.*`:                                       "/",
		`.*`:                                                "/",
		`https://h/a.*`:                                     "/a/",
		"https://h/" + strings.Repeat("d/", 400) + ".*":     "/" + strings.Repeat("d/", 400),
		`https://h/a/(index\.m3u8|0\.ts)`:                   "",
		`https://h/a/x\.ts|https://h/a/y\.ts`:               "",
		`https://h/a/.*_sd_.*`:                              "",
		`https://h/a/.*\.ts`:                                "",
		`https://h/a/.+`:                                    "",
		`https://h/a/[^?]*`:                                 "", // with a query it is another resource
		`https://h/a/[^?]*(\?.*)`:                           "",
		`https://h/a/[^/]*(\?.*)?`:                          "",
		`https://h/a/[a-zA-Z0-9./]*`:                        "",
		`https://h/a/$.*`:                                   "",
		`https://h/a/($|x).*`:                               "",
		`https://h/a/.{0,40}`:                               "",
		`https://h/film\.mpd\?session=a/b`:                  "",
		`https://other/a/.*|https://h/a/index\.m3u8`:        "",
		`https://h/%2e%2e/a/.*`:                             "",
		`https://h/` + strings.Repeat("(a|b)?", 20) + `/.*`: "*",
	} {
		c, err := parsePattern(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		got := containerGrant{c, "https://h", "/a/index.m3u8"}.Scope()
		if want != "*" && strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
		checkScope(t, c, got)
	}
	hash := must(parseContainer(must(HashContainer("https://h/a/b.ts?c"))))
	if got := (containerGrant{hash, "https://h", "/a/b.ts"}).Scope(); got != nil {
		t.Errorf("hash: got %q", got)
	}
}

// checkScope holds a scope to what a container matches: everything below it.
func checkScope(t *testing.T, c *uriContainer, scope []string) {
	t.Helper()
	for _, prefix := range scope {
		for _, below := range []string{"", "/", "/x", "/x/y.ts", "/x?", "/~!$&'()*+,;=:@.-_%20/z[]?/?x=|^{}", "//x", "?a=b", "?a=/b"} {
			if strings.HasSuffix(prefix, "/") {
				below = strings.TrimPrefix(below, "/")
			}
			if n, err := normalizeURI("https://h" + prefix + below); err == nil && isPlainPath(n.path) && CoversPath(prefix, n.path) && !c.matches(n) {
				t.Errorf("%s is in scope %q and not allowed", n.text, prefix)
			}
		}
	}
}

func TestCookieValues(t *testing.T) {
	header := map[string][]string{"Cookie": {`a=1; usp=one;usp="two" ; xusp=no; usp; usp==`, "usp=four; usp=five"}}
	if got := cookieValues(header, "usp"); !slices.Equal(got, []string{"one", "two", "=", "four"}) {
		t.Errorf("got %q", got)
	}
	if got := cookieValues(nil, "usp"); got != nil {
		t.Errorf("got %q", got)
	}
}
