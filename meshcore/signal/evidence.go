package signal

import (
	"fmt"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Evidence shows that a peer gave a wrong chunk: it holds all that an edge needs to check
// that by itself.
type Evidence struct {
	// Pass is that of the peer, with the key that it signs with.
	Pass string `json:"pass"`
	// Token is the segment token, and Hashes are the chunk hashes, 32 bytes each (base64
	// in JSON), of the statement that the chunk was given for.
	Token  string `json:"token"`
	Hashes []byte `json:"hashes"`
	// Index is the chunk's, Hash the SHA-256 of what came, and Signature the peer's over
	// integrity.Given of them.
	Index     int    `json:"index"`
	Hash      []byte `json:"hash"`
	Signature []byte `json:"signature"`
}

func (e *Evidence) check() error {
	chunks := len(e.Hashes) / 32
	switch {
	case e.Pass == "" || len(e.Pass) > MaxPass:
		return fmt.Errorf("%w: the evidence's pass has %d bytes, 1 to %d are allowed", ErrField, len(e.Pass), MaxPass)
	case e.Token == "" || len(e.Token) > wire.MaxToken:
		return fmt.Errorf("%w: the evidence's token has %d bytes, 1 to %d are allowed", ErrField, len(e.Token), wire.MaxToken)
	case len(e.Hashes)%32 != 0 || chunks < 1 || chunks > wire.MaxChunks:
		return fmt.Errorf("%w: the evidence's hashes have %d bytes, want 32 for each of 1 to %d chunks", ErrField, len(e.Hashes), wire.MaxChunks)
	case e.Index < 0 || e.Index >= chunks:
		return fmt.Errorf("%w: the evidence's index is %d, of %d chunks", ErrField, e.Index, chunks)
	case len(e.Hash) != 32:
		return fmt.Errorf("%w: the evidence's hash has %d bytes, want 32", ErrField, len(e.Hash))
	case len(e.Signature) != wire.SignatureSize:
		return fmt.Errorf("%w: the evidence's signature has %d bytes, want %d", ErrField, len(e.Signature), wire.SignatureSize)
	}
	return nil
}
