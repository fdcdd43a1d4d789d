package browser

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSqueeze(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"comments", "// one\nlet a = 1; // two\n/* three\n */ let b = 2;\n", "let a=1;let b=2;"},
		{"a line end that ends a statement", "let a = b\nlet c", "let a=b\nlet c"},
		{"words", "return  typeof  x in y", "return typeof x in y"},
		{"signs", "a + +b - -c - d", "a+ +b- -c-d"},
		{"strings", `x = "a // b" + 'it''s /* */'`, `x="a // b"+'it''s /* */'`},
		{"an escaped quote", `x = "\" // " + y`, `x="\" // "+y`},
		{"templates", "x = `a // ${ b + `c ${ {d: 1}.d }` } // e`", "x=`a // ${b+`c ${{d:1}.d}`} // e`"},
		{"regular expressions", `x = /[/"]\/ /.test( s ) ; return / "/`, `x= /[/"]\/ /.test(s);return / "/`},
		{"divisions", "x = (a) / b / c; y = z[1] / 2", "x=(a) / b / c;y=z[1] / 2"},
	} {
		got, err := squeeze(c.in)
		if err != nil || got != c.out {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.out)
		}
	}
	for _, bad := range []string{`x = "a`, "x = `a ${b", "x = `a", "/* a", "x = /a"} {
		if got, err := squeeze(bad); !errors.Is(err, errSqueeze) {
			t.Errorf("%q: got %q, %v", bad, got, err)
		}
	}
}

func TestBundle(t *testing.T) {
	files := fstest.MapFS{
		"main.js":  {Data: []byte("import * as a from \"./in/a.js\";\nimport { b as c, d } from \"./b.js\";\nimport \"./e.js\";\nexport { c };\nexport const x = 1, y = a.z;\nexport function f() {\n}\n")},
		"in/a.js":  {Data: []byte("import { b } from \"../b.js\";\nexport const z = b;\n")},
		"b.js":     {Data: []byte("export const b = 2;\nexport async function d() {}\n")},
		"e.js":     {Data: []byte("globalThis.e = 1;\n")},
		"meet.js":  {Data: []byte("import { f } from \"./flat.js\";\nimport { z } from \"./in/a.js\";\nimport { g } from \"./other.js\";\nimport * as a from \"./in/a.js\";\nexport { f, g, z };\n")},
		"flat.js":  {Data: []byte("const b = 1, c = 2;\nexport const f = () => fetch(b + c);\n")},
		"other.js": {Data: []byte("import { f as h } from \"./flat.js\";\nfunction fetch() {\n}\nexport const g = () => fetch(h);\n")},
		"loop.js":  {Data: []byte("import { m } from \"./loop2.js\";\nexport const l = 1;\n")},
		"loop2.js": {Data: []byte("import { l } from \"./loop.js\";\nexport const m = 1;\n")},
		"odd.js":   {Data: []byte("export default 1;\n")},
		"gone.js":  {Data: []byte("import \"./nobody.js\";\n")},
	}
	got, err := bundle(files, "main.js")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got, "const b=2"); n != 1 {
		t.Errorf("b.js is there %d times:\n%s", n, got)
	}
	if want := "export{c,f,x,y};"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	// Both b.js and flat.js have a b, and other.js a fetch that is not the browser's.
	if got, err = bundle(files, "meet.js"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"const b=1,c=2;const f=()=>fetch(b+c);", "const h=f;function fetch(){}\nconst g=()=>fetch(h);return{g};})();", "(()=>{const b=2;", "const z=$2.z;", "const g=$3.g;", "export{f,g,z};"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for name, want := range map[string]string{"loop.js": "imports itself", "odd.js": "is not written as", "gone.js": "nobody.js"} {
		if _, err := bundle(files, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", name, err, want)
		}
	}
}
