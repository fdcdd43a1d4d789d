package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// banned are packages that bring time, concurrency or chance with them.
var banned = map[string]string{
	"sync":         "an engine has no lock: its driver owns it",
	"sync/atomic":  "an engine has no lock: its driver owns it",
	"context":      "an engine does not wait: deadlines are inputs",
	"crypto/rand":  "chance comes from the seed",
	"hash/maphash": "chance comes from the seed, and this one is new in each process",
}

// clock are the functions of package time that know what time it is.
var clock = map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "NewTimer": true,
	"NewTicker": true, "Tick": true, "Sleep": true}

// seeded are the names of math/rand and math/rand/v2 that need a seed or are types.
var seeded = map[string]bool{"New": true, "NewPCG": true, "NewChaCha8": true, "NewSource": true, "NewZipf": true, "Rand": true,
	"PCG": true, "ChaCha8": true, "Source": true, "Source64": true, "Zipf": true}

// impurities lists what a file of an engine must not have.
func impurities(fset *token.FileSet, f *ast.File) []string {
	var found []string
	report := func(n ast.Node, format string, args ...any) {
		p := fset.Position(n.Pos())
		found = append(found, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
	}
	names := map[string]string{} // local name to import path
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if why, ok := banned[p]; ok {
			report(spec, "imports %s: %s", p, why)
		}
		name := path.Base(p)
		if p == "math/rand/v2" {
			name = "rand"
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			report(spec, "imports %s with a dot, which hides what is used of it", p)
		}
		names[name] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "starts a goroutine")
		case *ast.ChanType:
			report(n, "has a channel")
		case *ast.SendStmt:
			report(n, "sends on a channel")
		case *ast.SelectStmt:
			report(n, "selects")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				report(n, "receives from a channel")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch p := names[x.Name]; {
			case p == "time" && clock[n.Sel.Name]:
				report(n, "uses time.%s: time is an input", n.Sel.Name)
			case (p == "math/rand" || p == "math/rand/v2") && !seeded[n.Sel.Name]:
				report(n, "uses rand.%s: chance comes from the seed", n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestImpurities(t *testing.T) {
	for _, c := range []struct{ imports, body, want string }{
		{`"time"`, `_ = time.Second; var d time.Duration; _ = d`, ""},
		{`"time"`, `_ = time.Now()`, "time.Now"},
		{`"time"`, `f := time.Since; _ = f`, "time.Since"},
		{`clock "time"`, `clock.Sleep(1)`, "time.Sleep"},
		{`. "time"`, `_ = Now()`, "with a dot"},
		{`"math/rand/v2"`, `r := rand.New(rand.NewPCG(1, 2)); _ = r.IntN(3)`, ""},
		{`"math/rand/v2"`, `_ = rand.IntN(3)`, "rand.IntN"},
		{`"math/rand"`, `rand.Shuffle(1, nil)`, "rand.Shuffle"},
		{`"crypto/rand"`, ``, "crypto/rand"},
		{`"sync"`, `var mu sync.Mutex`, "imports sync"},
		{`"sync/atomic"`, ``, "imports sync/atomic"},
		{``, `go func() {}()`, "goroutine"},
		{``, `var c chan int; _ = c`, "channel"},
		{``, `f := func(c chan<- int) { c <- 1 }; _ = f`, "sends"},
		{``, `select {}`, "selects"},
		{``, `x := -1; _ = &x; _ = !true`, ""},
	} {
		src := "package p\n"
		if c.imports != "" {
			src += "import " + c.imports + "\n"
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "p.go", src+"func f() {\n"+c.body+"\n}\n", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(impurities(fset, f), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.body, got, c.want)
		}
	}
}

func TestMeshcoreIsPure(t *testing.T) {
	base := moduleRoot(t)
	files := 0
	err := filepath.WalkDir(filepath.Join(base, "meshcore"), func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "browser" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Logf("it does not parse, which the build says too: %v", err)
			return nil
		}
		files++
		for _, what := range impurities(fset, f) {
			t.Error(strings.TrimPrefix(what, base+string(filepath.Separator)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files were looked at", files)
	}
}
