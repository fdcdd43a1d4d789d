package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rule says what a package, and those below it, may import apart from its own
// subpackages. The first rule that fits a package counts.
type rule struct {
	pkg string // path within the module; "/..." covers those below, too
	// inside are packages of the module; "/..." as above.
	inside []string
	// outside are prefixes of import paths of other modules.
	outside []string
	// pure forbids net, os and syscall of the standard library.
	pure bool
}

// table is the second section of the design: imports point one way only.
var table = []rule{
	{pkg: "meshcore/wire", pure: true},
	{pkg: "meshcore/integrity", inside: []string{"meshcore/wire"}, pure: true},
	{pkg: "meshcore/signal", inside: []string{"meshcore/wire"}, pure: true},
	{pkg: "meshcore/tracker/...", inside: []string{"meshcore/wire", "meshcore/signal"}, pure: true},
	{pkg: "meshcore/peer/...", inside: []string{"meshcore/wire", "meshcore/signal", "meshcore/integrity"}, pure: true},
	{pkg: "meshcore/manifest", outside: []string{"github.com/grafov/m3u8"}, pure: true},
	{pkg: "meshcore/browser/...", pure: true},
	{pkg: "meshcore/sim/...", inside: []string{"meshcore/..."}, pure: true},
	{pkg: "meshcore/webtorrent", inside: []string{"meshcore/manifest", "meshcore/tracker"}, pure: true},
	{pkg: "meshcore/...", inside: []string{"meshcore/wire", "meshcore/signal", "meshcore/integrity"}, pure: true},

	{pkg: "tokens/...", outside: []string{"github.com/go-jose/go-jose/v4"}},
	{pkg: "turnserver/...", outside: []string{"github.com/pion/turn/v2", "github.com/pion/stun", "github.com/pion/logging",
		"github.com/pion/transport/", "go.uber.org/zap", "golang.org/x/"}},
	{pkg: "edge/...", inside: []string{"meshcore/...", "tokens/..."},
		outside: []string{"go.uber.org/zap", "github.com/gorilla/websocket", "github.com/dunglas/httpsfv",
			"github.com/hashicorp/golang-lru/v2", "golang.org/x/",
			"github.com/nats-io/nats.go", "go.etcd.io/bbolt", // for edge/broker; for edge/digest and edge/insight
			"github.com/oschwald/maxminddb-golang/", "github.com/gaissmai/bart", // for edge/locator; for edge/admission
			"github.com/DataDog/sketches-go/", "github.com/axiomhq/hyperloglog"}}, // for edge/insight
	{pkg: "caddymodule/...", inside: []string{"edge/...", "meshcore/...", "tokens/...", "turnserver/..."},
		outside: []string{"github.com/caddyserver/", "go.uber.org/zap", "github.com/dustin/go-humanize", "github.com/prometheus/",
			"golang.org/x/", "github.com/oschwald/maxminddb-golang"}},
	{pkg: "", inside: []string{"caddymodule"}},
	{pkg: "internal/bundle/...", outside: []string{"github.com/evanw/esbuild/"}},

	{pkg: "examples/caddy/...", inside: []string{"", "caddymodule", "examples/live/caddylive", "examples/media"},
		outside: []string{"github.com/caddyserver/"}},
	{pkg: "examples/peer/...", inside: []string{"meshcore/...", "tokens/..."},
		outside: []string{"github.com/pion/", "github.com/gorilla/websocket", "github.com/dunglas/httpsfv", "golang.org/x/"}},
	{pkg: "examples/live/caddylive", inside: []string{"examples/live", "examples/media"},
		outside: []string{"github.com/caddyserver/", "go.uber.org/zap"}},
	{pkg: "examples/live/...", inside: []string{"examples/media"}},
	{pkg: "examples/media/..."},
	{pkg: "examples/simulate/...", inside: []string{"meshcore/..."}, outside: []string{"golang.org/x/", "github.com/schollz/progressbar/"}},
	{pkg: "examples/embed/...", inside: []string{"edge", "examples/media", "tokens"}},
}

// pinned are the majors that one package each imports, tests included, so that a
// later major is one change.
var pinned = []struct{ module, major, importer string }{
	{"github.com/pion/turn", "v2", "turnserver"},
	{"github.com/pion/webrtc", "v3", "examples/peer/rtc"},
	{"github.com/grafov/m3u8", "", "meshcore/manifest"},
	{"github.com/evanw/esbuild", "", "internal/bundle"},
}

// covers says whether a pattern of the table means this path.
func covers(pattern, path string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == below || strings.HasPrefix(path, below+"/")
	}
	return path == pattern
}

// impure says whether an import path of the standard library does I/O.
func impure(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return (first == "net" && path != "net/netip" && path != "net/url") || first == "os" || first == "syscall"
}

// breach says why a package, by its path within the module, must not import
// another; it is empty where the table allows it.
func breach(pkg, imported string, standard bool) string {
	i := slices.IndexFunc(table, func(r rule) bool { return covers(r.pkg, pkg) })
	if imported == module+"/caddymodule" && pkg != "" && !covers("examples/caddy/...", pkg) && !covers("caddymodule/...", pkg) {
		return "nothing imports caddymodule but examples/caddy and the root package"
	}
	if i < 0 {
		return ""
	}
	r := table[i]
	switch {
	case standard:
		if r.pure && impure(imported) {
			return "it does I/O, and " + r.pkg + " does none"
		}
		return ""
	case inModule(imported):
		in := within(imported)
		if pkg != "" && strings.HasPrefix(in, pkg+"/") {
			return ""
		}
		if slices.ContainsFunc(r.inside, func(p string) bool { return covers(p, in) }) {
			return ""
		}
		// A subpackage of a tree may use its siblings and its parent.
		if tree, ok := strings.CutSuffix(r.pkg, "/..."); ok && tree != "meshcore" && covers(r.pkg, in) && pkg != tree {
			return ""
		}
		return fmt.Sprintf("%q imports %v of this module", r.pkg, r.inside)
	default:
		if slices.ContainsFunc(r.outside, func(p string) bool { return strings.HasPrefix(imported, p) }) {
			return ""
		}
		return fmt.Sprintf("%q imports %v of other modules", r.pkg, r.outside)
	}
}

// TestTable asks the table about imports that it must allow or forbid.
func TestTable(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"meshcore/wire", "fmt", true},
		{"meshcore/wire", "os", false},
		{"meshcore/wire", "net", false},
		{"meshcore/wire", "net/http", false},
		{"meshcore/wire", "os/signal", false},
		{"meshcore/wire", "syscall/js", false},
		{"meshcore/tracker", "net/netip", true},
		{"meshcore/manifest", "net/url", true},
		{"meshcore/manifest", "net/http", false},
		{"meshcore/manifest", "github.com/grafov/m3u8", true},
		{"meshcore/wire", "github.com/grafov/m3u8", false},
		{"meshcore/wire", module + "/meshcore/signal", false},
		{"meshcore/signal", module + "/meshcore/wire", true},
		{"meshcore/peer", module + "/meshcore/tracker", false},
		{"meshcore/peer", module + "/meshcore/integrity", true},
		{"meshcore/tracker", module + "/meshcore/sim", false},
		{"meshcore/sim", module + "/meshcore/tracker", true},
		{"meshcore/sim", module + "/tokens", false},
		{"meshcore/new", module + "/meshcore/sim", false},
		{"meshcore/peer", "github.com/pion/webrtc/v3", false},
		{"tokens", "net/http", true},
		{"tokens", "github.com/go-jose/go-jose/v4/jwt", true},
		{"tokens", "github.com/caddyserver/caddy/v2", false},
		{"tokens", module + "/meshcore/wire", false},
		{"turnserver", "github.com/pion/turn/v2", true},
		{"turnserver", "github.com/pion/turn/v4", false},
		{"turnserver", module + "/tokens", false},
		{"turnserver/relaybench", module + "/turnserver", true},
		{"turnserver", module + "/turnserver/relaybench", true},
		{"edge", module + "/tokens", true},
		{"edge/catalog", module + "/edge/digest", true},
		{"edge", "github.com/caddyserver/caddy/v2", false},
		{"edge/signaling", "github.com/pion/webrtc/v3", false},
		{"edge", module + "/turnserver", false},
		{"edge", module + "/caddymodule", false},
		{"meshcore/peer", module + "/edge", false},
		{"caddymodule", module + "/edge", true},
		{"caddymodule/turn", module + "/edge", true},
		{"caddymodule", "github.com/gorilla/websocket", false},
		{"caddymodule", module + "/turnserver", true},
		{"caddymodule", "github.com/pion/turn/v2", false},
		{"caddymodule", module + "/examples/live", false},
		{"", module + "/caddymodule", true},
		{"", module + "/tokens", false},
		{"examples/caddy", module + "/caddymodule", true},
		{"examples/caddy", module, true},
		{"examples/peer", module + "/caddymodule", false},
		{"examples/peer", "github.com/pion/webrtc/v3", true},
		{"examples/cluster", module + "/caddymodule", false},
		{"examples/cluster", module, true},
		{"examples/live", "github.com/caddyserver/caddy/v2", false},
		{"examples/live/caddylive", "github.com/caddyserver/caddy/v2", true},
		{"examples/live/caddylive", module + "/caddymodule", false},
		{"examples/embed", module + "/edge", true},
		{"examples/embed", "github.com/caddyserver/caddy/v2", false},
	} {
		standard := !strings.Contains(c.imported, ".")
		if why := breach(c.pkg, c.imported, standard); (why == "") != c.ok {
			t.Errorf("%q importing %s: %q, want it allowed: %v", c.pkg, c.imported, why, c.ok)
		}
	}
}

// checkImports holds the packages of a listing against the table.
func checkImports(t *testing.T, pkgs map[string]*goPackage) {
	t.Helper()
	for path, p := range pkgs {
		if !inModule(path) {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "C" {
				t.Errorf("%s uses cgo", path)
				continue
			}
			if why := breach(p.short(), imported, pkgs[imported] != nil && pkgs[imported].Standard); why != "" {
				t.Errorf("%s imports %s: %s", path, imported, why)
			}
		}
		if covers("meshcore/...", p.short()) {
			for _, dep := range p.Deps {
				if dep == "net" || dep == "net/http" {
					t.Errorf("%s depends on %s by way of another package", path, dep)
				}
			}
		}
	}
}

func TestImports(t *testing.T) {
	pkgs := goList(t, "", "", "./...")
	checkImports(t, pkgs)

	for _, pin := range pinned {
		path := pin.module
		if pin.major != "" {
			path += "/" + pin.major
		}
		for importer, p := range pkgs {
			if !inModule(importer) {
				continue
			}
			for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if !covers(pin.module+"/...", imported) {
					continue
				}
				if !covers(path+"/...", imported) {
					t.Errorf("%s imports %s, and the module is pinned to %s", importer, imported, path)
				}
				if p.short() != pin.importer {
					t.Errorf("%s imports %s, which is for %s alone", importer, imported, pin.importer)
				}
			}
		}
	}
}

// TestImportsOfTheBrowser: meshcore keeps to the table, and builds, where a
// browser runs Go.
func TestImportsOfTheBrowser(t *testing.T) {
	checkImports(t, goList(t, "js", "wasm", "./meshcore/..."))
	out, err := goCommand(t, "js", "wasm", "build", "./meshcore/...").CombinedOutput()
	if err == nil {
		return
	}
	if _, native := goCommand(t, "", "", "build", "./meshcore/...").CombinedOutput(); native != nil {
		t.Log("meshcore builds nowhere; the build says why")
		return
	}
	t.Errorf("meshcore builds, but not for GOOS=js GOARCH=wasm: %v\n%s", err, out)
}
