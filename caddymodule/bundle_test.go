package caddymodule

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestBundleSays: a module that is broken, or missing, is an error that names it.
func TestBundleSays(t *testing.T) {
	files := fstest.MapFS{
		"good.js":    {Data: []byte("import { x } from \"./in/x.js\";\nexport const y = x;\n")},
		"in/x.js":    {Data: []byte("export const x = 1;\n")},
		"broken.js":  {Data: []byte("const a = 1;\nconst b = ;\n")},
		"gone.js":    {Data: []byte("import \"./nobody.js\";\n")},
		"renamed.js": {Data: []byte("\nimport { z } from \"./in/x.js\";\nz();\n")},
	}
	if _, err := bundle(files, "good.js"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"broken.js": "broken.js:2", "gone.js": "nobody.js", "renamed.js": "renamed.js:2", "none.js": "none.js"} {
		if b, err := bundle(files, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want an error with %q", name, b, err, want)
		}
	}
}

// TestScripts: what a viewer downloads, all files together, stays small, and has
// the exports that pages are told of.
func TestScripts(t *testing.T) {
	const most = 40 << 10
	files, err := browserFiles()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for name, f := range files {
		t.Logf("%6d bytes, %5d with gzip: %s", len(f.plain), len(f.gzip), name)
		total += len(f.gzip)
	}
	t.Logf("%d bytes with gzip", total)
	if total > most {
		t.Errorf("the files have %d bytes with gzip, at most %d are allowed", total, most)
	}
	for name, exports := range map[string][]string{"mesh.js": {"consent", "mesh"}, "hls.js": {"meshLoader"}, "shaka.js": {"register"}, "dash.js": {"register"}} {
		text := string(files[name].plain)
		_, list, _ := strings.Cut(text, "export{")
		for _, e := range exports {
			if !strings.Contains(list, " as "+e) {
				t.Errorf("%s does not export %s: %s", name, e, list)
			}
		}
		if name != "mesh.js" && !strings.Contains(text, `from"./mesh.js"`) {
			t.Errorf("%s does not import the one mesh.js of the page", name)
		}
	}
}
