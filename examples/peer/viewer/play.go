package viewer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/origin"
	"github.com/viewmesh/viewmesh/examples/peer/store"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

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

// Bootstrap has the viewer open a session there, or the next one, if it has one. Of
// several manifests of what it plays it goes by the first, which is the multivariant
// playlist, and by another one if the edge refuses that for good: an edge that has
// just started takes a media playlist for a presentation of its own.
func (v *Viewer) Bootstrap(b edge.Bootstrap) {
	if v.cfg.NoMesh {
		return
	}
	switch first := v.bootstrap.Load(); {
	case first == nil || first.Manifest == b.Manifest:
		v.bootstrap.Store(&b)
	case first.Swarm == b.Swarm: // which an edge that does not know it makes of the first
		b.Manifest, b.From = first.Manifest, first.From
		v.bootstrap.Store(&b)
	default:
		v.another.Store(&b)
	}
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
		escaped, query, _ := strings.Cut(m.Rendition, "?")
		rendition := v.name(escaped, query)
		out := &peer.Manifest{Rendition: rendition, Number: number(rendition), Live: m.Live, Wait: v.wait, Segments: make([]peer.Segment, len(m.Segments))}
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

// originWaits tells the engine how long a segment waits at the origin, if that has changed.
func (v *Viewer) originWaits(wait time.Duration) {
	if wait == v.wait {
		return
	}
	v.wait = wait
	if v.manifest != nil {
		m := *v.manifest
		m.Wait = wait
		v.manifest = &m
		v.input(peer.Input{Kind: peer.ManifestIn, Manifest: v.manifest})
	}
}

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

// Stats gives the totals over all sessions of this viewer.
func (v *Viewer) Stats() Stats {
	var s Stats
	if !v.call(func() { s = v.stats() }) {
		return v.final
	}
	return s
}
