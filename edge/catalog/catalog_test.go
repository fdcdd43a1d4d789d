package catalog

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// learn has the catalog read a manifest.
func learn(t testing.TB, c *Catalog, host, path string, now time.Time, body string) *Presentation {
	t.Helper()
	p := c.Presentation(host, path)
	if !c.Unchanged(p, manifest.Name{Path: path}, []byte(body), now) {
		if _, err := c.Learn(p, &url.URL{Path: path}, []byte(body), &manifest.Identity{}, now); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// segment returns what a catalog has at a path, without query.
func segment(c *Catalog, host, path string) *Listed {
	return c.Segment(host, manifest.Name{Path: path})
}

// mediaPlaylist returns a media playlist that lists segments.
func mediaPlaylist(uris ...string) string {
	var s strings.Builder
	s.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\n")
	for _, u := range uris {
		s.WriteString("#EXTINF:2.0,\n" + u + "\n")
	}
	s.WriteString("#EXT-X-ENDLIST\n")
	return s.String()
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
	s := mediaPlaylist(uris...)
	return s[:len(s)-len("#EXT-X-ENDLIST\n")]
}

// TestLiveWindow: segments that left the window of a live playlist stay listed
// for a while and then go; those of a presentation on demand stay.
func TestLiveWindow(t *testing.T) {
	c := New(nil)
	now := time.Unix(0, 0)
	learn(t, c, "h", "/vod/i.m3u8", now, mediaPlaylist("v.ts"))
	for i := range 1000 {
		learn(t, c, "h", "/live/i.m3u8", now.Add(time.Duration(i)*2*time.Second), live(numbered(i, i+6)...))
	}
	last := 1000 + 5
	for _, s := range []struct {
		n      int
		listed bool
	}{{last - 1, true}, {last - 250, true}, {last - 400, false}, {0, false}} {
		if got := segment(c, "h", fmt.Sprintf("/live/s%d.ts", s.n)) != nil; got != s.listed {
			t.Errorf("segment %d of %d is listed: %v", s.n, last, got)
		}
	}
	if segment(c, "h", "/vod/v.ts") == nil {
		t.Error("the segment on demand is gone")
	}
	if c.listed != len(c.segments) {
		t.Errorf("the weight is %d for %d segments", c.listed, len(c.segments))
	}
}

// TestCatalogBounds: too many presentations and too long ones push the oldest
// out, and the books stay right.
func TestCatalogBounds(t *testing.T) {
	c := New([]byte("s"))
	now := time.Unix(0, 0)
	kept := learn(t, c, "h", "/kept/i.m3u8", now, mediaPlaylist("a.ts"))
	first := learn(t, c, "h", "/first/i.m3u8", now, mediaPlaylist("a.ts"))
	id := c.SwarmOf(first, now)
	for i := range maxPresentations {
		learn(t, c, fmt.Sprintf("h%d", i), "/x/i.m3u8", now, mediaPlaylist("a.ts"))
		c.Presentation("h", "/kept/i.m3u8") // is asked for again and again
	}
	if c.presentations.Len() != maxPresentations {
		t.Errorf("%d presentations", c.presentations.Len())
	}
	if segment(c, "h", "/kept/a.ts") == nil || c.Presentation("h", "/kept/i.m3u8") != kept {
		t.Error("the presentation in use is gone")
	}
	if segment(c, "h", "/first/a.ts") != nil || c.BySwarm(id) != nil {
		t.Error("the presentation that nobody used is still there")
	}
	if again := c.Presentation("h", "/first/i.m3u8"); c.SwarmOf(again, now) != id {
		t.Error("it came back with another swarm")
	}
	big := learn(t, c, "h", "/big/i.m3u8", now, mediaPlaylist(numbered(0, maxListedEach+5)...))
	if big.listed > maxListedEach || segment(c, "h", "/big/s0.ts") != nil || segment(c, "h", fmt.Sprintf("/big/s%d.ts", maxListedEach+4)) == nil {
		t.Errorf("%d listed of one presentation", big.listed)
	}
	for i := range maxListed / maxListedEach {
		learn(t, c, "h", fmt.Sprintf("/big%d/i.m3u8", i), now, mediaPlaylist(numbered(0, maxListedEach)...))
	}
	sum := 0
	for _, here := range c.segments {
		for _, l := range here {
			sum += l.weight()
		}
	}
	if c.listed > maxListed || c.listed != sum {
		t.Errorf("%d listed, at most %d; the sum is %d", c.listed, maxListed, sum)
	}
}

// TestSwarmChangesWithEpoch: after an epoch, manifests name another swarm, and
// the one before is still known.
func TestSwarmChangesWithEpoch(t *testing.T) {
	c := New([]byte("secret"))
	p := c.Presentation("host", "/live/index.m3u8")
	now := time.Unix(1_800_000_000, 0)
	first := c.SwarmOf(p, now)
	if c.SwarmOf(p, now.Add(time.Minute)) != first {
		t.Error("the swarm changed within an epoch")
	}
	second := c.SwarmOf(p, now.Add(swarmEpoch))
	third := c.SwarmOf(p, now.Add(2*swarmEpoch))
	if first == second || second == third {
		t.Error("the swarm did not change with the epoch")
	}
	if c.BySwarm(third) != p || c.BySwarm(second) != p || c.BySwarm(first) != nil {
		t.Error("the last two swarms, and no more, are to be known")
	}
	other := New([]byte("other secret"))
	if other.SwarmOf(other.Presentation("host", "/live/index.m3u8"), now) == first {
		t.Error("the swarm id does not depend on the secret")
	}
}

// TestHeldPresentationStays: what live sessions use is not flushed by others, however
// many, and a response that is no manifest makes no entry.
func TestHeldPresentationStays(t *testing.T) {
	c := New([]byte("s"))
	now := time.Unix(0, 0)
	held := learn(t, c, "h", "/held/i.m3u8", now, mediaPlaylist("a.ts"))
	id := c.SwarmOf(held, now)
	held.Hold()
	for i := range maxPresentations + 200 {
		c.SwarmOf(c.Peek("h", fmt.Sprintf("/made-up-%d/i.m3u8", i)), now)
	}
	if n := c.presentations.Len(); n != 1 {
		t.Errorf("%d presentations, though one manifest was served", n)
	}
	for i := range maxPresentations + 200 {
		learn(t, c, fmt.Sprintf("h%d", i), "/x/i.m3u8", now, mediaPlaylist("a.ts"))
	}
	if segment(c, "h", "/held/a.ts") == nil || c.BySwarm(id) != held {
		t.Error("the presentation of a live session is gone")
	}
	if n := c.presentations.Len(); n > maxPresentations {
		t.Errorf("%d presentations", n)
	}
	held.Release()
	for i := range maxPresentations + 200 {
		learn(t, c, fmt.Sprintf("g%d", i), "/x/i.m3u8", now, mediaPlaylist("a.ts"))
	}
	if c.BySwarm(id) != nil {
		t.Error("the presentation stays though its last session has ended")
	}
}
