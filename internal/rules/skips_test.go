package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestSkips: tests skip by package program alone, so that nothing is skipped
// where VIEWMESH_CI=1.
func TestSkips(t *testing.T) {
	dir := moduleRoot(t)
	skips := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != dir) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if to, ok := call.Fun.(*ast.SelectorExpr); ok && (to.Sel.Name == "Skip" || to.Sel.Name == "Skipf" || to.Sel.Name == "SkipNow") {
				if filepath.Base(filepath.Dir(path)) == "program" {
					skips++
				} else {
					t.Errorf("%v skips; call program.Need or program.Lacks", files.Position(call.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if skips != 1 {
		t.Errorf("package program skips at %d places, want 1", skips)
	}
}
