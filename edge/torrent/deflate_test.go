package torrent

import (
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
)

// BenchmarkDeflate is what permessage-deflate (RFC 7692, without context takeover, as a server of
// many connections has to have it) would cost for one offer of 4 KB, and what it would save.
// Compare the whole way of a message, in BenchmarkTracker.
func BenchmarkDeflate(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var sdp strings.Builder
	fmt.Fprintf(&sdp, "v=0\r\no=- %d 2 IN IP4 127.0.0.1\r\na=ice-ufrag:%04x\r\na=ice-pwd:%024x\r\na=fingerprint:sha-256", rng.Uint64(), rng.IntN(1<<16), rng.Uint64())
	for range 32 {
		fmt.Fprintf(&sdp, ":%02X", rng.IntN(256))
	}
	for sdp.Len() < 4000 {
		fmt.Fprintf(&sdp, "\r\na=candidate:%d 1 udp %d 2001:db8:%x:%x::%x %d typ host generation 0 network-id %d", rng.Uint32(), rng.Uint32(), rng.IntN(1<<16), rng.IntN(1<<16), rng.IntN(1<<16), rng.IntN(1<<16), rng.IntN(9))
	}
	m := webtorrent.Message{
		Hash: webtorrent.Named{Text: []byte(`"` + strings.Repeat("h", 20) + `"`)}, Peer: webtorrent.Named{Text: []byte(`"` + strings.Repeat("p", 20) + `"`)},
		Offers: []webtorrent.Offer{{ID: []byte(`"` + strings.Repeat("o", 20) + `"`), Description: fmt.Appendf(nil, `{"type":"offer","sdp":%q}`, sdp.String())}},
	}
	frame := webtorrent.AppendOffer(nil, &m, 0)
	var n counter
	w, err := flate.NewWriter(&n, flate.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	rounds := 0
	for b.Loop() {
		w.Reset(&n)
		_, _ = w.Write(frame)
		_ = w.Flush()
		rounds++
	}
	b.ReportMetric(float64(n)/float64(rounds*len(frame)), "of-the-bytes")
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
