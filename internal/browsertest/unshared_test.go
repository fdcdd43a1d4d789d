package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestUnshared: a page that plays what the edge does not share, by the operator's
// word, by the answer's own, or because it lies outside of the presentation, says
// nothing of it in its console, and asks for no statement about it.
func TestUnshared(t *testing.T) {
	browser := startBrowser(t)
	dir := t.TempDir()
	playlist := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"/vod/v1/init.mp4\"\n"
	for i, name := range []string{"show/a.m4s", "show/excluded/b.m4s", "show/private/c.m4s", "ads/d.m4s", "show/e.m4s"} {
		b, err := os.ReadFile(fmt.Sprintf("../../examples/media/sample/v1/seg-%d.m4s", i))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		playlist += "#EXTINF:2.0,\n/mixed/" + name + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "show/index.m3u8"), []byte(playlist+"#EXT-X-ENDLIST\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := startEdge(t, options{mesh: "exclude path /mixed/show/excluded/*",
		site: "header /mixed/show/private/* Cache-Control private\nhandle_path /mixed/* {\n root " + dir + "\n file_server\n }"})
	page := watch(t, browser, e, 1, "/native.html?src=/mixed/show/index.m3u8", 8)[0]
	if n := eval[int](page, "[...mesh.viewers.values()][0].store.entries.size"); n < 4 {
		t.Errorf("the page knows of %d segments", n)
	}
	if asked := eval[[]string](page, `performance.getEntriesByType("resource").map((e) => e.name).filter((name) => name.includes("/mesh/segment"))`); len(asked) > 0 {
		t.Errorf("the page asked for %q", asked)
	}
	page.quiet()
}
