// Package program finds the programs that tests need beside Go.
package program

import (
	"os"
	"os/exec"
	"testing"
)

// Need gives the path of a program, of which any of names will do. Without it the
// test is skipped with a sentence that says what it shows (such as "plays the live
// stream") and the Debian package to install. VIEWMESH_CI=1 makes that a failure.
func Need(t testing.TB, shows, debian string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Lacks(t, names[0]+" is not installed; it "+shows+" (Debian: apt-get install "+debian+")")
	return ""
}

// Lacks skips a test with a sentence that says what it lacks, and fails it with
// VIEWMESH_CI=1: there nothing may be skipped.
func Lacks(t testing.TB, sentence string) {
	t.Helper()
	if os.Getenv("VIEWMESH_CI") == "1" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}
