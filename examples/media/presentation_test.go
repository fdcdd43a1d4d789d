package media_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/viewmesh/viewmesh/examples/media"
)

const (
	multivariant = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"a/index.m3u8\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.4d401f,mp4a.40.2\",AUDIO=\"a\"\nv/index.m3u8\n"
	rendition = "#EXTM3U\r\n#EXT-X-MAP:URI=\"init.mp4\"\r\n# a comment\r\n#EXTINF:2.002,title, with comma\r\ns0.m4s\r\n#EXTINF:1,\r\ns1.m4s\r\n#EXT-X-ENDLIST\r\n"
)

func tree(multivariant, v, a string) fs.FS {
	return fstest.MapFS{
		"index.m3u8":   {Data: []byte(multivariant)},
		"v/index.m3u8": {Data: []byte(v)},
		"a/index.m3u8": {Data: []byte(a)},
	}
}

func TestLoadReadsQuotesCommentsAndLineEnds(t *testing.T) {
	p, err := media.Load(tree(multivariant, rendition, rendition))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Renditions) != 2 {
		t.Fatalf("%d renditions, want 2", len(p.Renditions))
	}
	a, v := p.Renditions[0], p.Renditions[1]
	if !a.Audio || v.Audio || a.Name != "a" || v.Name != "v" {
		t.Errorf("got %q audio=%v and %q audio=%v", a.Name, a.Audio, v.Name, v.Audio)
	}
	if got := a.Attributes["NAME"]; got != "x, y" {
		t.Errorf("NAME = %q", got)
	}
	if got := v.Attributes["CODECS"]; got != "avc1.4d401f,mp4a.40.2" {
		t.Errorf("CODECS = %q", got)
	}
	if v.Init != "v/init.mp4" || len(v.Segments) != 2 || v.Segments[1].Path != "v/s1.m4s" {
		t.Errorf("got %+v", v)
	}
	if got := v.Duration().Milliseconds(); got != 3002 {
		t.Errorf("duration = %d ms, want 3002", got)
	}
}

func TestLoadRefusesWhatItWouldMisread(t *testing.T) {
	swap := func(old, new string) string { return strings.Replace(rendition, old, new, 1) }
	tests := []struct{ name, multivariant, v, want string }{
		{"not a playlist", "<html>", rendition, "index.m3u8:1: "},
		{"no rendition", "#EXTM3U\n", rendition, "lists no rendition"},
		{"media playlist at the root", rendition, rendition, "is a media playlist"},
		{"URI alone", "#EXTM3U\nv/index.m3u8\n", rendition, "without EXT-X-STREAM-INF"},
		{"unclosed quote", "#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"avc1\nv/index.m3u8\n", rendition, "index.m3u8:2: "},
		{"outside the tree", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n../../v/index.m3u8\n", rendition, "plain path inside"},
		{"another host", multivariant, swap("s1.m4s", "http://example.com/s1.m4s"), "v/index.m3u8:7: "},
		{"duration no number", multivariant, swap("2.002", "two"), "v/index.m3u8:4: "},
		{"duration missing", multivariant, swap("#EXTINF:1,\r\n", ""), "without a positive EXTINF"},
		{"byte ranges", multivariant, swap("#EXTINF:1,", "#EXT-X-BYTERANGE:10@0\r\n#EXTINF:1,"), "EXT-X-BYTERANGE is not supported"},
		{"encrypted", multivariant, swap("#EXTINF:1,", "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\r\n#EXTINF:1,"), "EXT-X-KEY is not supported"},
		{"two init sections", multivariant, swap("#EXTINF:1,", "#EXT-X-MAP:URI=\"i.mp4\"\r\n#EXTINF:1,"), "only one EXT-X-MAP"},
		{"no init section", multivariant, swap("#EXT-X-MAP:URI=\"init.mp4\"", "#"), "no EXT-X-MAP"},
		{"not ended", multivariant, swap("#EXT-X-ENDLIST", "#"), "no EXT-X-ENDLIST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := media.Load(tree(tt.multivariant, tt.v, rendition))
			if !errors.Is(err, media.ErrPlaylist) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want ErrPlaylist with %q", err, tt.want)
			}
		})
	}
	t.Run("missing rendition", func(t *testing.T) {
		_, err := media.Load(fstest.MapFS{"index.m3u8": {Data: []byte(multivariant)}})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error = %v, want fs.ErrNotExist", err)
		}
	})
}
