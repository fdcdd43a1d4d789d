// Package vectors keeps what a test makes of its tables in a file of
// meshcore/testdata, where the JavaScript of the browser peer runs it too.
package vectors

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the vectors anew from the tables of this test")

// Kept gives what file, a name in meshcore/testdata, says, as JSON. The test
// fails with otherwise if made would say something else, unless it is run with
// -rewrite, which writes made into the file. The test runs in a folder below
// meshcore.
func Kept[T any](t *testing.T, file string, made T, otherwise string) T {
	t.Helper()
	path := filepath.Join("..", "testdata", file)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(made); err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, text.Bytes()) {
		t.Errorf("%s differs from the tables of this test: %s; if only cases were added, run with -rewrite", file, otherwise)
	}
	var v T
	if err := json.Unmarshal(kept, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
