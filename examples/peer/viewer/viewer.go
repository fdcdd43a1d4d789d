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
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	return integrity.ID(v.path(r.URL.EscapedPath()), r.Offset, r.Length)
}

// path is an escaped path without viewer token, if the edge has said what tokens are
// called.
func (v *Viewer) path(escaped string) string {
	if b := v.bootstrap.Load(); b != nil {
		return b.Path(escaped)
	}
	return escaped
}

// Manifest is what the player has to play, of all its tracks, in playing order.
type Manifest struct {
	// Rendition is the same for all who play this rendition, for example the escaped
	// path of its media playlist.
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
	bootstrapped chan struct{} // there is a new one
	keeping      sync.Once
	moved        chan struct{} // the network has changed

	// The rest belongs to the loop.
	engine    *peer.Engine
	pending   []peer.Input
	manifest  *peer.Manifest
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

// New starts a viewer. Close must be called in the end.
func New(cfg Config) *Viewer {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	v := &Viewer{
		cfg: cfg, log: cfg.Log, store: store.New(cfg.Completed), origin: origin.Client{HTTP: cfg.HTTP},
		start: time.Now(), inbox: make(chan func(), 256), done: make(chan struct{}),
		bootstrapped: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		resources: map[wire.SegmentID]manifest.Resource{}, links: map[wire.PeerID]*link{},
		offers: map[wire.PeerID]*signal.Message{}, fetches: map[*fetch]struct{}{},
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	// Until there is a session the engine has no neighbors and an id of no meaning.
	v.engine = peer.New(peer.Config{ID: wire.PeerID(rand.Uint64()), Seed: rand.Uint64(), ReceiveOnly: true})
	if cfg.NoMesh {
		v.pending = append(v.pending, alone())
	}
	go v.loop()
	return v
}

// alone tells an engine that there is nobody else.
func alone() peer.Input {
	return peer.Input{Kind: peer.SignalIn, Signal: &signal.Message{Type: signal.Peers, SwarmSize: 1}}
}

// Close reports a last time, leaves, closes all connections and waits until
// nothing is left.
func (v *Viewer) Close() {
	v.closed.Do(func() {
		v.call(v.leave)
		<-v.done
		v.work.Wait()
		if v.net != nil {
			if err := v.net.Close(); err != nil {
				v.log.Debug("closing the sockets failed", "err", err)
			}
		}
	})
	<-v.done
}

// Store is where the bytes are.
func (v *Viewer) Store() *store.Store { return v.store }

// Bootstrap has the viewer open a session there, or the next one, if it has one.
func (v *Viewer) Bootstrap(b edge.Bootstrap) {
	if v.cfg.NoMesh {
		return
	}
	v.bootstrap.Store(&b)
	select {
	case v.bootstrapped <- struct{}{}:
	default:
	}
	v.keeping.Do(func() {
		v.call(func() {
			if v.ctx.Err() == nil {
				v.work.Add(2)
				go v.keep()
				go v.watchNetwork()
			}
		})
	})
}

// SetManifest says what is to be played from now on.
func (v *Viewer) SetManifest(m Manifest) {
	v.call(func() {
		rendition := v.path(m.Rendition)
		out := &peer.Manifest{Rendition: rendition, Number: number(rendition), Live: m.Live, Segments: make([]peer.Segment, len(m.Segments))}
		if len(out.Rendition) > signal.MaxText {
			out.Rendition = fmt.Sprintf("%016x", out.Number)
		}
		resources := make(map[wire.SegmentID]manifest.Resource, len(m.Segments))
		for i, s := range m.Segments {
			id := v.ID(s.Resource)
			resources[id] = s.Resource
			out.Segments[i] = peer.Segment{ID: id, Sequence: s.Sequence, Start: s.Start, Duration: s.Duration, Size: s.Length, Private: v.foreign(s.Resource)}
		}
		for id, r := range v.resources {
			if _, listed := resources[id]; !listed && v.store.Lookup(id) != nil {
				resources[id] = r
			}
		}
		v.resources, v.manifest = resources, out
		v.input(peer.Input{Kind: peer.ManifestIn, Manifest: out})
		v.hinted(m.Hints, func(id wire.SegmentID) bool { _, ok := resources[id]; return ok })
	})
}

// foreign says whether a resource is of another host than the session, whose edge
// cannot vouch for it.
func (v *Viewer) foreign(r manifest.Resource) bool { return v.host != "" && r.URL.Host != v.host }

// number is the rendition on the wire.
func number(rendition string) uint64 {
	sum := sha256.Sum256([]byte(rendition))
	return binary.BigEndian.Uint64(sum[:])
}

// Play says that the playhead is at position, and whether it runs.
func (v *Viewer) Play(position time.Duration, playing bool) {
	v.call(func() {
		v.playPos, v.playing, v.playAt = position, playing, v.now()
		v.input(peer.Input{Kind: peer.Play, Position: position, Playing: playing})
	})
}

// Need says that the player waits for a segment of the manifest and must have it
// soon.
func (v *Viewer) Need(id wire.SegmentID, within time.Duration) {
	v.call(func() { v.input(peer.Input{Kind: peer.Need, Segment: id, Within: within}) })
}

// SetQuality says how playing goes, for reports.
func (v *Viewer) SetQuality(q Quality) { v.quality.Store(&q) }

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

// Stats gives the totals over all sessions of this viewer.
func (v *Viewer) Stats() Stats {
	var s Stats
	if !v.call(func() { s = v.stats() }) {
		return v.final
	}
	return s
}
