// Package program finds the programs that tests need beside Go.
package program

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
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

// NetAdmin skips a test that builds networks where the process may not: it needs root, or
// CAP_NET_ADMIN and CAP_SYS_ADMIN.
func NetAdmin(t testing.TB, shows string) {
	t.Helper()
	const netAdmin, sysAdmin = 1 << 12, 1 << 21 // capabilities(7)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		Lacks(t, "there is no Linux here; a test "+shows+" with its namespaces")
	}
	_, after, _ := strings.Cut(string(status), "CapEff:")
	set, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
	if caps, err := strconv.ParseUint(set, 16, 64); err != nil || caps&netAdmin == 0 || caps&sysAdmin == 0 {
		Lacks(t, "the process lacks CAP_NET_ADMIN or CAP_SYS_ADMIN, with which a test "+shows+": run it as root")
	}
}
