package webtorrent

import (
	"net/url"
	"slices"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestStreams: streams have the names that p2p-media-loader 2.3.1 has computed for them.
func TestStreams(t *testing.T) {
	body := `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Chords",LANGUAGE="zxx",CHANNELS="2",URI="a0/index.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="Text",URI="s0/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=539204,AVERAGE-BANDWIDTH=450848,RESOLUTION=640x360,FRAME-RATE=25.000,CODECS="avc1.4d401f,mp4a.40.2",AUDIO="audio"
v0/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=1x2,FRAME-RATE=29.970,CODECS="avc1.66.30, hvc1.2.4.L123",VIDEO-RANGE=PQ
v1/index.m3u8
`
	pl, err := manifest.ReadHLS([]byte(body), manifest.Source{URL: &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/vod/index.m3u8"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"main-oRpj7/FlyjKJ0h6JEGBdFh3v3kE=", "main-+hepYxysieXUg+5lcspOsepSqJQ=", "secondary-H3JCuNy2hc9Dy+PUQk2Mxmtm+Xs="}
	if got := Streams(pl); !slices.Equal(got, want) {
		t.Errorf("the streams are %q, want %q", got, want)
	}
	if SingleStream != "main-UYnLxGhQilEV4D0HbCx+kRv0ZF0=" {
		t.Errorf("a single stream is %q", SingleStream)
	}
	if h := InfoHash("http://127.0.0.1/vod/index.m3u8", SingleStream); string(h[:]) != "CcJUVCFqm/qhKw9t3lUv" {
		t.Errorf("the info hash is %q", h[:])
	}
}
