package attacks

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestClaims: each line of the table of assets in docs/security.md names its tests, and
// each of them exists in the package that it names.
func TestClaims(t *testing.T) {
	root := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	inPackage := regexp.MustCompile("((?:`\\w+`,? ?)+)\\[([\\w/]+)\\]")
	name := regexp.MustCompile("`(\\w+)`")
	rows := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.Contains(line, "---") || strings.Contains(line, "| Asset |") {
			continue
		}
		rows++
		claims := inPackage.FindAllStringSubmatch(cells[4], -1)
		if len(claims) == 0 {
			t.Errorf("no test is named: %s", line)
		}
		for _, c := range claims {
			files, err := filepath.Glob(filepath.Join(root, c[2], "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				code += string(b)
			}
			for _, n := range name.FindAllStringSubmatch(c[1], -1) {
				if !strings.Contains(code, "func "+n[1]+"(") {
					t.Errorf("%s has no %s", c[2], n[1])
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d rows: the table was not found", rows)
	}
}
