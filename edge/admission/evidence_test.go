package admission

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// court is an edge, a peer of it, and what the edge has said of two versions of a segment.
type court struct {
	t    testing.TB
	keys *tokens.Keyring
	now  time.Time
	key  ed25519.PrivateKey // the peer's

	old, new statement
}

type statement struct {
	token  string
	data   []byte
	hashes []byte
	root   [32]byte
}

const (
	accused = wire.PeerID(0xa1)
	swarm   = "s-1"
)

var segment = integrity.ID("/seg.ts", 0, 0)

func newCourt(t testing.TB) *court {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	keys, err := tokens.NewKeyring(now)
	if err != nil {
		t.Fatal(err)
	}
	c := &court{t: t, keys: keys, now: now, key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
	c.old, c.new = c.state(keys, 1, now.Add(time.Hour)), c.state(keys, 2, now.Add(time.Hour))
	return c
}

// state has keys sign a statement about bytes.
func (c *court) state(keys *tokens.Keyring, fill byte, expires time.Time) statement {
	c.t.Helper()
	data := bytes.Repeat([]byte{fill}, 40_000)
	data[20_000]++ // no chunk is like another
	d, err := integrity.NewDigester(int64(len(data)))
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = d.Write(data)
	hashes, root, err := d.Sum()
	if err != nil {
		c.t.Fatal(err)
	}
	token, err := keys.SignSegment(tokens.Segment{Path: "/seg.ts", Size: int64(len(data)), ChunkSize: d.Layout().ChunkSize, Root: root, Expires: expires})
	if err != nil {
		c.t.Fatal(err)
	}
	return statement{token, data, hashes, root}
}

// pass is that of a peer of a swarm.
func (c *court) pass(keys *tokens.Keyring, peer wire.PeerID, of string, key ed25519.PrivateKey, expires time.Time) string {
	c.t.Helper()
	p := tokens.Pass{Peer: peer.String(), Swarm: of, Scope: []string{"/"}, Issued: expires.Add(-time.Hour), Expires: expires}
	if key != nil {
		p.Key = key.Public().(ed25519.PublicKey)
	}
	pass, err := keys.SignPass(p)
	if err != nil {
		c.t.Fatal(err)
	}
	return pass
}

// given is a complaint of the peer that gave chunk 0 of a statement with a hash.
func (c *court) given(s statement, hash []byte) *signal.Message {
	peer, seg := accused, segment
	return &signal.Message{Type: signal.Complain, Peer: &peer, Segment: &seg, Evidence: &signal.Evidence{
		Pass: c.pass(c.keys, accused, swarm, c.key, c.now.Add(time.Minute)), Token: s.token, Hashes: s.hashes, Hash: hash,
		Signature: ed25519.Sign(c.key, integrity.Given(swarm, segment, s.root, 0, hash)),
	}}
}

func wrongHash() []byte {
	sum := sha256.Sum256([]byte("wrong"))
	return sum[:]
}

func (c *court) convicts(m *signal.Message) bool {
	control := &Control{Config: Config{Now: func() time.Time { return c.now }, Keys: func() *tokens.Keyring { return c.keys }}}
	b := signal.Encode(m)
	decoded, err := signal.Decode(b)
	if err != nil {
		return false // it does not get so far
	}
	return Convicts(control, swarm, &decoded)
}

// TestEvidence: a wrong chunk with its signature convicts, of a statement that a newer one
// has replaced, too; and nothing that an accuser can make of what an honest peer signs.
func TestEvidence(t *testing.T) {
	c := newCourt(t)
	strangers, err := tokens.NewKeyring(c.now)
	if err != nil {
		t.Fatal(err)
	}
	mine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)) // the accuser's
	minute := c.now.Add(time.Minute)
	for _, tt := range []struct {
		name string
		make func() *signal.Message
		want bool
	}{
		{"a wrong chunk", func() *signal.Message { return c.given(c.new, wrongHash()) }, true},
		{"a wrong chunk of a statement that is replaced", func() *signal.Message { return c.given(c.old, wrongHash()) }, true},
		{"another chunk of the segment in its place", func() *signal.Message { return c.given(c.new, integrity.Hash(c.new.hashes, 1)) }, true},
		{"a chunk of another version, signed as of this one", func() *signal.Message { return c.given(c.new, integrity.Hash(c.old.hashes, 0)) }, true},
		{"with a pass that has just run out", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Pass = c.pass(c.keys, accused, swarm, c.key, c.now.Add(-time.Second))
			return m
		}, true},

		{"an honest chunk", func() *signal.Message { return c.given(c.new, integrity.Hash(c.new.hashes, 0)) }, false},
		{"an honest chunk of before, against the newer statement", func() *signal.Message {
			m := c.given(c.old, integrity.Hash(c.old.hashes, 0))
			m.Evidence.Token, m.Evidence.Hashes = c.new.token, c.new.hashes
			return m
		}, false},
		{"an honest chunk of before, with the newer hashes", func() *signal.Message {
			m := c.given(c.old, integrity.Hash(c.old.hashes, 0))
			m.Evidence.Hashes = c.new.hashes
			return m
		}, false},
		{"an honest chunk, by another index", func() *signal.Message {
			m := c.given(c.new, integrity.Hash(c.new.hashes, 0))
			m.Evidence.Index = 1
			return m
		}, false},
		{"an honest chunk, with another hash", func() *signal.Message {
			m := c.given(c.new, integrity.Hash(c.new.hashes, 0))
			m.Evidence.Hash = wrongHash()
			return m
		}, false},
		{"of another segment", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			other := integrity.ID("/other.ts", 0, 0)
			m.Segment = &other
			return m
		}, false},
		{"of another swarm", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Pass = c.pass(c.keys, accused, "s-2", c.key, minute)
			m.Evidence.Signature = ed25519.Sign(c.key, integrity.Given("s-2", segment, c.new.root, 0, wrongHash()))
			return m
		}, false},
		{"signed for another swarm", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Signature = ed25519.Sign(c.key, integrity.Given("s-2", segment, c.new.root, 0, wrongHash()))
			return m
		}, false},
		{"signed by the accuser", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Signature = ed25519.Sign(mine, integrity.Given(swarm, segment, c.new.root, 0, wrongHash()))
			return m
		}, false},
		{"signed by the accuser, with the accuser's pass", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Pass = c.pass(c.keys, 0xb2, swarm, mine, minute)
			m.Evidence.Signature = ed25519.Sign(mine, integrity.Given(swarm, segment, c.new.root, 0, wrongHash()))
			return m
		}, false},
		{"with a pass of another edge", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Pass = c.pass(strangers, accused, swarm, c.key, minute)
			return m
		}, false},
		{"with a pass that ran out long ago", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Pass = c.pass(c.keys, accused, swarm, c.key, c.now.Add(-time.Hour))
			return m
		}, false},
		{"with a pass without key", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Pass = c.pass(c.keys, accused, swarm, nil, minute)
			return m
		}, false},
		{"with a statement of another edge", func() *signal.Message { return c.given(c.state(strangers, 3, minute), wrongHash()) }, false},
		{"with a statement that expired long ago", func() *signal.Message { return c.given(c.state(c.keys, 3, c.now.Add(-time.Hour)), wrongHash()) }, false},
		{"with hashes of its own", func() *signal.Message {
			m := c.given(c.new, integrity.Hash(c.new.hashes, 0))
			m.Evidence.Hashes = bytes.Clone(m.Evidence.Hashes)
			m.Evidence.Hashes[0]++
			return m
		}, false},
		{"with one hash too few", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Hashes = m.Evidence.Hashes[32:]
			return m
		}, false},
		{"with an index beyond the chunks", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence.Index = 63
			return m
		}, false},
		{"without segment", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Segment = nil
			return m
		}, false},
		{"none", func() *signal.Message {
			m := c.given(c.new, wrongHash())
			m.Evidence = nil
			return m
		}, false},
	} {
		if got := c.convicts(tt.make()); got != tt.want {
			t.Errorf("%s: convicts is %v", tt.name, got)
		}
	}
}

// FuzzConvicts: whatever an accuser makes of what an honest peer has signed convicts
// nobody.
func FuzzConvicts(f *testing.F) {
	c := newCourt(f)
	for _, s := range []statement{c.old, c.new} {
		for _, hash := range [][]byte{wrongHash(), integrity.Hash(s.hashes, 0), integrity.Hash(s.hashes, 2)} {
			e := c.given(s, hash).Evidence
			f.Add(uint64(segment), e.Token, e.Hashes, e.Index, hash)
		}
	}
	var signed [][]byte
	for _, s := range []statement{c.old, c.new} {
		for i := range len(s.hashes) / 32 {
			signed = append(signed, ed25519.Sign(c.key, integrity.Given(swarm, segment, s.root, i, integrity.Hash(s.hashes, i))))
		}
	}
	pass := c.pass(c.keys, accused, swarm, c.key, c.now.Add(time.Minute))
	f.Fuzz(func(t *testing.T, seg uint64, token string, hashes []byte, index int, hash []byte) {
		peer, id := accused, wire.SegmentID(seg)
		for _, b := range signed {
			m := &signal.Message{Type: signal.Complain, Peer: &peer, Segment: &id, Evidence: &signal.Evidence{
				Pass: pass, Token: token, Hashes: hashes, Index: index, Hash: hash, Signature: b}}
			if c.convicts(m) {
				t.Fatalf("%+v convicts an honest peer", m.Evidence)
			}
		}
	})
}
