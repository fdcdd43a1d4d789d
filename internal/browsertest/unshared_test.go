package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnshared: a page that plays what the edge does not share says nothing of it in
// its console, and asks for no statement: what the operator excludes, what the answer
// itself withholds, and what lies outside of the presentation; also where a playlist
// names its segments by a variable of the viewer's query.
func TestUnshared(t *testing.T) {
	players := npmFolder(t)
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
	playlist += "#EXT-X-ENDLIST\n"
	query := strings.ReplaceAll(strings.Replace(playlist, "\n", "\n#EXT-X-DEFINE:QUERYPARAM=\"v\"\n", 1), ".m4s", ".m4s?v={$v}")
	for name, text := range map[string]string{"index.m3u8": playlist, "query.m3u8": query} {
		if err := os.WriteFile(filepath.Join(dir, "show", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, path := range map[string]string{
		"listed":          "/hls.html?src=/mixed/show/index.m3u8",
		"by the viewer's": "/hls.html?src=/mixed/show/query.m3u8?v=1",
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{mesh: "exclude path /mixed/show/excluded/*", site: withPlayers(players) +
				"\nheader /mixed/show/private/* Cache-Control private\nhandle_path /mixed/* {\n root " + dir + "\n file_server\n }"})
			page := watch(t, browser, e, 1, path, 6)[0]
			if n := eval[int](page, "[...mesh.viewers.values()][0].store.entries.size"); n < 5 {
				t.Errorf("the page knows of %d segments", n)
			}
			asked := eval[[]string](page, `performance.getEntriesByType("resource").map((e) => e.name).filter((name) => name.includes("/mesh/segment"))`)
			if len(asked) > 0 {
				t.Errorf("the page asked for %q", asked)
			}
			page.quiet()
		})
	}
}
