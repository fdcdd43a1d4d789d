package caddymodule_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestWayOfOneViewer goes the way of one viewer, from manifest to report, as far as the edge
// is on it, with two viewers of files.
func TestWayOfOneViewer(t *testing.T) {
	dir := vod(t, 3, 100_000)
	e := newEdge(t)
	e.load("", "mesh {\n stats\n }\n root "+dir+"\n file_server")

	first := e.swarmOf("/vod/index.m3u8")
	if media := e.swarmOf("/vod/v1/index.m3u8"); media != first {
		t.Errorf("the media playlist is in swarm %s, its multivariant playlist in %s", media, first)
	}
	a := e.openSessionIn(first)
	b := e.openSession("/vod/v0/index.m3u8")
	if a.Peer == b.Peer || a.Peer == 0 {
		t.Fatalf("peer ids %s and %s", a.Peer, b.Peer)
	}

	verifier, err := tokens.NewVerifier(a.Keys)
	if err != nil {
		t.Fatal(err)
	}
	path := "/vod/v0/seg-1.m4s"
	resp, body := e.get(path)
	checkStatement(t, verifier, path, body, resp.Header)
	if init, _ := e.get("/vod/v0/init.mp4"); init.Header.Get(headerSegment) == "" {
		t.Error("the init section has no token")
	}

	pa, pb := e.connect(a), e.connect(b)
	pa.announce(4)
	peers := pb.announce(4)
	if len(peers.Peers) != 1 || peers.Peers[0].ID != a.Peer {
		t.Fatalf("the second viewer was told of %+v, want %s", peers.Peers, a.Peer)
	}
	pb.send(&signal.Message{Type: signal.Offer, To: &a.Peer, Connection: "1", SDP: "v=0\r\n"})
	if offer := pa.until(signal.Offer); offer.From == nil || *offer.From != b.Peer || offer.SDP != "v=0\r\n" {
		t.Errorf("the offer came as %+v", offer)
	}
}

// checkStatement checks that the header vouches for just these bytes.
func checkStatement(t *testing.T, v *tokens.Verifier, path string, body []byte, h http.Header) {
	t.Helper()
	if h.Get(headerSegment) == "" {
		t.Fatalf("%s: no %s in %v", path, headerSegment, h)
	}
	digests := h.Get(headerDigests)
	hashes, err := base64.StdEncoding.DecodeString(strings.Trim(digests, ":"))
	if err != nil || len(digests) < 2 || digests[0] != ':' || digests[len(digests)-1] != ':' {
		t.Fatalf("%s: %s %q is no byte sequence: %v", path, headerDigests, digests, err)
	}
	checkToken(t, v, path, body, h.Get(headerSegment), hashes)
	if !strings.Contains(strings.Join(h.Values("Access-Control-Expose-Headers"), ","), headerSegment) {
		t.Errorf("%s: %s is not exposed to CORS", path, headerSegment)
	}
}

func checkToken(t *testing.T, v *tokens.Verifier, path string, body []byte, token string, hashes []byte) {
	t.Helper()
	s, err := v.VerifySegment(token, runtimeNow())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if s.Path != path || s.Size != int64(len(body)) {
		t.Errorf("%s: the token is for %s, %d bytes; the body has %d", path, s.Path, s.Size, len(body))
	}
	layout, err := integrity.NewLayout(s.Size, s.ChunkSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := layout.Verify(hashes, s.Root); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for i := range layout.Chunks() {
		from, to := layout.Range(i)
		if err := layout.Check(hashes, i, body[from:to]); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
