// Package viewer is one viewer of one presentation: it drives the engine of
// meshcore/peer with a real clock, the signaling WebSocket, WebRTC and HTTP. What
// plays, a clock or a player behind a gateway, is not in here: it says what it
// plays with SetManifest, Play and Need, and reads the bytes from the store.
//
// The engine belongs to one goroutine. All that happens elsewhere comes to it as
// functions through one queue, so that there is no lock around it.
package viewer

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/origin"
	"github.com/viewmesh/viewmesh/examples/peer/rtc"
	"github.com/viewmesh/viewmesh/examples/peer/store"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Config says what a viewer is like. The zero value takes part in the mesh and
// gives as much as the edge allows.
type Config struct {
	// HTTP is for all requests; default http.DefaultClient.
	HTTP *http.Client
	// Log gets what a person would want to know once; default slog.Default().
	Log *slog.Logger
	// NoMesh: take all from the origin.
	NoMesh bool
	// NoUpload: take from peers, give them nothing.
	NoUpload bool
	// RelayOnly: connect to peers over relays only.
	RelayOnly bool
	// Device is told to the edge.
	Device signal.Device
	// Token is the viewer token, where the site wants one in the request for a
	// session.
	Token string
	// Completed, if set, is called when all bytes of a segment have come, from any
	// goroutine; it must not wait.
	Completed func(wire.SegmentID)
	// Tamper, if set, changes each chunk before it is given to a neighbor. It is
	// there for tests of what the others do then.
	Tamper func(data []byte) []byte
}

// Segment is one segment of a Manifest.
type Segment struct {
	manifest.Resource
	Sequence        int64
	Start, Duration time.Duration
}

// ID is the id of a resource among the peers.
func (v *Viewer) ID(r manifest.Resource) wire.SegmentID {
	return integrity.ID(v.name(r.URL.EscapedPath(), r.URL.RawQuery), r.Offset, r.Length)
}

// name is what the edge and all peers call the resource at an escaped path, with a
// query, once the edge has said what of URLs is the viewer's.
func (v *Viewer) name(escaped, query string) string {
	var who manifest.Identity
	if b := v.bootstrap.Load(); b != nil {
		who = b.Identity
	}
	return who.Name(escaped, query).String()
}

// Manifest is what the player has to play, of all its tracks, in playing order.
type Manifest struct {
	// Rendition is the escaped path, with the query, of the media playlist.
	Rendition string
	Live      bool
	Segments  []Segment
	// Hints are the parts that are said to come next; their times do not matter.
	Hints []Segment
}

// Quality is what the player knows of itself.
type Quality struct {
	StartupMS, Stalls, StallMS, PlayedMS, BufferMS int64
}

// Viewer is one viewer. Its methods may be called from anywhere.
type Viewer struct {
	cfg    Config
	log    *slog.Logger
	store  *store.Store
	origin origin.Client
	start  time.Time
	ctx    context.Context
	cancel context.CancelFunc
	inbox  chan func()
	done   chan struct{} // closed when the loop has ended
	work   sync.WaitGroup
	closed sync.Once

	session      atomic.Pointer[edge.Session] // nil before the first
	quality      atomic.Pointer[Quality]
	originRate   atomic.Int64                // bytes/s
	header       atomic.Pointer[http.Header] // of the last segment from the origin
	bootstrap    atomic.Pointer[edge.Bootstrap]
	another      atomic.Pointer[edge.Bootstrap] // of another manifest, with another swarm
	bootstrapped chan struct{}                  // there is a new one
	keeping      sync.Once
	moved        chan struct{} // the network has changed

	// The rest belongs to the loop.
	engine    *peer.Engine
	pending   []peer.Input
	manifest  *peer.Manifest
	wait      time.Duration // that a segment waits at the origin, as the edge says
	resources map[wire.SegmentID]manifest.Resource
	playing   bool
	playPos   time.Duration
	playAt    time.Duration
	net       *rtc.Net
	links     map[wire.PeerID]*link
	offers    map[wire.PeerID]*signal.Message // not answered yet
	paths     []Path                          // that have ended
	stale     bool                            // they lead through another network
	socket    *edge.Socket
	servers   []signal.ICEServer
	fetches   map[*fetch]struct{}
	host      string // that the session is for
	base      signal.Report
	reported  signal.Report // what the last report said, of all sessions
	before    signal.Report // the same when this session began
	final     Stats
}

// Store is where the bytes are.
func (v *Viewer) Store() *store.Store { return v.store }

// foreign says whether a resource is of another host than the session, whose edge
// cannot vouch for it.
func (v *Viewer) foreign(r manifest.Resource) bool { return v.host != "" && r.URL.Host != v.host }

// Header is that of the last segment that came from the origin, or nil. It must
// not be changed.
func (v *Viewer) Header() http.Header {
	if h := v.header.Load(); h != nil {
		return *h
	}
	return nil
}

// OriginRate is what the origin was measured to give, in bytes a second.
func (v *Viewer) OriginRate() float64 { return float64(v.originRate.Load()) }

// CountOrigin counts bytes of segments that the player got from the origin past
// the engine: init sections, and what a gateway passed through.
func (v *Viewer) CountOrigin(bytes int64) {
	if bytes > 0 {
		v.call(func() { v.base.OriginBytes += bytes })
	}
}

// Stats is how it went so far.
type Stats struct {
	signal.Report
	// Joined says whether the edge is connected now.
	Joined bool
	// Peer is this viewer's id in its session, 0 without one.
	Peer wire.PeerID
	// Paths are the connections to neighbors: the last that ended, then those that are
	// open.
	Paths []Path
}

// now is the engine's time.
func (v *Viewer) now() time.Duration { return time.Since(v.start) }

// post has f run in the loop; it is dropped when the loop has ended.
func (v *Viewer) post(f func()) {
	select {
	case v.inbox <- f:
	case <-v.done:
	}
}

// input queues an input to the engine.
func (v *Viewer) input(in peer.Input) { v.pending = append(v.pending, in) }

// fetch is a request to the origin that is under way.
type fetch struct {
	id     wire.SegmentID
	chunks uint64 // 0 for all
	cancel context.CancelFunc
	orphan bool // the engine that wanted it is gone
	// early: it was begun on a hint, and the engine knows nothing of it. What it is
	// to hear once the segment is listed is held.
	early  bool
	hinted bool // it was early once
	held   []peer.Input
	over   bool
	bytes  int64 // that came in all, once it is over
	gone   bool  // the engine will never hear of it
}

// signal sends a message to the edge, or drops it if there is no connection.
func (v *Viewer) signal(m *signal.Message) {
	if v.socket == nil {
		return
	}
	if m.Type == signal.ReportMsg {
		v.sendReport()
		return
	}
	v.socket.Send(m)
}

// sendReport reports the totals of this session.
func (v *Viewer) sendReport() {
	if v.socket == nil {
		return
	}
	all := v.stats().Report
	of := minus(all, v.before)
	if v.socket.Send(&signal.Message{Type: signal.ReportMsg, Report: &of}) {
		v.reported = all
	}
}

// stats gives the totals over all sessions.
func (v *Viewer) stats() Stats {
	r := v.base
	r.Add(v.engine.Report())
	r.Neighbors = int64(v.engine.Neighbors())
	if q := v.quality.Load(); q != nil {
		r.StartupMS, r.Stalls, r.StallMS, r.PlayedMS, r.BufferMS = q.StartupMS, q.Stalls, q.StallMS, q.PlayedMS, q.BufferMS
	}
	s := Stats{Report: r, Joined: v.socket != nil, Paths: v.allPaths()}
	if session := v.session.Load(); session != nil {
		s.Peer = session.Peer
	}
	return s
}

// minus takes from the totals a what was reported before. Nothing falls below 0.
func minus(a, b signal.Report) signal.Report {
	less := func(x *int64, y int64) { *x = max(0, *x-y) }
	less(&a.PeerBytes, b.PeerBytes)
	less(&a.OriginBytes, b.OriginBytes)
	less(&a.RelayedBytes, b.RelayedBytes)
	less(&a.UploadedBytes, b.UploadedBytes)
	less(&a.DuplicateBytes, b.DuplicateBytes)
	less(&a.BadChunks, b.BadChunks)
	less(&a.Stalls, b.Stalls)
	less(&a.StallMS, b.StallMS)
	less(&a.PlayedMS, b.PlayedMS)
	return a
}
