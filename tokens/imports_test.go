package tokens

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The package stands on the standard library and go-jose alone. Only
// jwks_remote.go may touch net/http, and no file listens on anything.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source files found", err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		test := strings.HasSuffix(name, "_test.go")
		for _, imp := range file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(path, "/")
			standard := !strings.Contains(first, ".")
			jose := strings.HasPrefix(path, "github.com/go-jose/go-jose/v4")
			self := test && path == "github.com/viewmesh/viewmesh/tokens"
			if !standard && !jose && !self {
				t.Errorf("%s imports %s", name, path)
			}
			if !test && (path == "net" || path == "os" || path == "net/http" && name != "jwks_remote.go") {
				t.Errorf("%s imports %s: I/O belongs in jwks_remote.go or with the caller", name, path)
			}
		}
	}
}
