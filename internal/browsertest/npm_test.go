package browsertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// packages are the players that pages load, unmodified, from npm.
var packages = []string{"hls.js@1.7.4", "shaka-player@5.2.12", "dashjs@5.2.1"}

// npmFolder gives a folder whose node_modules has the packages. They are kept in
// the user's cache.
func npmFolder(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "viewmesh", "players")
	done := filepath.Join(dir, "installed")
	want := ""
	for _, p := range packages {
		want += p + "\n"
	}
	if got, err := os.ReadFile(done); err == nil && string(got) == want {
		return filepath.Join(dir, "node_modules")
	}
	skip := func(why string) {
		if os.Getenv("VIEWMESH_CI") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		skip("npm is not installed; it brings hls.js, Shaka Player and dash.js for the tests with them (Debian: apt-get install npm)")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts"}, packages...)
	if out, err := exec.CommandContext(t.Context(), npm, args...).CombinedOutput(); err != nil {
		skip("npm could not bring hls.js, Shaka Player and dash.js for the tests with them: " + err.Error() + "\n" + string(out))
	}
	if err := os.WriteFile(done, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "node_modules")
}
