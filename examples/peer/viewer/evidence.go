package viewer

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/viewmesh/viewmesh/examples/peer/store"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// sendChunk gives a chunk to a neighbor, signed with the session key.
func sendChunk(v *Viewer, f *peer.Effect) {
	s, l, g := v.session.Load(), v.links[f.Peer], v.store.Lookup(f.Segment)
	var data []byte
	var proof *store.Proof
	if g != nil {
		proof, data = g.Proof(), g.Chunk(int(f.Chunk))
	}
	if s == nil || l == nil || proof == nil || data == nil {
		v.input(peer.Input{Kind: peer.Sent, Peer: f.Peer})
		return
	}
	bytes := int64(len(data))
	hash := integrity.Hash(proof.Hashes, int(f.Chunk))
	if v.cfg.Tamper != nil {
		data = v.cfg.Tamper(data)
		sum := sha256.Sum256(data)
		hash = sum[:]
	}
	signature := ed25519.Sign(s.Key, integrity.Given(s.Swarm, f.Segment, proof.Root, int(f.Chunk), hash))
	l.conn.SendChunk(f.Segment, f.Chunk, data, signature, func() {
		v.post(func() {
			if v.links[l.peer] == l {
				v.input(peer.Input{Kind: peer.Sent, Peer: l.peer, Bytes: bytes})
			}
		})
	})
}

// checkChunk checks a chunk of a neighbor with its signature, and keeps it if both are
// good.
func checkChunk(v *Viewer, f *peer.Effect) peer.Input {
	in := peer.Input{Kind: peer.ChunkChecked, Peer: f.Peer, Segment: f.Segment, Chunk: f.Chunk}
	s, l, g := v.session.Load(), v.links[f.Peer], v.store.Segment(f.Segment)
	proof := g.Proof()
	if s == nil || l == nil || l.pass == nil || proof == nil {
		in.Former = true // it has gone meanwhile: nothing is known of what it gave
		return in
	}
	signed := func(p *store.Proof, hash []byte) bool {
		return int(f.Chunk) < p.Layout.Chunks() && len(f.Signature) == ed25519.SignatureSize && l.pass.Key != nil &&
			ed25519.Verify(l.pass.Key, integrity.Given(s.Swarm, f.Segment, p.Root, int(f.Chunk), hash), f.Signature)
	}
	if int(f.Chunk) < proof.Layout.Chunks() && signed(proof, integrity.Hash(proof.Hashes, int(f.Chunk))) {
		in.OK = g.PutChunk(int(f.Chunk), f.Data) == nil
	}
	if in.OK {
		return in
	}
	hash := sha256.Sum256(f.Data)
	for _, p := range g.Proofs(s.Now()) {
		if !signed(&p, hash[:]) {
			continue
		}
		if in.Former = p.Layout.Check(p.Hashes, int(f.Chunk), f.Data) == nil; !in.Former {
			in.Evidence = &signal.Evidence{Pass: l.shown, Token: p.Token, Hashes: p.Hashes, Index: int(f.Chunk), Hash: hash[:], Signature: f.Signature}
		}
		break
	}
	v.log.Debug("a neighbor sent a bad chunk", "peer", f.Peer, "signed", in.Evidence != nil, "former", in.Former)
	return in
}
