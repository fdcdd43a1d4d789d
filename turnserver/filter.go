package turnserver

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The packet filter stands in front of everything else: every datagram and every
// frame of a stream is read by message.parse. What cannot be parsed, or may not be
// answered, is dropped here; pion, whose own parser panics on some messages
// (CVE-2026-54909), only ever sees requests that this server has written itself
// (request.go).
//
// The table says what each attribute that the server knows must look like. A request
// with one that does not is answered 400, once its credentials are found good; an
// indication is dropped. The first of several of one type counts, and what follows
// MESSAGE-INTEGRITY does not (RFC 8489, section 14), but for the two that may.
//
//	attribute                  size           where
//	USERNAME                   1-508          requests
//	USERHASH                   32             requests, for USERNAME
//	REALM, NONCE               1-763          requests
//	PASSWORD-ALGORITHM         4 and more     requests
//	PASSWORD-ALGORITHMS        any            requests
//	MESSAGE-INTEGRITY          20             requests
//	MESSAGE-INTEGRITY-SHA256   32             requests
//	FINGERPRINT                4              last; where the CRC is wrong, the message is dropped
//	CHANNEL-NUMBER             4              ChannelBind
//	LIFETIME                   4
//	XOR-PEER-ADDRESS           8 or 20        any number in CreatePermission
//	DATA                       any            Send
//	REQUESTED-TRANSPORT        4              Allocate
//	REQUESTED-ADDRESS-FAMILY   4              another family than 1 or 2: 440
//	ADDITIONAL-ADDRESS-FAMILY  4, 2           Allocate
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

	username, userhash, realm, nonce []byte
	algorithm, algorithms            []byte // values of PASSWORD-ALGORITHM(S)
	integrity, integrity256          int    // offset of the attribute in raw, 0 if there is none
	peers                            []netip.AddrPort
	lifetime                         uint32
	transport                        byte
	family                           byte   // 0 if not asked for
	token                            string // RESERVATION-TOKEN
	reserveNext                      bool   // EVEN-PORT asks for the port above, too
	unknown                          []uint16
	has                              attrSet
	wrong                            bool // a known attribute is not as it must be
	unproven                         bool // credentials are there, but not whole: nobody can be authenticated
}

// attrSet is the set of known attributes that a message carries.
type attrSet uint32

const (
	hasUsername attrSet = 1 << iota
	hasUserhash
	hasRealm
	hasNonce
	hasAlgorithm
	hasAlgorithms
	hasIntegrity
	hasIntegrity256
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

// signed reports whether the message shows credentials.
func (m *message) signed() bool { return m.has&(hasIntegrity|hasIntegrity256) != 0 }

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

	for i := stunHeader; i < len(b); {
		if len(b)-i < 4 || m.has&hasFingerprint != 0 {
			return DropMalformed
		}
		typ, size := binary.BigEndian.Uint16(b[i:]), int(binary.BigEndian.Uint16(b[i+2:]))
		next := i + 4 + (size+3)&^3
		if next > len(b) {
			return DropMalformed
		}
		v := b[i+4 : i+4+size]
		switch {
		case typ == attrFingerprint:
			if size != 4 || binary.BigEndian.Uint32(v) != crc32.ChecksumIEEE(b[:i])^fingerprintXOR {
				return DropMalformed
			}
			m.has |= hasFingerprint
		case m.has&hasIntegrity256 != 0, m.has&hasIntegrity != 0 && typ != attrIntegrity256:
			// not protected, so not looked at
		case !m.attribute(typ, v, i):
			m.wrong = true
		}
		i = next
	}
	return m.check()
}

// attribute takes in one attribute, which begins at offset at of the message, and
// reports whether it is as it must be.
func (m *message) attribute(typ uint16, v []byte, at int) bool {
	bit, ok := m.sized(typ, len(v))
	switch {
	case bit == 0:
		if typ < 0x8000 {
			m.unknown = append(m.unknown, typ)
		}
		return true
	case m.has&bit != 0 && bit != hasPeer, bit == hasPeer && len(m.peers) > 0 && m.method != methodCreatePermission:
		return true // the first counts
	case !ok:
		m.unproven = m.unproven || typ == attrIntegrity || typ == attrIntegrity256
		return false
	}
	m.has |= bit
	switch typ {
	case attrUsername:
		m.username = v
	case attrUserhash:
		m.userhash = v
	case attrRealm:
		m.realm = v
	case attrNonce:
		m.nonce = v
	case attrAlgorithm:
		m.algorithm = v
	case attrAlgorithms:
		m.algorithms = v
	case attrIntegrity:
		m.integrity = at
	case attrIntegrity256:
		m.integrity256 = at
	case attrChannelNumber:
		m.channel = binary.BigEndian.Uint16(v)
	case attrLifetime:
		m.lifetime = binary.BigEndian.Uint32(v)
	case attrXORPeerAddress:
		peer, ok := xorAddress(v, m.txid)
		if !ok {
			return false
		}
		m.peers = append(m.peers, peer)
	case attrData:
		m.payload = v
	case attrTransport:
		m.transport = v[0]
	case attrFamily:
		m.family = v[0]
	case attrAdditionalFamily:
		return v[0] == familyIPv6 // RFC 8656, section 7.2: for IPv4 there is REQUESTED-ADDRESS-FAMILY
	case attrEvenPort:
		m.reserveNext = v[0]&0x80 != 0
	case attrReservationToken:
		m.token = string(v)
	}
	return true
}

// sized returns the bit of a known attribute and whether its size can be right.
func (m *message) sized(typ uint16, size int) (bit attrSet, ok bool) {
	switch typ {
	case attrUsername:
		return hasUsername, size > 0 && size < 509
	case attrUserhash:
		return hasUserhash, size == 32
	case attrRealm:
		return hasRealm, size > 0 && size <= maxTextAttr
	case attrNonce:
		return hasNonce, size > 0 && size <= maxTextAttr
	case attrAlgorithm:
		return hasAlgorithm, size >= 4
	case attrAlgorithms:
		return hasAlgorithms, true
	case attrIntegrity:
		return hasIntegrity, size == integritySize
	case attrIntegrity256:
		return hasIntegrity256, size == integrity256Size
	case attrChannelNumber:
		return hasChannel, size == 4
	case attrLifetime:
		return hasLifetime, size == 4
	case attrXORPeerAddress:
		return hasPeer, size == 8 || size == 20
	case attrData:
		return hasData, true
	case attrTransport:
		return hasTransport, size == 4
	case attrFamily:
		return hasFamily, size == 4
	case attrAdditionalFamily:
		return hasAdditionalFamily, size == 4
	case attrEvenPort:
		return hasEvenPort, size == 1
	case attrReservationToken:
		return hasReservation, size == 8
	case attrDontFragment:
		return hasDontFragment, size == 0
	}
	return 0, true
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
		if m.signed() && (!m.has.all(hasRealm|hasNonce) || m.has&(hasUsername|hasUserhash) == 0) {
			m.unproven = true
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
		case m.wrong, !m.has.all(hasPeer | hasData), m.has&hasDontFragment != 0, len(m.unknown) > 0:
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
