package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = flag.Bool("update", false, "write the golden files of TestAdapt anew")

const separator = "----------\n"

// TestAdapt adapts each Caddyfile of testdata/adapt and compares the JSON, or
// the error, with what stands below the line. Each option has a case that works
// (option.txt) and one that does not (option_bad.txt).
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, _ := strings.Cut(string(b), separator)
			got := adapt(t, in)
			if strings.HasSuffix(file, "_bad.txt") != strings.HasPrefix(got, "error: ") {
				t.Errorf("a file named _bad.txt, and no other, is to give an error; got %s", got)
			}
			if strings.HasPrefix(got, "error: ") && !strings.Contains(got, "Caddyfile:") {
				t.Errorf("the error names no file and line: %s", got)
			}
			if *update {
				if err := os.WriteFile(file, []byte(in+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestEveryOptionHasCases holds the golden files to the options that there are.
func TestEveryOptionHasCases(t *testing.T) {
	for _, source := range []string{"caddyfile.go", "viewertokens/caddyfile.go", "turn/caddyfile.go"} {
		b, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			name, _, ok := strings.Cut(strings.TrimSpace(line), `":`)
			if !ok || !strings.HasPrefix(name, `"`) || !strings.HasPrefix(line, "\t\t\"") {
				continue
			}
			for _, suffix := range []string{"", "_bad"} {
				if _, err := os.Stat("testdata/adapt/" + name[1:] + suffix + ".txt"); err != nil {
					t.Errorf("option %s has no case %s%s.txt", name[1:], name[1:], suffix)
				}
			}
		}
	}
}

func adapt(t *testing.T, caddyfile string) string {
	t.Helper()
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b bytes.Buffer
	if err := json.Indent(&b, out, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}
