package viewer

import (
	"math/bits"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// loop runs the engine until the viewer is closed.
func (v *Viewer) loop() {
	defer close(v.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if v.ctx.Err() == nil {
			v.drain()
		}
		v.originRate.Store(int64(v.engine.OriginRate()))
		timer.Reset(min(max(v.engine.NextDeadline()-v.now(), 0), time.Minute))
		select {
		case f := <-v.inbox:
			f()
		case <-timer.C:
			v.input(peer.Input{Kind: peer.Tick})
		case <-v.ctx.Done():
			v.final = v.stats()
			return
		}
	}
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

// call runs f in the loop and waits for it; false means that the loop has ended.
// The loop itself must not call it.
func (v *Viewer) call(f func()) bool {
	ran := make(chan struct{})
	v.post(func() { f(); close(ran) })
	select {
	case <-ran:
		return true
	case <-v.done:
		return false
	}
}

// input queues an input to the engine.
func (v *Viewer) input(in peer.Input) { v.pending = append(v.pending, in) }

// drain hands the queued inputs to the engine, and those that follow from the
// effects.
func (v *Viewer) drain() {
	for len(v.pending) > 0 {
		in := v.pending[0]
		v.pending = v.pending[1:]
		for _, f := range v.engine.Step(v.now(), &in) {
			v.carryOut(&f)
		}
	}
	v.pending = nil
	clear(v.offers) // what the engine has not accepted it does not want
}

// carryOut does what the engine asks for. peer.EffectKind says what that is.
func (v *Viewer) carryOut(f *peer.Effect) {
	switch f.Kind {
	case peer.Connect:
		v.connect(f.Peer)
	case peer.Accept:
		v.accept(f.Peer)
	case peer.Disconnect:
		v.disconnect(f.Peer)
	case peer.Send:
		if l := v.links[f.Peer]; l != nil {
			l.conn.Send(&f.Message)
		}
	case peer.SendChunk:
		v.sendChunk(f)
	case peer.SendProof:
		l, g := v.links[f.Peer], v.store.Lookup(f.Segment)
		if l == nil || g == nil {
			return
		}
		if p := g.Proof(); p != nil {
			l.conn.Send(&wire.Message{Type: wire.Proof, Segment: f.Segment, Token: p.Token, Hashes: p.Hashes})
		}
	case peer.CheckPass:
		v.input(v.checkPass(f.Peer, f.Message.Token))
	case peer.CheckProof:
		in := peer.Input{Kind: peer.ProofChecked, Peer: f.Peer, Segment: f.Segment}
		if p, err := v.verify(f.Segment, f.Message.Token, f.Message.Hashes); err == nil {
			g := v.store.Segment(f.Segment)
			g.SetProof(p)
			in.OK, in.Layout = true, g.Proof().Layout
		}
		v.input(in)
	case peer.CheckChunk:
		err := v.store.Segment(f.Segment).PutChunk(int(f.Chunk), f.Data)
		if err != nil {
			v.log.Debug("a neighbor sent a bad chunk", "peer", f.Peer, "err", err)
		}
		v.input(peer.Input{Kind: peer.ChunkChecked, Peer: f.Peer, Segment: f.Segment, Chunk: f.Chunk, OK: err == nil})
	case peer.FetchOrigin:
		v.fetch(f.Segment, f.Chunks)
	case peer.CancelOrigin:
		v.cancelFetches(f.Segment)
	case peer.Evict:
		v.cancelFetches(f.Segment)
		v.store.Evict(f.Segment)
	case peer.Signal:
		v.signal(f.Signal)
	case peer.Complete: // the store has said so
	}
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

// ones calls f with each bit of a mask.
func ones(mask uint64, f func(i int)) {
	for ; mask != 0; mask &= mask - 1 {
		f(bits.TrailingZeros64(mask))
	}
}
