package live_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
)

// A live stream under /live/ of any server. A site would leave Now out.
func Example() {
	origin, err := live.New(live.Config{
		Window: 3,
		Now:    func() time.Time { return live.DefaultEpoch.Add(time.Hour) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", http.StripPrefix("/live", origin))
	server := httptest.NewServer(mux)
	defer server.Close()

	response, err := http.Get(server.URL + "/live/v0/index.m3u8")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	playlist, _ := io.ReadAll(response.Body)
	fmt.Print(string(playlist))
	// Output:
	// #EXTM3U
	// #EXT-X-VERSION:7
	// #EXT-X-TARGETDURATION:2
	// #EXT-X-MEDIA-SEQUENCE:1797
	// #EXT-X-INDEPENDENT-SEGMENTS
	// #EXT-X-MAP:URI="init.mp4"
	// #EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:59:54.000Z
	// #EXTINF:2.000000,
	// seg-1797.m4s
	// #EXTINF:2.000000,
	// seg-1798.m4s
	// #EXTINF:2.000000,
	// seg-1799.m4s
}
