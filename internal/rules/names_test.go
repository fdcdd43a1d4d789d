package rules

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// nameless are words that, as the name of a file, do not say what is inside.
var nameless = []string{"late", "reading", "statement", "met", "lane", "ledger", "judge"}

// unnamed are files that have such a name still: none.
var unnamed []string

// words cuts the name of a file, such as two_words.go or twoWords.js, into words.
func words(file string) []string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	var spaced strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			spaced.WriteByte(' ')
		}
		spaced.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(spaced.String(), func(r rune) bool { return !unicode.IsLetter(r) })
}

// TestFileNames: the name of a file says what is inside.
func TestFileNames(t *testing.T) {
	root := moduleRoot(t)
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); d.IsDir() || ext != ".go" && ext != ".js" {
			return nil
		}
		file, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file = filepath.ToSlash(file)
		for _, word := range words(file) {
			if slices.Contains(nameless, strings.TrimSuffix(word, "s")) {
				seen[file] = true
				if !slices.Contains(unnamed, file) {
					t.Errorf("%s: %q does not say what is inside", file, word)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range unnamed {
		if !seen[file] {
			t.Errorf("%s is gone or has another name: take it out of unnamed", file)
		}
	}
}
