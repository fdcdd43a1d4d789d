package catalog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// growing is a playlist that grows by what dice say, as events do and as they do not.
type growing struct {
	dice *rand.Rand
	text strings.Builder
	n    int
	odd  bool // what a tail does not keep may come
}

// line adds a segment, with what may stand before one.
func (g *growing) line() {
	w := &g.text
	switch g.dice.IntN(20) {
	case 0:
		fmt.Fprintf(w, "#EXT-X-KEY:METHOD=AES-128,URI=\"k%d.bin\"\n", g.n)
	case 1:
		w.WriteString("#EXT-X-KEY:METHOD=NONE\n")
	case 2:
		fmt.Fprintf(w, "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://%d\",KEYFORMAT=\"com.example\"\n", g.n)
	case 3:
		fmt.Fprintf(w, "#EXT-X-MAP:URI=\"i%d.mp4\"\n", g.n)
	case 4:
		w.WriteString("#EXT-X-DISCONTINUITY\n")
	case 5:
		w.WriteString("# a comment\n\n")
	case 6:
		fmt.Fprintf(w, "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:%02d:%02dZ\n", g.n/60%60, g.n%60)
	}
	if g.odd {
		switch g.dice.IntN(40) {
		case 0:
			fmt.Fprintf(w, "#EXT-X-CUE-OUT:DURATION=%d\n", g.dice.IntN(9))
		case 1:
			w.WriteString("#EXT-X-CUE-IN\n")
		case 2:
			fmt.Fprintf(w, "#EXTINF:2,\nhttp://ads.example/%d.ts\n", g.n)
		case 3:
			fmt.Fprintf(w, "#EXT-X-BYTERANGE:100\n")
		case 4:
			w.WriteString("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n")
		case 5:
			g.n -= min(g.n, 3) // names come again
		}
	}
	fmt.Fprintf(w, "#EXTINF:2.0,\nsegment-with-a-long-name-%06d.ts\n", g.n)
	g.n++
}

// contents writes down what a catalog lists.
func contents(c *Catalog) map[string]string {
	out := map[string]string{}
	for _, here := range c.segments {
		for _, l := range here {
			out[l.Name.String()] = fmt.Sprint(l.Ranges, l.Ad, l.Hints)
		}
	}
	return out
}

// TestTailIsAsTheWhole: a playlist that grows is read from what was added, and what is
// listed is the same as if it was read in full each time, whatever it has and even if
// it slides, begins anew or changes what was read.
func TestTailIsAsTheWhole(t *testing.T) {
	tails := 0
	for seed := range uint64(60) {
		dice := rand.New(rand.NewPCG(seed, 1))
		g := &growing{dice: dice, odd: seed%3 == 2}
		g.text.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
		for range 900 {
			g.line()
		}
		byTail, inFull := New(nil), New(nil)
		now := time.Unix(0, 0)
		for step := range 25 {
			now = now.Add(time.Duration(1+dice.IntN(120)) * time.Second)
			for range dice.IntN(4) {
				g.line()
			}
			body := g.text.String()
			switch dice.IntN(30) {
			case 0:
				body = strings.Replace(body, "#EXTINF:2.0,\nsegment", "#EXTINF:2.0,\nother", 1)
			case 1:
				body += "#EXT-X-KEY:METHOD=AES-128,URI=\"pending.bin\"\n" // not there the next time
			case 2:
				body += fmt.Sprintf("#EXTINF:2.0,\nhalf-a-line-%d", step)
			case 3:
				body += "#EXT-X-ENDLIST\n"
			}
			learn(t, byTail, "h", "/s/x.m3u8", now, body)
			p := inFull.Presentation("h", "/s/x.m3u8")
			for _, s := range p.playlists {
				s.tail = nil
			}
			learn(t, inFull, "h", "/s/x.m3u8", now, body)
			if byTail.tailOf(byTail.Presentation("h", "/s/x.m3u8"), manifest.Name{Path: "/s/x.m3u8"}) != nil {
				tails++
			}
			got, want := contents(byTail), contents(inFull)
			if !maps.Equal(got, want) {
				for _, name := range slices.Sorted(maps.Keys(want)) {
					if got[name] != want[name] {
						t.Errorf("%s: %q, want %q", name, got[name], want[name])
					}
				}
				for _, name := range slices.Sorted(maps.Keys(got)) {
					if want[name] == "" {
						t.Errorf("%s is listed", name)
					}
				}
				t.Fatalf("seed %d, step %d: %d listed, want %d", seed, step, len(got), len(want))
			}
		}
	}
	if tails < 500 {
		t.Errorf("only %d playlists have a tail", tails)
	}
}

// BenchmarkGrowingPlaylist is a reload of a playlist of 12 hours that has one segment
// more than before.
func BenchmarkGrowingPlaylist(b *testing.B) {
	for _, in := range []string{"tail", "full"} {
		b.Run(in, func(b *testing.B) {
			g := &growing{dice: rand.New(rand.NewPCG(1, 1))}
			g.text.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:EVENT\n")
			for range 12 * 1800 {
				fmt.Fprintf(&g.text, "#EXTINF:2.0,\nsegment-%06d.m4s\n", g.n)
				g.n++
			}
			c := New(nil)
			base := &url.URL{Path: "/s/x.m3u8"}
			p := c.Presentation("h", base.Path)
			who := &manifest.Identity{}
			for b.Loop() {
				fmt.Fprintf(&g.text, "#EXTINF:2.0,\nsegment-%06d.m4s\n", g.n)
				g.n++
				body := []byte(g.text.String())
				c.Unchanged(p, manifest.Name{Path: base.Path}, body, time.Unix(0, 0))
				if in == "full" {
					for _, s := range p.playlists {
						s.tail = nil
					}
				}
				if _, err := c.Learn(p, base, body, who, time.Unix(0, 0)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBusy is a request for an unchanged playlist of one of 1,000 presentations,
// and for a segment of it, while others are learned.
func BenchmarkBusy(b *testing.B) {
	c := New([]byte("secret"))
	body := []byte(live(numbered(0, 6)...))
	for i := range 1000 {
		learn(b, c, "h", fmt.Sprintf("/%d/x.m3u8", i), time.Unix(0, 0), string(body))
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				learn(b, c, "h", fmt.Sprintf("/%d/x.m3u8", i%1000), time.Unix(int64(i), 0), live(numbered(i, i+6)...))
			}
		}
	}()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			path := fmt.Sprintf("/%d/x.m3u8", i%1000)
			p := c.Presentation("h", path)
			c.SwarmOf(p, time.Unix(0, 0))
			c.Unchanged(p, manifest.Name{Path: path}, body, time.Unix(0, 0))
			c.Segment("h", manifest.Name{Path: fmt.Sprintf("/%d/s3.ts", i%1000)})
		}
	})
}
