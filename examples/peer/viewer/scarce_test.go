package viewer

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestScarce: where a session says that the origin is scarce, a viewer gives up what it has
// asked for before and has nothing of, and its engine knows; so it does when a list of peers
// says that it is scarce no more.
func TestScarce(t *testing.T) {
	s := newStage(t)
	s.hold, s.wait = make(chan struct{}), 1500
	s.making = map[string]chan struct{}{"/show/a": make(chan struct{})}
	defer close(s.making["/show/a"])
	over := make(chan struct{})
	s.talk = func(_ int, ws *websocket.Conn) {
		<-over
		say(ws, &signal.Message{Type: signal.Peers, SwarmSize: 1})
	}
	v := s.viewer(nil)
	s.show(v, "a", "b")
	v.Need(v.ID(s.resource("a")), 0)
	v.Bootstrap(s.bootstrap("s"))
	s.until("the request of a", func() bool { return s.asked["/show/a"] == 1 })
	close(s.hold)
	wait := func() (w time.Duration) {
		v.call(func() { w = v.manifest.Wait })
		return w
	}
	s.until("the engine to know", func() bool { return wait() == 1500*time.Millisecond })
	s.until("the request to end", func() (ended bool) {
		v.call(func() { ended = !v.fetching(v.ID(s.resource("a"))) || s.asked["/show/a"] == 2 })
		return ended
	})
	close(over)
	s.until("the engine to know that it is over", func() bool { return wait() == 0 })
}
