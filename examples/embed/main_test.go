package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/media"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// serve runs the command until the test ends, and returns its URL.
func serve(t *testing.T, args ...string) (base string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), in, io.Discard)
		in.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line[strings.Index(line, "http") : len(line)-1]
}

// TestShare: of two viewers who play the sample, the second takes most of it from the
// first, and the edge counts what they count.
func TestShare(t *testing.T) {
	base := serve(t)
	manifestURL, err := url.Parse(base + "/index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	defer client.CloseIdleConnections()
	ctx, stop := context.WithCancel(t.Context())
	config := player.Config{URL: manifestURL, Viewer: viewer.Config{HTTP: client}, Played: func(r manifest.Resource, data []byte) {
		want, err := fs.ReadFile(media.Sample(), strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil || !bytes.Equal(data, want) {
			t.Errorf("%s: a viewer played other bytes than the file's: %v", r.URL.Path, err)
		}
	}}
	var players []*player.Player
	ended := make(chan error, 2)
	watch := func(until func(viewer.Stats) bool) {
		p := player.New(config)
		players = append(players, p)
		go func() { ended <- p.Run(ctx) }()
		deadline := time.After(time.Minute)
		for tick := time.NewTicker(100 * time.Millisecond); !until(p.Stats()); {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("a minute was not enough: %+v", p.Stats())
			}
		}
	}
	watch(func(s viewer.Stats) bool { return s.Joined && s.BufferMS > 9_000 })
	watch(func(s viewer.Stats) bool { return s.PlayedMS > 4_000 && s.PeerBytes > s.OriginBytes })
	stop()
	for range players {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	player.Close(players)
	var counted struct {
		Peer   int64 `json:"peer_bytes"`
		Egress int64 `json:"origin_egress_bytes"`
	}
	resp, err := client.Get(base + "/mesh/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&counted); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", counted)
	if from := players[1].Stats().PeerBytes; counted.Peer < from || counted.Egress == 0 {
		t.Errorf("the second viewer took %d bytes from the first, and the edge counts %+v", from, counted)
	}
}

// TestState: keys and secret outlive a restart, where a folder keeps them.
func TestState(t *testing.T) {
	dir := t.TempDir()
	keys, secret, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, same, err := load(dir)
	if err != nil || !bytes.Equal(secret, same) || keys.KeyID() != again.KeyID() {
		t.Errorf("after a restart the key is %s instead of %s, or the secret is another one: %v", again.KeyID(), keys.KeyID(), err)
	}
	if other, _, err := load(""); err != nil || other.KeyID() == keys.KeyID() {
		t.Errorf("without a folder the key is kept: %v", err)
	}
}
