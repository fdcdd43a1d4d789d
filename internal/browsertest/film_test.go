package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
)

// film makes a presentation on demand of the sample, which is 48 s long, repeated. It
// gives a site's directive that serves it below /film/.
func film(t *testing.T, length time.Duration) (site string) {
	t.Helper()
	origin, err := live.New(live.Config{Window: int(length / (2 * time.Second)), Epoch: time.Now().Add(-length)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	get := func(path string) string {
		w := httptest.NewRecorder()
		origin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	write := func(path, content string) {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("/index.m3u8", get("/index.m3u8"))
	for _, rendition := range []string{"/v0/", "/v1/", "/v2/", "/a0/"} {
		playlist := get(rendition + "index.m3u8")
		write(rendition+"index.m3u8", strings.Replace(playlist, "\n", "\n#EXT-X-PLAYLIST-TYPE:VOD\n", 1)+"#EXT-X-ENDLIST\n")
		write(rendition+"init.mp4", get(rendition+"init.mp4"))
		for line := range strings.Lines(playlist) {
			if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "#") {
				write(rendition+name, get(rendition+name))
			}
		}
	}
	return fmt.Sprintf("handle_path /film/* {\n root %s\n file_server\n }", dir)
}
