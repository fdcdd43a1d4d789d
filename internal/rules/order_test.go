package rules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ordered are the packages whose decisions must not depend on the order of a map:
// the same seed gives the same trace, byte for byte.
var ordered = []string{"meshcore/peer", "meshcore/tracker", "meshcore/sim"}

// excuse is what the line of a range over a map must carry, with a reason behind it.
const excuse = "// order does not matter: "

// byChance are functions of package maps that go through a map in any order.
var byChance = map[string]bool{"Keys": true, "Values": true, "All": true, "DeleteFunc": true, "EqualFunc": true}

// disorder lists the lines that go through a map without an excuse. Keys that go
// straight into slices.Sorted and its like are in order again.
func disorder(fset *token.FileSet, files []*ast.File, info *types.Info) []string {
	var found []string
	for _, f := range files {
		excused := map[int]bool{}
		for _, group := range f.Comments {
			for _, c := range group.List {
				if why, ok := strings.CutPrefix(c.Text, excuse); ok && len(strings.Fields(why)) > 1 {
					excused[fset.Position(c.Pos()).Line] = true
				}
			}
		}
		report := func(n ast.Node, what string) {
			if p := fset.Position(n.Pos()); !excused[p.Line] {
				found = append(found, fmt.Sprintf("%s:%d: %s; sort first, or say on the line why %q", p.Filename, p.Line, what,
					strings.TrimSpace(strings.Trim(excuse, "/: "))))
			}
		}
		sorted := map[ast.Expr]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt:
				if isMap(info.TypeOf(n.X)) {
					report(n, "ranges over a map")
				}
			case *ast.CallExpr:
				pkg, name := callee(info, n)
				if pkg == "slices" && strings.HasPrefix(name, "Sorted") && len(n.Args) > 0 {
					sorted[n.Args[0]] = true
				}
				if pkg == "maps" && byChance[name] && !sorted[n] {
					report(n, "goes through a map by maps."+name)
				}
			}
			return true
		})
	}
	return found
}

// callee gives package and name of a called function, where it is one of a package.
func callee(info *types.Info, call *ast.CallExpr) (pkg, name string) {
	fun := call.Fun
	if i, ok := fun.(*ast.IndexExpr); ok {
		fun = i.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	if f, ok := info.Uses[sel.Sel].(*types.Func); ok && f.Pkg() != nil {
		return f.Pkg().Path(), f.Name()
	}
	return "", ""
}

// isMap says whether a type is a map, or a type parameter that may be one.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Interface: // of a type parameter
		for i := range u.NumEmbeddeds() {
			e := u.EmbeddedType(i)
			if union, ok := e.(*types.Union); ok {
				for j := range union.Len() {
					if isMap(union.Term(j).Type()) {
						return true
					}
				}
			} else if isMap(e) {
				return true
			}
		}
	}
	return false
}

// check type-checks files; what cannot be told of a package that does not compile
// is left out.
func check(fset *token.FileSet, path string, files []*ast.File, imports types.Importer) (*types.Info, error) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	var errs []error
	conf := types.Config{Importer: imports, Error: func(err error) { errs = append(errs, err) }}
	_, _ = conf.Check(path, fset, files, info)
	return info, errors.Join(errs...)
}

func TestDisorder(t *testing.T) {
	exports := goList(t, "", "", "-export", "maps", "slices")
	for _, c := range []struct {
		line string
		bad  bool
	}{
		{`for range m {}`, true},
		{`for k := range m { _ = k }`, true},
		{`for k := range m { _ = k } // order does not matter: it is a sum`, false},
		{`for k := range m { _ = k } // order does not matter:`, true},
		{`for k := range m { _ = k } // it is a sum`, true},
		{`for k := range named(m) { _ = k }`, true},
		{`for k := range f(m) { _ = k }`, true},
		{`for i := range s { _ = i }`, false},
		{`for i := range 3 { _ = i }`, false},
		{`for k := range maps.Keys(m) { _ = k }`, true},
		{`for _, k := range slices.Sorted(maps.Keys(m)) { _ = k }`, false},
		{`for _, k := range slices.Collect(maps.Values(m)) { _ = k }`, true},
		{`maps.DeleteFunc(m, func(k, v int) bool { return false }) // order does not matter: false for all`, false},
		{`maps.DeleteFunc(m, func(k, v int) bool { return false })`, true},
		{`maps.Copy(m, m)`, false},
		{`g(m)`, false},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "p.go", `package p
import ("maps"; "slices")
type named map[int]int
var _, _ = maps.Keys[map[int]int], slices.Sorted[int]
func f(m map[int]int) named { return m }
func g[M ~map[int]int](m M) {
	for range m {} // order does not matter: it is the test's own
}
func h(m map[int]int, s []int) {
`+c.line+"\n}\n", parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		info, err := check(fset, "p", []*ast.File{f}, exportImporter(fset, exports))
		if err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		if got := disorder(fset, []*ast.File{f}, info); (len(got) > 0) != c.bad {
			t.Errorf("%s: found %v, want something: %v", c.line, got, c.bad)
		}
	}
}

// exportImporter reads the packages of a listing from what the compiler wrote.
func exportImporter(fset *token.FileSet, pkgs map[string]*goPackage) types.Importer {
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		p := pkgs[path]
		if p == nil || p.Export == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(p.Export)
	})
}

func TestNoDecisionDependsOnMapOrder(t *testing.T) {
	base := moduleRoot(t)
	args := []string{"-export"}
	for _, p := range ordered {
		if _, err := os.Stat(filepath.Join(base, p)); err == nil {
			args = append(args, "./"+p+"/...")
		}
	}
	pkgs := goList(t, "", "", args...)
	for path, p := range pkgs {
		if !inModule(path) || !anyCovers(ordered, p.short()) {
			continue
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Logf("it does not parse, which the build says too: %v", err)
				continue
			}
			files = append(files, f)
		}
		info, err := check(fset, path, files, exportImporter(fset, pkgs))
		if err != nil {
			t.Logf("%s does not compile, which the build says too", path)
		}
		for _, what := range disorder(fset, files, info) {
			t.Error(strings.TrimPrefix(what, base+string(filepath.Separator)))
		}
	}
}

func anyCovers(trees []string, path string) bool {
	for _, p := range trees {
		if covers(p+"/...", path) {
			return true
		}
	}
	return false
}
