package browsertest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/internal/program"
)

// packages are what pages and tests load, unmodified, from npm: players, and
// p2p-media-loader with the tracker that its authors name.
var packages = []string{
	"hls.js@1.7.4", "shaka-player@5.2.12", "dashjs@5.2.1", "video.js@8.24.1",
	"p2p-media-loader-core@2.3.1", "p2p-media-loader-hlsjs@2.3.1", "bittorrent-tracker@11.2.3",
}

// npmFolder gives a folder whose node_modules has the packages. It is kept in the
// user's cache, a folder for each list of packages.
func npmFolder(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "viewmesh", fmt.Sprintf("npm-%.4x", sha256.Sum256([]byte(strings.Join(packages, " ")))))
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return filepath.Join(dir, "node_modules")
	}
	npm := program.Need(t, "brings hls.js, Shaka Player, dash.js, Video.js and p2p-media-loader", "npm", "npm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts"}, packages...)
	if out, err := exec.CommandContext(t.Context(), npm, args...).CombinedOutput(); err != nil {
		program.Lacks(t, "npm could not bring the players for the tests with them: "+err.Error()+"\n"+string(out))
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "node_modules")
}
