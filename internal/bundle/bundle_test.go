package bundle_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/viewmesh/viewmesh/internal/bundle"
)

// TestErrors: a module that is broken, or missing, is an error that names it.
func TestErrors(t *testing.T) {
	files := fstest.MapFS{
		"good.js":    {Data: []byte("import { x } from \"./in/x.js\";\nexport const y = x;\n")},
		"in/x.js":    {Data: []byte("export const x = 1;\n")},
		"broken.js":  {Data: []byte("const a = 1;\nconst b = ;\n")},
		"gone.js":    {Data: []byte("import \"./nobody.js\";\n")},
		"renamed.js": {Data: []byte("\nimport { z } from \"./in/x.js\";\nz();\n")},
	}
	if _, err := bundle.Make(files, "good.js"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"broken.js": "broken.js:2", "gone.js": "nobody.js", "renamed.js": "renamed.js:2", "none.js": "none.js"} {
		if b, err := bundle.Make(files, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want an error with %q", name, b, err, want)
		}
	}
}
