package manifest_test

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// list makes a playlist of segments of 2 s from a sequence on.
func list(first int64, n int, at time.Time) *manifest.Playlist {
	p := &manifest.Playlist{Target: 2 * time.Second, Sequence: first}
	for i := range n {
		s := manifest.Segment{Sequence: first + int64(i), Duration: 2 * time.Second}
		if !at.IsZero() {
			s.At = at.Add(time.Duration(i) * 2 * time.Second)
		}
		p.Segments = append(p.Segments, s)
	}
	return p
}

func TestTimeline(t *testing.T) {
	var l manifest.Timeline
	first := l.Place(list(10, 3, time.Time{}), 0)
	if first[0] != 20*time.Second || l.End() != 26*time.Second {
		t.Errorf("without a date it begins at %v and ends at %v", first[0], l.End())
	}
	next := list(11, 3, time.Time{})
	next.Segments[0].Duration = 2 * time.Second
	if s := l.Place(next, 0); s[0] != first[1] || s[1] != first[2] {
		t.Errorf("after a reload segment 11 moved from %v to %v", first[1], s[0])
	}
	if s := l.Place(list(20, 2, time.Time{}), 0); s[0] != 40*time.Second {
		t.Errorf("after a pause segment 20 is at %v, want 40 s", s[0])
	}
	if s := l.Place(list(0, 2, time.Time{}), 0); s[0] != 44*time.Second {
		t.Errorf("a stream that began anew goes on at %v, want 44 s", s[0])
	}

	ended := list(5, 2, time.Time{})
	ended.Ended = true
	if s := new(manifest.Timeline).Place(ended, 0); s[0] != 0 {
		t.Errorf("on demand it begins at %v", s[0])
	}
	at := time.Unix(1000, 0)
	if s := new(manifest.Timeline).Place(list(5, 2, at), 0); s[0] != 1000*time.Second {
		t.Errorf("with a date it begins at %v, want 1000 s", s[0])
	}
	if s := new(manifest.Timeline).Place(list(5, 2, time.Time{}), 104*time.Second); s[0] != 100*time.Second {
		t.Errorf("beside a track that ends at 104 s it begins at %v, want 100 s", s[0])
	}
}
