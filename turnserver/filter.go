package turnserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The packet filter stands in front of pion: every datagram and every frame of a
// stream is read by message.parse, and only what it accepts goes on. pion's own
// parser panics on some messages (CVE-2026-54909) and is lenient about others
// (attributes behind MESSAGE-INTEGRITY, sizes, doubles); here nothing is lenient.
//
// The table says what each attribute that the server knows must look like.
//
//	attribute                  size           where
//	USERNAME                   1-508          requests
//	REALM, NONCE               1-763          requests
//	MESSAGE-INTEGRITY          20             requests; only FINGERPRINT may follow
//	FINGERPRINT                4              last; the CRC must be right
//	CHANNEL-NUMBER             4              ChannelBind
//	LIFETIME                   4
//	XOR-PEER-ADDRESS           8 or 20        once; up to 16 times in CreatePermission
//	DATA                       any            Send
//	REQUESTED-TRANSPORT        4              Allocate
//	REQUESTED-ADDRESS-FAMILY   4, 1 or 2
//	ADDITIONAL-ADDRESS-FAMILY  4, 2
//	EVEN-PORT                  1
//	RESERVATION-TOKEN          8
//	DONT-FRAGMENT              0              as if unknown
//	others below 0x8000        any            the request is answered 420
//	others                     any            passed over
type message struct {
	raw []byte

	isChannelData bool
	channel       uint16 // ChannelData's, or CHANNEL-NUMBER's
	payload       []byte // ChannelData's, or DATA's

	class  class
	method method
	txid   [12]byte

	username, realm, nonce []byte
	integrity              int // offset of MESSAGE-INTEGRITY in raw, 0 if there is none
	peers                  []netip.AddrPort
	lifetime               uint32
	transport              byte
	family                 byte   // 0 if not asked for
	token                  string // RESERVATION-TOKEN
	reserveNext            bool   // EVEN-PORT asks for the port above, too
	unknown                []uint16
	has                    attrSet
}

// attrSet is the set of known attributes that a message carries.
type attrSet uint32

const (
	hasUsername attrSet = 1 << iota
	hasRealm
	hasNonce
	hasIntegrity
	hasFingerprint
	hasChannel
	hasLifetime
	hasPeer
	hasData
	hasTransport
	hasFamily
	hasAdditionalFamily
	hasEvenPort
	hasReservation
	hasDontFragment
)

func (s attrSet) all(want attrSet) bool { return s&want == want }

// parse reads one datagram, or one frame of a stream, into m, whose slices then
// point into b. It returns dropNone, or the reason why b must go no further.
func (m *message) parse(b []byte) Drop {
	if len(b) < channelHeader {
		return DropMalformed
	}
	switch b[0] >> 6 {
	case 0:
		return m.parseSTUN(b)
	case 1:
		return m.parseChannelData(b)
	}
	return DropForeign
}

func (m *message) parseChannelData(b []byte) Drop {
	size := int(binary.BigEndian.Uint16(b[2:4]))
	rest := len(b) - channelHeader - size
	if rest < 0 || rest > 3 {
		return DropMalformed
	}
	m.raw = b
	m.isChannelData = true
	m.channel = binary.BigEndian.Uint16(b)
	m.payload = b[channelHeader : channelHeader+size]
	return dropNone
}

func (m *message) parseSTUN(b []byte) Drop {
	if len(b) < stunHeader || binary.BigEndian.Uint32(b[4:8]) != magicCookie {
		return DropForeign
	}
	size := int(binary.BigEndian.Uint16(b[2:4]))
	if size%4 != 0 || size != len(b)-stunHeader {
		return DropMalformed
	}
	*m = message{raw: b, peers: m.peers[:0], unknown: m.unknown[:0]}
	m.class, m.method = splitType(binary.BigEndian.Uint16(b))
	copy(m.txid[:], b[8:20])

	for i, n := stunHeader, 0; i < len(b); n++ {
		if n == maxAttributes || len(b)-i < 4 {
			return DropMalformed
		}
		typ, size := binary.BigEndian.Uint16(b[i:]), int(binary.BigEndian.Uint16(b[i+2:]))
		next := i + 4 + (size+3)&^3
		if next > len(b) || m.has&hasFingerprint != 0 || m.has&hasIntegrity != 0 && typ != attrFingerprint {
			return DropMalformed
		}
		if !m.attribute(typ, b[i+4:i+4+size], i) {
			return DropMalformed
		}
		i = next
	}
	return m.check()
}

// attribute takes in one attribute, which begins at offset at of the message, and
// reports whether it is as it should be.
func (m *message) attribute(typ uint16, v []byte, at int) bool {
	one := func(bit attrSet, sizeOK bool) bool {
		doubled := m.has&bit != 0
		m.has |= bit
		return sizeOK && !doubled
	}
	size := len(v)
	switch typ {
	case attrUsername:
		m.username = v
		return one(hasUsername, size > 0 && size < 509)
	case attrRealm:
		m.realm = v
		return one(hasRealm, size > 0 && size <= maxTextAttr)
	case attrNonce:
		m.nonce = v
		return one(hasNonce, size > 0 && size <= maxTextAttr)
	case attrIntegrity:
		m.integrity = at
		return one(hasIntegrity, size == integritySize)
	case attrFingerprint:
		return one(hasFingerprint, size == 4) &&
			binary.BigEndian.Uint32(v) == crc32.ChecksumIEEE(m.raw[:at])^fingerprintXOR
	case attrChannelNumber:
		if !one(hasChannel, size == 4) {
			return false
		}
		m.channel = binary.BigEndian.Uint16(v)
		return true
	case attrLifetime:
		if !one(hasLifetime, size == 4) {
			return false
		}
		m.lifetime = binary.BigEndian.Uint32(v)
		return true
	case attrXORPeerAddress:
		peer, ok := xorAddress(v, m.txid)
		if !ok || len(m.peers) == maxPeersPerCall || len(m.peers) > 0 && m.method != methodCreatePermission {
			return false
		}
		m.peers = append(m.peers, peer)
		m.has |= hasPeer
		return true
	case attrData:
		m.payload = v
		return one(hasData, true)
	case attrTransport:
		if !one(hasTransport, size == 4) {
			return false
		}
		m.transport = v[0]
		return true
	case attrFamily:
		if !one(hasFamily, size == 4 && (v[0] == familyIPv4 || v[0] == familyIPv6)) {
			return false
		}
		m.family = v[0]
		return true
	case attrAdditionalFamily:
		return one(hasAdditionalFamily, size == 4 && v[0] == familyIPv6)
	case attrEvenPort:
		if !one(hasEvenPort, size == 1) {
			return false
		}
		m.reserveNext = v[0]&0x80 != 0
		return true
	case attrReservationToken:
		m.token = string(v)
		return one(hasReservation, size == 8)
	case attrDontFragment:
		return one(hasDontFragment, size == 0)
	}
	if typ < 0x8000 {
		m.unknown = append(m.unknown, typ)
	}
	return true
}

// check looks at the message as a whole.
func (m *message) check() Drop {
	switch m.class {
	case classRequest:
		switch m.method {
		case methodBinding, methodAllocate, methodRefresh, methodCreatePermission, methodChannelBind:
		default:
			return DropMethod // RFC 6062's Connect and ConnectionBind are among these
		}
		if m.has&hasIntegrity != 0 && m.method != methodBinding &&
			!m.has.all(hasUsername|hasRealm|hasNonce) {
			return DropMalformed
		}
		if m.has&hasDontFragment != 0 {
			m.unknown = append(m.unknown, attrDontFragment) // the server cannot promise it
		}
		return dropNone
	case classIndication:
		switch {
		case m.method == methodBinding:
			return DropKeepalive
		case m.method != methodSend:
			return DropMethod
		case !m.has.all(hasPeer|hasData) || m.has&hasDontFragment != 0 || len(m.unknown) > 0:
			return DropMalformed
		}
		return dropNone
	}
	return DropMethod
}

// deletes reports whether the message is a Refresh that ends its allocation.
func (m *message) deletes() bool {
	return m.method == methodRefresh && m.has&hasLifetime != 0 && m.lifetime == 0
}

// signedBy reports whether MESSAGE-INTEGRITY was made with key.
func (m *message) signedBy(key []byte) bool {
	if m.has&hasIntegrity == 0 {
		return false
	}
	var head [4]byte
	copy(head[:2], m.raw)
	binary.BigEndian.PutUint16(head[2:], uint16(m.integrity+4+integritySize-stunHeader))
	mac := hmac.New(sha1.New, key)
	mac.Write(head[:])
	mac.Write(m.raw[4:m.integrity])
	var sum [sha1.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), m.raw[m.integrity+4:m.integrity+4+integritySize])
}
