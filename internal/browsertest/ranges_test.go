package browsertest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ranged makes a presentation of the sample's middle level in which one file has
// the init section and all segments: HLS with EXT-X-BYTERANGE, and DASH with a
// SegmentList in two periods. defined.m3u8 is the same playlist with a variable. It
// gives a site's directive that serves them below /ranges/.
func ranged(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	playlist := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	var all bytes.Buffer
	add := func(name string) (offset, length int) {
		b, err := os.ReadFile(filepath.Join("../../examples/media/sample/v1", name))
		if err != nil {
			t.Fatal(err)
		}
		offset = all.Len()
		all.Write(b)
		return offset, len(b)
	}
	_, n := add("init.mp4")
	playlist += fmt.Sprintf("#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"%d@0\"\n", n)
	var urls [2]strings.Builder
	for i := range segments {
		offset, length := add(fmt.Sprintf("seg-%d.m4s", i))
		playlist += fmt.Sprintf("#EXTINF:2.0,\n#EXT-X-BYTERANGE:%d@%d\nall.mp4\n", length, offset)
		fmt.Fprintf(&urls[i/(segments/2)], "<SegmentURL mediaRange=\"%d-%d\"/>\n", offset, offset+length-1)
	}
	playlist += "#EXT-X-ENDLIST\n"
	manifest := fmt.Sprintf(`<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-main:2011" type="static" mediaPresentationDuration="PT%dS" minBufferTime="PT2S">
`, 2*segments)
	for i := range urls {
		manifest += fmt.Sprintf(`<Period id="%d" duration="PT%dS"><AdaptationSet contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
<Representation id="v1" bandwidth="213132" width="426" height="240" codecs="avc1.4d4016"><BaseURL>all.mp4</BaseURL>
<SegmentList duration="2" startNumber="%d" presentationTimeOffset="%d"><Initialization range="0-%d"/>%s</SegmentList></Representation></AdaptationSet></Period>
`, i, segments, 1+i*segments/2, i*segments, n-1, &urls[i])
	}
	manifest += "</MPD>\n"
	defined := strings.Replace(playlist, "\n", "\n#EXT-X-DEFINE:NAME=\"file\",VALUE=\"all\"\n", 1)
	defined = strings.ReplaceAll(defined, "all.mp4", "{$file}.mp4")
	for name, text := range map[string]string{"index.m3u8": playlist, "defined.m3u8": defined, "manifest.mpd": manifest, "all.mp4": all.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("handle_path /ranges/* {\n root %s\n file_server\n }", dir)
}

const segments = 24 // of the sample

// TestRanges: segments that are byte ranges of one file travel too, also where a
// variable names it. The first page of a presentation plays it from the origin, the
// others, at the same time, take from it and from each other.
func TestRanges(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, paths := range map[string][]string{
		"HLS":                {"/hls.html?src=/ranges/index.m3u8", "/hls.html?src=/ranges/index.m3u8", "/hls.html?loader&src=/ranges/index.m3u8"},
		"HLS with variables": {"/hls.html?src=/ranges/defined.m3u8", "/hls.html?src=/ranges/defined.m3u8"},
		"DASH": {"/dash.html?src=/ranges/manifest.mpd", "/dash.html?src=/ranges/manifest.mpd", "/dash.html?loader&src=/ranges/manifest.mpd",
			"/shaka.html?src=/ranges/manifest.mpd", "/shaka.html?loader&src=/ranges/manifest.mpd"},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players) + "\n" + ranged(t)})
			pages := watch(t, browser, e, 1, paths[0], 3)
			for _, path := range paths[1:] {
				pages = append(pages, open(t, browser, path, e.url(path)))
			}
			for _, p := range pages[1:] {
				p.until("segments from another page", "globalThis.mesh?.stats.peerBytes > 100_000", 40*time.Second)
				p.until("playing", played(3), 40*time.Second)
			}
			offload(t, e, pages)
			for _, p := range pages {
				p.quiet()
			}
		})
	}
}

// TestNativeRanges: Chromium's own HLS player asks for all of a file from which
// it needs ranges. That passes by the mesh, and is counted as what it is.
func TestNativeRanges(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: ranged(t)})
	page := watch(t, browser, e, 1, "/native.html?src=/ranges/index.m3u8", 4)[0]
	page.until("bytes from the origin", "mesh.stats.originBytes > 0", 10*time.Second)
	if n := eval[int64](page, "mesh.stats.peerBytes"); n != 0 {
		t.Errorf("%d bytes from peers that are not there", n)
	}
	page.quiet()
}
