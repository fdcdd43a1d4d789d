package viewer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
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
		sendChunk(v, f)
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
			g, _ := v.store.Prove(f.Segment, p)
			in = stated(in, g.Proof())
		}
		v.input(in)
	case peer.CheckChunk:
		v.input(checkChunk(v, f))
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
