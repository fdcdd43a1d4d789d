package turnserver

import (
	"encoding/binary"
	"net/netip"
)

// The parts of STUN and TURN that the server reads and writes itself.

const (
	magicCookie      = 0x2112A442
	stunHeader       = 20
	channelHeader    = 4
	minChannel       = 0x4000
	maxChannel       = 0x7FFF // RFC 8656 keeps 0x5000 up for itself; RFC 5766 clients use them
	integritySize    = 20
	integrity256Size = 32
	maxTextAttr      = 763 // USERNAME, REALM, NONCE, SOFTWARE: RFC 8489, section 14
)

// class is a STUN message class, method a STUN method: RFC 8489, section 5.
type (
	class  uint8
	method uint16
)

const (
	classRequest    class = 0
	classIndication class = 1
	classSuccess    class = 2
	classError      class = 3
)

const (
	methodBinding          method = 0x001
	methodAllocate         method = 0x003
	methodRefresh          method = 0x004
	methodSend             method = 0x006
	methodData             method = 0x007
	methodCreatePermission method = 0x008
	methodChannelBind      method = 0x009
)

// messageType packs class and method as they are on the wire.
func messageType(c class, m method) uint16 {
	return uint16(m&0xF80)<<2 | uint16(m&0x70)<<1 | uint16(m&0xF) | uint16(c&2)<<7 | uint16(c&1)<<4
}

func splitType(t uint16) (class, method) {
	return class(t>>7&2 | t>>4&1), method(t>>2&0xF80 | t>>1&0x70 | t&0xF)
}

// Attributes: RFC 8489, section 14, and RFC 8656, section 18.
const (
	attrUsername         = 0x0006
	attrIntegrity        = 0x0008
	attrErrorCode        = 0x0009
	attrUnknown          = 0x000A
	attrChannelNumber    = 0x000C
	attrLifetime         = 0x000D
	attrXORPeerAddress   = 0x0012
	attrData             = 0x0013
	attrRealm            = 0x0014
	attrNonce            = 0x0015
	attrXORRelayed       = 0x0016
	attrFamily           = 0x0017
	attrEvenPort         = 0x0018
	attrTransport        = 0x0019
	attrDontFragment     = 0x001A
	attrIntegrity256     = 0x001C
	attrAlgorithm        = 0x001D
	attrUserhash         = 0x001E
	attrXORMapped        = 0x0020
	attrReservationToken = 0x0022
	attrAdditionalFamily = 0x8000
	attrAddressError     = 0x8001
	attrAlgorithms       = 0x8002
	attrFingerprint      = 0x8028
)

const (
	familyIPv4   = 1
	familyIPv6   = 2
	transportUDP = 17
)

// The error codes that the server answers with, and their reason phrases.
const (
	codeBadRequest   = 400
	codeUnauthorized = 401
	codeForbidden    = 403
	codeUnknownAttr  = 420
	codeMismatch     = 437
	codeStaleNonce   = 438
	codeFamily       = 440
	codeWrongUser    = 441
	codeTransport    = 442
	codePeerFamily   = 443
	codeQuota        = 486
	codeInsufficient = 508
	fingerprintXOR   = 0x5354554e
)

var reasons = map[int]string{
	codeBadRequest:   "Bad Request",
	codeUnauthorized: "Unauthorized",
	codeForbidden:    "Forbidden",
	codeUnknownAttr:  "Unknown Attribute",
	codeMismatch:     "Allocation Mismatch",
	codeStaleNonce:   "Stale Nonce",
	codeFamily:       "Address Family not Supported",
	codeWrongUser:    "Wrong Credentials",
	codeTransport:    "Unsupported Transport Protocol",
	codePeerFamily:   "Peer Address Family Mismatch",
	codeQuota:        "Allocation Quota Reached",
	codeInsufficient: "Insufficient Capacity",
}

// appendHeader appends a STUN header with length 0.
func appendHeader(b []byte, c class, m method, txid [12]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, messageType(c, m))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, magicCookie)
	return append(b, txid[:]...)
}

// appendAttr appends one attribute, padded, to the message b and corrects b's length.
func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[2:4], uint16(len(b)-stunHeader))
	return b
}

// findAttr returns the value of the first attribute of a type in a message that is
// known to be well formed, or nil.
func findAttr(b []byte, typ uint16) []byte {
	for i := stunHeader; i+4 <= len(b); {
		size := int(binary.BigEndian.Uint16(b[i+2:]))
		if i+4+size > len(b) {
			break
		}
		if binary.BigEndian.Uint16(b[i:]) == typ {
			return b[i+4 : i+4+size]
		}
		i += 4 + (size+3)&^3
	}
	return nil
}

// xorAddress reads the value of an XOR-…-ADDRESS attribute: RFC 8489, section 14.2.
func xorAddress(v []byte, txid [12]byte) (netip.AddrPort, bool) {
	if len(v) < 8 || v[0] != 0 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(v[2:4]) ^ magicCookie>>16
	switch {
	case v[1] == familyIPv4 && len(v) == 8:
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(v[4:8])^magicCookie)
		return netip.AddrPortFrom(netip.AddrFrom4(a), port), true
	case v[1] == familyIPv6 && len(v) == 20:
		var a [16]byte
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(v[4:8])^magicCookie)
		for i := range txid {
			a[4+i] = v[8+i] ^ txid[i]
		}
		return netip.AddrPortFrom(netip.AddrFrom16(a), port), true
	}
	return netip.AddrPort{}, false
}

// putXORAddress writes addr as the value of an XOR-…-ADDRESS attribute into v, which
// has room for 20 bytes, and returns how many it took: 8 or 20.
func putXORAddress(v []byte, addr netip.AddrPort, txid [12]byte) int {
	v[0] = 0
	binary.BigEndian.PutUint16(v[2:4], addr.Port()^magicCookie>>16)
	if ip := addr.Addr(); ip.Is4() {
		a := ip.As4()
		v[1] = familyIPv4
		binary.BigEndian.PutUint32(v[4:8], binary.BigEndian.Uint32(a[:])^magicCookie)
		return 8
	}
	a := addr.Addr().As16()
	v[1] = familyIPv6
	binary.BigEndian.PutUint32(v[4:8], binary.BigEndian.Uint32(a[:4])^magicCookie)
	for i := range txid {
		v[8+i] = a[4+i] ^ txid[i]
	}
	return 20
}

// frameSize tells how many bytes of a stream the frame takes that begins with b,
// which has at least 4 bytes: RFC 8656, section 12.5, pads ChannelData to four.
// ok is false where b begins neither ChannelData nor STUN.
func frameSize(b []byte) (n int, ok bool) {
	size := int(binary.BigEndian.Uint16(b[2:4]))
	switch b[0] >> 6 {
	case 0:
		return stunHeader + size, size%4 == 0
	case 1:
		return channelHeader + (size+3)&^3, true
	}
	return 0, false
}
