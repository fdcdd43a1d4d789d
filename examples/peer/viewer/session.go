package viewer

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/pause"
	"github.com/viewmesh/viewmesh/examples/peer/web"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

const (
	firstPause   = time.Second // before trying again, doubled each time
	lastPause    = 30 * time.Second
	reloadSpread = 3 * time.Second // within which viewers load a manifest again
	// renewShare is the part of a pass's life after which it is renewed.
	renewShare = 0.6
	// passMargin is how long before its end a pass is not shown any more, and a
	// tenth of its life at most.
	passMargin = 5 * time.Second
)

// keep keeps a session: it opens one where the newest bootstrap says, holds its
// WebSocket, and opens another when that is due. Whatever fails, playing goes on
// without it.
func (v *Viewer) keep() {
	defer v.work.Done()
	pause := firstPause
	troubled, reloaded := false, false
	for v.ctx.Err() == nil {
		b := *v.bootstrap.Load()
		s, err := edge.Open(v.ctx, v.cfg.HTTP, b, v.request(b))
		if err == nil {
			pause, troubled, reloaded = firstPause, false, false
			v.call(func() { v.adopt(s) })
			v.sleep(v.hold(s))
			continue
		}
		if v.ctx.Err() != nil {
			return
		}
		if !troubled {
			v.log.Warn("no session: playing from the origin", "err", err)
			troubled = true
		}
		v.post(func() { v.input(alone()) })
		var no *edge.Refused
		switch {
		case errors.As(err, &no) && no.Code == "unknown_swarm" && b.From != nil && !reloaded && v.reload(b):
			reloaded = true
		case errors.As(err, &no) && no.RetryAfter == 0:
			v.anotherSwarm(b.Swarm)
			reloaded = false
		case errors.As(err, &no):
			v.sleep(max(spread(pause), no.RetryAfter+spread(firstPause)))
		default:
			v.sleep(spread(pause))
		}
		pause = min(2*pause, lastPause)
	}
}

// reload loads the manifest again where the edge does not know its swarm, at a time
// of its own, because all viewers of an edge may be told so at once. It returns false
// if the manifest names no swarm.
func (v *Viewer) reload(b edge.Bootstrap) bool {
	for wait := time.Duration(rand.Int64N(int64(reloadSpread))); v.sleep(wait); {
		again, err := edge.Reload(v.ctx, v.cfg.HTTP, b)
		var no *edge.Refused
		switch {
		case err == nil:
			v.bootstrap.Store(&again)
			return true
		case !errors.As(err, &no) || no.RetryAfter == 0:
			v.log.Debug("the manifest could not be loaded again", "err", err)
			return false
		}
		wait = no.RetryAfter + spread(firstPause)
	}
	return false
}

// anotherSwarm waits until a manifest names another swarm: a refusal for good
// holds for the one that was asked for.
func (v *Viewer) anotherSwarm(than string) {
	for v.bootstrap.Load().Swarm == than {
		if b := v.another.Swap(nil); b != nil && b.Swarm != than {
			v.bootstrap.Store(b)
			return
		}
		select {
		case <-v.bootstrapped:
		case <-v.ctx.Done():
			return
		}
	}
}

// sleep waits; false means that the viewer was closed.
func (v *Viewer) sleep(d time.Duration) bool { return pause.For(v.ctx, d) }

// spread draws a time around d, so that viewers do not all come at once.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}

func (v *Viewer) request(b edge.Bootstrap) signal.SessionRequest {
	r := signal.SessionRequest{Token: cmp.Or(v.cfg.Token, b.Token), Device: v.cfg.Device}
	if v.cfg.NoUpload {
		r.Mode = "receive_only"
	}
	return r
}

// hold keeps the WebSocket of a session open until another session is needed,
// and returns how long to wait before opening it.
func (v *Viewer) hold(s *edge.Session) time.Duration {
	pass, expires := s.Pass, s.Expires
	pause := firstPause
	margin := min(passMargin, time.Until(expires)/10)
	troubled := false
	for v.ctx.Err() == nil {
		if time.Until(expires) < margin {
			return 0
		}
		k, err := edge.Dial(v.ctx, v.cfg.HTTP, s, pass)
		if err == nil {
			var end ending
			end, pass, expires = v.converse(k, pass, expires)
			switch {
			case v.ctx.Err() != nil:
				return 0
			case end.again:
				return end.wait
			case end.welcomed:
				pause, troubled = firstPause, false
			}
			err = end.err
		}
		if v.ctx.Err() == nil {
			if !troubled {
				v.log.Warn("lost the edge: playing on, and trying again", "err", err)
				troubled = true
			}
			select {
			case <-v.moved:
				pause = firstPause
			case <-time.After(spread(pause)):
				pause = min(2*pause, lastPause)
			case <-v.ctx.Done():
			}
		}
	}
	return 0
}

// ending is how a WebSocket ended.
type ending struct {
	err      error
	welcomed bool
	again    bool // another session is needed
	wait     time.Duration
}

// converse reads a WebSocket until it ends. It returns the pass as renewed.
func (v *Viewer) converse(k *edge.Socket, pass string, expires time.Time) (end ending, _ string, _ time.Time) {
	defer k.Abort()
	stop := context.AfterFunc(v.ctx, k.Close)
	defer stop()
	renew := time.AfterFunc(time.Hour, func() { k.Send(&signal.Message{Type: signal.Renew}) })
	renew.Stop()
	defer renew.Stop()
	defer v.call(func() {
		if v.socket == k {
			v.socket = nil
		}
	})
	var said error
	for {
		m, err := k.Read()
		if err != nil {
			end.err = err
			if said != nil {
				end.err = said
			}
			return end, pass, expires
		}
		switch m.Type {
		case signal.Welcome:
			end.welcomed = true
			renew.Reset(renewIn(expires))
			v.post(func() {
				v.socket = k
				v.input(peer.Input{Kind: peer.Joined})
				v.restartLinks()
			})
		case signal.Pass:
			pass, expires = m.Pass, time.Now().Add(time.Duration(m.ExpiresMS)*time.Millisecond)
			renew.Reset(renewIn(expires))
			v.post(func() { v.fromEdge(&m) })
		case signal.Reconnect:
			end.again, end.wait = true, time.Duration(m.AfterMS)*time.Millisecond
		case signal.ErrorMsg:
			said = &edge.Said{Code: m.Code, Detail: m.Detail}
			switch m.Code {
			case "bad_pass", "refused", "banned", "not_shared", "draining", "replaced":
				end.again, end.wait = true, spread(firstPause)
			}
		default:
			v.post(func() { v.fromEdge(&m) })
		}
	}
}

func renewIn(expires time.Time) time.Duration {
	return max(100*time.Millisecond, time.Duration(renewShare*float64(time.Until(expires))))
}

// adopt begins a session: with a new engine, because a peer's id is the
// engine's for life. What is stored goes over to it, and what is on the way
// from the origin is not fetched again.
func (v *Viewer) adopt(s *edge.Session) {
	v.drain()
	for id, l := range v.links {
		l.conn.Send(&wire.Message{Type: wire.Bye, Reason: wire.ByeLeaving})
		v.drop(id)
	}
	v.pending = nil
	v.base.Add(v.engine.Report())
	v.before = v.reported
	v.session.Store(s)
	v.host, v.servers = s.Host(), s.ICEServers
	v.engine = peer.New(peer.Config{
		ID: s.Peer, Seed: rand.Uint64(), Pass: s.Pass,
		ReceiveOnly: v.cfg.NoUpload || s.Limits.ReceiveOnly, Neighbors: s.Limits.Neighbors,
		UploadRate: float64(s.Limits.UploadBPS) / 8, UploadRatio: s.Limits.UploadRatio, CacheBytes: s.Limits.CacheBytes,
		RelayRate:        float64(s.Limits.RelayBPS) / 8,
		OriginRate:       v.engine.OriginRate(),
		AnnounceInterval: time.Duration(s.AnnounceMS) * time.Millisecond,
		ReportInterval:   time.Duration(s.ReportMS) * time.Millisecond,
	})
	v.wait = time.Duration(s.OriginWaitMS) * time.Millisecond
	v.input(peer.Input{Kind: peer.Play, Position: v.position(), Playing: v.playing})
	if v.manifest == nil {
		return
	}
	m := *v.manifest // the engine before has the other one
	m.Wait = v.wait
	m.Segments = slices.Clone(m.Segments)
	for i := range m.Segments {
		s := &m.Segments[i]
		s.Private = v.foreign(v.resources[s.ID])
	}
	v.manifest = &m
	v.input(peer.Input{Kind: peer.ManifestIn, Manifest: v.manifest})
	for f := range v.fetches {
		f.orphan = !f.early
		if v.wait > 0 && f.orphan && v.store.Segment(f.id).Empty() {
			f.cancel() // what has not begun neighbors may have sooner
		}
	}
	listed := map[wire.SegmentID]bool{}
	for _, m := range v.manifest.Segments {
		listed[m.ID] = true
		v.handOver(m.ID)
	}
	for _, g := range v.store.All() {
		if !listed[g.ID] {
			v.store.Evict(g.ID)
		}
	}
}

// position is where the playhead is now.
func (v *Viewer) position() time.Duration {
	if v.playing {
		return v.playPos + v.now() - v.playAt
	}
	return v.playPos
}

// handOver tells a new engine what is stored of a segment.
func (v *Viewer) handOver(id wire.SegmentID) {
	g := v.store.Lookup(id)
	if g == nil {
		return
	}
	if p := g.Proof(); p != nil {
		v.input(stated(peer.Input{Kind: peer.OriginProof, Segment: id}, p))
		ones(g.Have(), func(i int) {
			v.input(peer.Input{Kind: peer.OriginChunk, Segment: id, Chunk: uint8(i)})
		})
	}
	if g.Proof() == nil && g.Whole() {
		v.base.OriginBytes -= g.Size() // the engine counts it once more
		v.input(peer.Input{Kind: peer.OriginDone, Segment: id, OK: true, Bytes: g.Size()})
		v.vouch(id, g)
	}
}

// leave says goodbye to all and ends what is under way.
func (v *Viewer) leave() {
	if v.socket != nil {
		v.sendReport()
		v.socket.Send(&signal.Message{Type: signal.Leave})
	}
	for id, l := range v.links {
		l.conn.Send(&wire.Message{Type: wire.Bye, Reason: wire.ByeLeaving})
		v.drop(id)
	}
	for f := range v.fetches {
		f.cancel()
	}
	v.cancel()
}

// watchNetwork looks for a change of the machine's addresses until the viewer is closed.
func (v *Viewer) watchNetwork() {
	defer v.work.Done()
	before := localAddresses()
	for v.sleep(lookEvery) {
		if now := localAddresses(); now != nil && !slices.Equal(now, before) {
			before = now
			v.call(v.networkChanged)
		}
	}
}

// networkChanged has everything go on over the network that is there now: HTTP, the
// signaling WebSocket, the sockets that neighbors reach us at. Neighbors stay: with each,
// a path is looked for anew once the edge can be reached.
func (v *Viewer) networkChanged() {
	v.log.Debug("the network has changed")
	if t, ok := v.cfg.HTTP.Transport.(*web.Transport); ok {
		t.Renew()
	}
	if v.net != nil {
		if _, err := v.net.Rebind(); err != nil {
			v.log.Debug("a socket was not moved", "err", err)
		}
	}
	v.stale = true
	v.input(peer.Input{Kind: peer.NetworkChanged})
	select {
	case v.moved <- struct{}{}:
	default:
	}
	if k := v.socket; k != nil {
		v.socket = nil
		v.work.Add(1)
		go func() {
			defer v.work.Done()
			k.Abort()
		}()
	}
}

// restartLinks looks for paths anew, if those that are there lead through another network.
func (v *Viewer) restartLinks() {
	if !v.stale {
		return
	}
	v.stale = false
	for _, l := range v.links {
		l.conn.Restart()
	}
}

// alone tells an engine that there is nobody else.
func alone() peer.Input {
	return peer.Input{Kind: peer.SignalIn, Signal: &signal.Message{Type: signal.Peers, SwarmSize: 1}}
}
