package integrity

import (
	"encoding/binary"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// given begins what peers sign, so that a signature is good for nothing else.
const given = "mesh chunk given\n"

// Given is what a peer signs with each chunk that it gives: that in a swarm it gave bytes
// with a SHA-256 hash as chunk i of the segment whose statement has the root. The peer
// takes the hash from the proof that it has checked the chunk against, so that its
// signature can never be held against it: whoever shows one of another hash than the
// statement says for that chunk shows that the signer gave a wrong chunk.
//
//	"mesh chunk given\n", segment u64, root 32 bytes, index u8, hash 32 bytes, swarm (the rest)
func Given(swarm string, segment wire.SegmentID, root [HashSize]byte, i int, hash []byte) []byte {
	b := make([]byte, 0, len(given)+8+2*HashSize+1+len(swarm))
	b = append(b, given...)
	b = binary.BigEndian.AppendUint64(b, uint64(segment))
	b = append(b, root[:]...)
	b = append(b, byte(i))
	b = append(b, hash...)
	return append(b, swarm...)
}

// Hash returns the hash of chunk i out of hashes.
func Hash(hashes []byte, i int) []byte { return hashes[i*HashSize : (i+1)*HashSize] }
