package turnserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// proof is how a request proves who sent it, and how its answer is signed: RFC 8489,
// sections 14.5 and 14.6.
type proof struct {
	key    []byte // nil while the request is not authenticated
	sha256 bool   // MESSAGE-INTEGRITY-SHA256
}

func (p proof) mac() hash.Hash {
	if p.sha256 {
		return hmac.New(sha256.New, p.key)
	}
	return hmac.New(sha1.New, p.key)
}

// sign appends the integrity attribute to the message b; without a key it does not.
func (p proof) sign(b []byte) []byte {
	if p.key == nil {
		return b
	}
	typ, size := uint16(attrIntegrity), integritySize
	if p.sha256 {
		typ, size = attrIntegrity256, integrity256Size
	}
	binary.BigEndian.PutUint16(b[2:4], uint16(len(b)+4+size-stunHeader))
	mac := p.mac()
	mac.Write(b)
	return appendAttr(b, typ, mac.Sum(nil))
}

// proves reports whether m was signed with p's key. Of both kinds of integrity,
// the stronger must be right.
func (p proof) proves(m *message) bool {
	at, size := m.integrity, integritySize
	if p.sha256 {
		at, size = m.integrity256, integrity256Size
	}
	if at == 0 {
		return false
	}
	var head [4]byte
	copy(head[:2], m.raw)
	binary.BigEndian.PutUint16(head[2:], uint16(at+4+size-stunHeader))
	mac := p.mac()
	mac.Write(head[:])
	mac.Write(m.raw[4:at])
	var sum [sha256.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), m.raw[at+4:at+4+size])
}
