package admission

import (
	"bytes"
	"crypto/ed25519"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// evidenceGrace is how long after its end a pass or a statement is evidence still: it was
// good when the chunk was given.
const evidenceGrace = time.Minute

// Convicts reports whether the evidence of a complaint shows that the peer that it names,
// of a swarm, gave a wrong chunk. Nothing but the edge's own signatures and the peer's is
// believed: the pass has the peer's key, the statement says what the chunk is, and the
// peer's signature says that it gave another for that very statement. No other peer can
// make one, and an honest peer never does, because it signs what it has checked.
func Convicts(c *Control, swarm string, m *signal.Message) bool {
	e, then := m.Evidence, c.Now().Add(-evidenceGrace)
	if e == nil || m.Peer == nil || m.Segment == nil {
		return false
	}
	v := c.Keys().Verifier()
	pass, err := v.VerifyPass(e.Pass, then)
	if err != nil || pass.Peer != m.Peer.String() || pass.Swarm != swarm || pass.Key == nil {
		return false
	}
	s, err := v.VerifySegment(e.Token, then)
	if err != nil || integrity.ID(s.Name(), 0, 0) != *m.Segment && integrity.ID(s.Name(), s.Offset, s.Size) != *m.Segment {
		return false
	}
	layout, err := integrity.NewLayout(s.Size, s.ChunkSize)
	if err != nil || layout.Verify(e.Hashes, s.Root) != nil || e.Index < 0 || e.Index >= layout.Chunks() {
		return false
	}
	return !bytes.Equal(e.Hash, integrity.Hash(e.Hashes, e.Index)) && len(e.Hash) == integrity.HashSize &&
		ed25519.Verify(pass.Key, integrity.Given(swarm, *m.Segment, s.Root, e.Index, e.Hash), e.Signature)
}
