package caddymodule

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// listMedia has the catalog learn a media playlist.
func listMedia(t *testing.T, c *catalog, host, path string, now time.Time, body string) *presentation {
	t.Helper()
	p := c.presentation(host, path)
	base := &url.URL{Host: host, Path: path}
	pl, err := manifest.ReadHLS([]byte(body), manifest.Source{URL: base})
	if err != nil {
		t.Fatal(err)
	}
	if !c.known(p, path, []byte(body), now) {
		c.learnMedia(p, base, &pl.Listing, pl.Skipped > 0, now)
	}
	return p
}

func numbered(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("s%d.ts", i))
	}
	return out
}

// live is a media playlist without end.
func live(uris ...string) string {
	s := mediaPlaylist("", uris...)
	return s[:len(s)-len("#EXT-X-ENDLIST\n")]
}

// TestLiveWindow: segments that left the window of a live playlist stay listed
// for a while and then go; those of a presentation on demand stay.
func TestLiveWindow(t *testing.T) {
	c := newCatalog(nil)
	now := time.Unix(0, 0)
	listMedia(t, c, "h", "/vod/i.m3u8", now, mediaPlaylist("", "v.ts"))
	for i := range 1000 {
		listMedia(t, c, "h", "/live/i.m3u8", now.Add(time.Duration(i)*2*time.Second), live(numbered(i, i+6)...))
	}
	last := 1000 + 5
	for _, s := range []struct {
		n      int
		listed bool
	}{{last - 1, true}, {last - 250, true}, {last - 400, false}, {0, false}} {
		if got := c.segment("h", fmt.Sprintf("/live/s%d.ts", s.n)) != nil; got != s.listed {
			t.Errorf("segment %d of %d is listed: %v", s.n, last, got)
		}
	}
	if c.segment("h", "/vod/v.ts") == nil {
		t.Error("the segment on demand is gone")
	}
	if c.listed != len(c.segments) {
		t.Errorf("the weight is %d for %d segments", c.listed, len(c.segments))
	}
}

// TestCatalogBounds: too many presentations and too long ones push the oldest
// out, and the books stay right.
func TestCatalogBounds(t *testing.T) {
	c := newCatalog([]byte("s"))
	now := time.Unix(0, 0)
	kept := listMedia(t, c, "h", "/kept/i.m3u8", now, mediaPlaylist("", "a.ts"))
	first := listMedia(t, c, "h", "/first/i.m3u8", now, mediaPlaylist("", "a.ts"))
	id := c.swarmOf(first, now)
	for i := range maxPresentations {
		listMedia(t, c, fmt.Sprintf("h%d", i), "/x/i.m3u8", now, mediaPlaylist("", "a.ts"))
		c.presentation("h", "/kept/i.m3u8") // is asked for again and again
	}
	if len(c.presentations) != maxPresentations || c.used.Len() != maxPresentations {
		t.Errorf("%d presentations", len(c.presentations))
	}
	if c.segment("h", "/kept/a.ts") == nil || c.find(kept.key()) != kept {
		t.Error("the presentation in use is gone")
	}
	if c.segment("h", "/first/a.ts") != nil || c.bySwarm(id) != nil {
		t.Error("the presentation that nobody used is still there")
	}
	if again := c.presentation("h", "/first/i.m3u8"); c.swarmOf(again, now) != id {
		t.Error("it came back with another swarm")
	}
	big := listMedia(t, c, "h", "/big/i.m3u8", now, mediaPlaylist("", numbered(0, maxListedEach+5)...))
	if big.listed > maxListedEach || c.segment("h", "/big/s0.ts") != nil || c.segment("h", fmt.Sprintf("/big/s%d.ts", maxListedEach+4)) == nil {
		t.Errorf("%d listed of one presentation", big.listed)
	}
	for i := range maxListed / maxListedEach {
		listMedia(t, c, "h", fmt.Sprintf("/big%d/i.m3u8", i), now, mediaPlaylist("", numbered(0, maxListedEach)...))
	}
	sum := 0
	for _, l := range c.segments {
		sum += l.weight()
	}
	if c.listed > maxListed || c.listed != sum {
		t.Errorf("%d listed, at most %d; the sum is %d", c.listed, maxListed, sum)
	}
}

// TestKeyRotation: stored keys are rotated at their age, the old one stays good,
// and what another edge has stored is taken over.
func TestKeyRotation(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	ctx := context.Background()
	now := time.Unix(1_800_000_000, 0)
	first, err := storedKeyring(ctx, storage, now)
	if err != nil {
		t.Fatal(err)
	}
	same, err := storedKeyring(ctx, storage, now.Add(keyLife-time.Hour))
	if err != nil || same.KeyID() != first.KeyID() {
		t.Errorf("the key changed before its age (%v)", err)
	}
	next, err := storedKeyring(ctx, storage, now.Add(keyLife))
	if err != nil || next.KeyID() == first.KeyID() {
		t.Errorf("the key did not change at its age (%v)", err)
	}
	other, err := storedKeyring(ctx, storage, now.Add(keyLife))
	if err != nil || other.KeyID() != next.KeyID() {
		t.Errorf("another edge has another key (%v)", err)
	}
	st := newStatements()
	k := segmentKey{location: location{"h", "/s.ts"}}
	st.learn(k, 5, "", make([]byte, 32), [32]byte{})
	before, _, _ := st.headers(k, 5, "", first, now)
	after, _, _ := st.headers(k, 5, "", next, now)
	if before == after {
		t.Error("the token is still signed with the old key")
	}
	if _, err := next.Verifier().VerifySegment(before, now); err != nil {
		t.Errorf("what the old key signed: %v", err)
	}
	if err := storage.Store(ctx, storedKeys, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	if _, err := storedKeyring(ctx, storage, now); err == nil {
		t.Error("a damaged key set was taken")
	}
	a, err := storedRandom(ctx, storage)
	if err != nil || len(a) != 32 {
		t.Fatalf("secret of %d bytes (%v)", len(a), err)
	}
	if b, err := storedRandom(ctx, storage); err != nil || string(a) != string(b) {
		t.Errorf("another secret (%v)", err)
	}
}

// TestTokenExpiry: a token is the same for all within half its life, and always
// good for at least segmentLife.
func TestTokenExpiry(t *testing.T) {
	keys, err := storedKeyring(context.Background(), &certmagic.FileStorage{Path: t.TempDir()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	st := newStatements()
	k := segmentKey{location: location{"h", "/s.ts"}}
	st.learn(k, 5, "", make([]byte, 32), [32]byte{})
	start := time.Unix(1_800_000_000, 0).Truncate(segmentLife)
	var last string
	changes := 0
	for at := start; at.Before(start.Add(3 * segmentLife)); at = at.Add(10 * time.Minute) {
		token, _, ok := st.headers(k, 5, "", keys, at)
		if !ok {
			t.Fatal("no token")
		}
		if token != last {
			last = token
			changes++
		}
		s, err := keys.Verifier().VerifySegment(token, at)
		if err != nil || s.Expires.Sub(at) < segmentLife || s.Expires.Sub(at) > 2*segmentLife {
			t.Fatalf("at %s the token is good for %s (%v)", at, s.Expires.Sub(at), err)
		}
	}
	if changes != 3 {
		t.Errorf("%d tokens in three steps", changes)
	}
}
