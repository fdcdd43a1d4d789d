package tokens

import (
	"encoding/json"
	"os"
	"testing"
)

// TestCutURI: what a viewer takes out of the URLs of segments, in JavaScript, too
// (meshcore/browser/test/url.test.js).
func TestCutURI(t *testing.T) {
	b, err := os.ReadFile("testdata/cut.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			URI     string
			Names   []string
			Token   string
			Without string
		}
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Cases) == 0 {
		t.Fatalf("%d cases: %v", len(v.Cases), err)
	}
	for _, c := range v.Cases {
		if token, without := CutURI(c.URI, c.Names); token != c.Token || without != c.Without {
			t.Errorf("%s without %q: %q, %q; want %q, %q", c.URI, c.Names, token, without, c.Token, c.Without)
		}
	}
}
