package viewer

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// onDuty has the edge give a viewer a place in the rotation.
func (s *stage) onDuty(rank int) {
	s.talk = func(_ int, ws *websocket.Conn) {
		say(ws, &signal.Message{Type: signal.Peers, SwarmSize: 2, Duty: &signal.Duty{Rank: rank, Of: 2, Fetchers: 1}})
	}
}

// live has a viewer play a live stream of parts of half a second whose sequence is
// 0, and hints at one more.
func (s *stage) live(v *Viewer, hint string, names ...string) {
	m := Manifest{Rendition: "r", Live: true, Hints: []Segment{{Resource: s.resource(hint)}}}
	for i, name := range names {
		m.Segments = append(m.Segments, Segment{Resource: s.resource(name), Start: time.Duration(i) * time.Second / 2, Duration: time.Second / 2})
	}
	v.SetManifest(m)
	v.Play(0, true)
}

func (s *stage) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked["/show/"+name]
}

// TestHint: the viewer whose turn it is asks for the part that a playlist hints at,
// before it is made; it is not asked for again once it is listed, and counts once.
func TestHint(t *testing.T) {
	for _, listedFirst := range []bool{false, true} {
		s := newStage(t)
		s.onDuty(0)
		s.making = map[string]chan struct{}{"/show/next.m4s": make(chan struct{})}
		v := s.viewer(nil)
		v.Bootstrap(s.bootstrap("s"))
		dutyOf(s, v)
		s.live(v, "next.m4s", "a.m4s")
		s.until("the request on the hint", func() bool { return s.asked["/show/next.m4s"] == 1 })
		if listedFirst {
			s.live(v, "third.m4s", "a.m4s", "next.m4s")
		}
		close(s.making["/show/next.m4s"])
		s.until("the part", func() bool { return s.whole(v, "next.m4s") })
		if !listedFirst {
			s.live(v, "third.m4s", "a.m4s", "next.m4s")
		}
		want := int64(len(s.content("/show/a.m4s")) + len(s.content("/show/next.m4s")) + len(s.content("/show/third.m4s")))
		s.until("the next hint", func() bool { return s.asked["/show/third.m4s"] == 1 && s.whole(v, "third.m4s") })
		s.live(v, "fourth.m4s", "a.m4s", "next.m4s") // the third comes to nothing
		s.until("all bytes to count", func() bool { return v.Stats().OriginBytes >= want })
		s.until("the part to be shared", func() bool { return v.Store().Lookup(v.ID(s.resource("next.m4s"))).Have() != 0 })
		want += int64(len(s.content("/show/fourth.m4s")))
		s.until("the fourth", func() bool { return s.whole(v, "fourth.m4s") })
		s.live(v, "a.m4s", "a.m4s")
		s.until("the fourth to count, too", func() bool { return v.Stats().OriginBytes >= want })
		if n := s.count("next.m4s"); n != 1 {
			t.Errorf("listed first %v: the origin was asked %d times", listedFirst, n)
		}
		if got := v.Stats().OriginBytes; got != want {
			t.Errorf("listed first %v: %d bytes of the origin are counted, want %d", listedFirst, got, want)
		}
		v.Close()
	}
}

// TestHintOfAnother: a viewer whose turn it is not leaves the hint alone.
func TestHintOfAnother(t *testing.T) {
	s := newStage(t)
	s.onDuty(1)
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("s"))
	dutyOf(s, v)
	s.live(v, "next.m4s", "a.m4s")
	s.until("what is listed", func() bool { return s.whole(v, "a.m4s") })
	if s.count("next.m4s") != 0 {
		t.Error("it asked for the part that another is to fetch")
	}
}

// dutyOf waits until a viewer knows its turns, of which one in four is its own.
func dutyOf(s *stage, v *Viewer) {
	s.until("the duty", func() bool {
		known := false
		v.call(func() {
			for sequence := range int64(4) {
				known = known || v.engine.Fetches(sequence)
			}
		})
		return known
	})
}
