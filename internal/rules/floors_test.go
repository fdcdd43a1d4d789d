package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	// mostUp is how many of a hundred arrows between the files of a package may run
	// up, in the order of files for which the fewest do. Of Caddy's reverse proxy
	// 17 do, and of quic-go 14.
	mostUp = 15
	// A package with fewer files or fewer arrows is too small for a share to mean
	// anything.
	leastFiles, leastArrows = 4, 10
	// mostFiles is in how many files the methods of a type may lie.
	mostFiles = 2
)

// steep are packages in which more arrows run up than may: how many do, of how
// many. Their share must not grow, and whoever brings one within the floors deletes
// its line. There is none.
var steep = map[string]struct{ up, of int }{}

// scattered are types whose methods lie in more files than they may: in how many.
// The same holds for its lines.
var scattered = map[string]int{
	"examples/peer/gateway.Gateway": 3,
	"examples/peer/player.Player":   3,
	"examples/peer/viewer.Viewer":   6,
	"meshcore/peer.Engine":          11,
	"meshcore/sim.shard":            5,
	"meshcore/sim.world":            6,
	"meshcore/tracker.Swarm":        4,
	"turnserver.intake":             3,
}

// building is a package seen as floors: its files stand above those they use.
type building struct {
	files  []string // base names, from the top floor down
	arrows int
	// up are the arrows that run up, with the names that are used.
	up []string
	// scattered are the files with methods of a type that has them in too many.
	scattered map[string][]string
}

// survey reads arrows between files: from one that names something to the one that
// declares it, be it a function, type, variable, constant, method or field, however
// often it is named.
func survey(fset *token.FileSet, files []*ast.File, info *types.Info) building {
	path := func(p token.Pos) string { return fset.Position(p).Filename } // files of other packages have the same names
	index := map[string]int{}
	b := building{scattered: map[string][]string{}}
	for _, f := range files {
		index[path(f.Pos())] = len(index)
		b.files = append(b.files, filepath.Base(path(f.Pos())))
	}
	g := make(graph, len(files))
	for v := range g {
		g[v] = make([]bool, len(files))
	}
	used := map[[2]int]map[string]bool{}
	for id, object := range info.Uses {
		if !object.Pos().IsValid() {
			continue
		}
		from, ok := index[path(id.Pos())]
		to, here := index[path(object.Pos())]
		if !ok || !here || from == to {
			continue
		}
		g[from][to] = true
		if used[[2]int{from, to}] == nil {
			used[[2]int{from, to}] = map[string]bool{}
		}
		used[[2]int{from, to}][id.Name] = true
	}
	order := g.floors()
	for i, v := range order {
		for j, w := range order {
			b.arrows += arrow(g[v][w])
			if g[v][w] && j < i {
				b.up = append(b.up, fmt.Sprintf("%s -> %s by %s", b.files[v], b.files[w],
					strings.Join(slices.Sorted(maps.Keys(used[[2]int{v, w}])), ", ")))
			}
		}
	}
	methods := map[string]map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				of := receiver(fn.Recv.List[0].Type)
				if methods[of] == nil {
					methods[of] = map[string]bool{}
				}
				methods[of][filepath.Base(path(f.Pos()))] = true
			}
		}
	}
	for of, in := range methods {
		if len(in) > mostFiles {
			b.scattered[of] = slices.Sorted(maps.Keys(in))
		}
	}
	sorted := make([]string, len(order))
	for i, v := range order {
		sorted[i] = b.files[v]
	}
	b.files = sorted
	return b
}

// receiver is the name of the type that a method belongs to.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.ParenExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// tooSteep reports whether too many arrows run up.
func (b building) tooSteep() bool {
	return len(b.files) >= leastFiles && b.arrows >= leastArrows && 100*len(b.up) > mostUp*b.arrows
}

func TestFloors(t *testing.T) {
	pkgs := goList(t, "", "", "-export", "./...")
	steepSeen, scatteredSeen := map[string]bool{}, map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(pkgs)) {
		p := pkgs[path]
		if !inModule(path) || len(p.GoFiles) == 0 {
			continue
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info, err := check(fset, path, files, exportImporter(fset, pkgs))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		b := survey(fset, files, info)
		if b.arrows > 0 {
			t.Logf("%s: %d of %d arrows between %d files run up", p.short(), len(b.up), b.arrows, len(b.files))
		}
		if b.tooSteep() {
			steepSeen[p.short()] = true
			if allowed := steep[p.short()]; len(b.up)*max(allowed.of, 1) > allowed.up*b.arrows {
				t.Errorf("%s: %d of %d arrows between files run up, and at most %d %% may (in steep it would be {%d, %d}). From the top floor down the files are\n\t%s\nand these arrows run up:\n\t%s",
					p.short(), len(b.up), b.arrows, mostUp, len(b.up), b.arrows, strings.Join(b.files, " "), strings.Join(b.up, "\n\t"))
			}
		}
		for _, of := range slices.Sorted(maps.Keys(b.scattered)) {
			scatteredSeen[p.short()+"."+of] = true
			if in := b.scattered[of]; len(in) > max(mostFiles, scattered[p.short()+"."+of]) {
				t.Errorf("%s.%s has its methods in %d files, and at most %d may have them: %s", p.short(), of, len(in), mostFiles, strings.Join(in, " "))
			}
		}
	}
	for p := range steep {
		if !steepSeen[p] {
			t.Errorf("%s is within the floors: take it out of steep", p)
		}
	}
	for of := range scattered {
		if !scatteredSeen[of] {
			t.Errorf("%s has its methods in %d files at most: take it out of scattered", of, mostFiles)
		}
	}
}

// TestSurvey reads a package of four files, in which only a.go and b.go use each
// other. Package fmt has a print.go, too.
func TestSurvey(t *testing.T) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, f := range []struct{ name, text string }{
		{"a.go", "import \"fmt\"; var top = low; func (t *T) A() { t.B(); t.field++; fmt.Print() }"},
		{"b.go", "type T struct { field int }; func (t *T) B() { t.A(); t.A(); _ = base }"},
		{"c.go", "import \"fmt\"; var low, top2 = base, 1; func (T) C() { fmt.Println() }"},
		{"print.go", "const base = 1; func d(base int) int { low := base; return low }"},
	} {
		file, err := parser.ParseFile(fset, f.name, "package p\n"+f.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info, err := check(fset, "p", files, exportImporter(fset, goList(t, "", "", "-export", "fmt")))
	if err != nil {
		t.Fatal(err)
	}
	b := survey(fset, files, info)
	// a -> b (B, field), a -> c (low), b -> a (A), b -> print (base), c -> b (T), c -> print (base).
	if b.arrows != 6 || !slices.Equal(b.up, []string{"b.go -> a.go by A"}) || !slices.Equal(b.files, []string{"a.go", "c.go", "b.go", "print.go"}) {
		t.Errorf("%d arrows, of which %q run up, and files %v", b.arrows, b.up, b.files)
	}
	if got := b.scattered["T"]; !slices.Equal(got, []string{"a.go", "b.go", "c.go"}) {
		t.Errorf("the methods of T lie in %v", got)
	}
	if b.tooSteep() {
		t.Error("a package of six arrows is too small to be too steep")
	}
	if !(building{files: b.files, arrows: 13, up: []string{"", ""}}).tooSteep() {
		t.Error("2 of 13 arrows run up, and that is not too steep")
	}
}
