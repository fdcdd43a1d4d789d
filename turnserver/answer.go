package turnserver

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// bindingAnswer is the answer to a Binding request of client.
func bindingAnswer(m *message, client netip.AddrPort) []byte {
	var v [20]byte
	n := putXORAddress(v[:], client, m.txid)
	b := appendHeader(make([]byte, 0, 64), classSuccess, methodBinding, m.txid)
	b = appendAttr(b, attrXORMapped, v[:n])
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+8-stunHeader))
	return appendAttr(b, attrFingerprint, binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)^fingerprintXOR))
}

// errorAnswer is the error response to m. unknown goes with 420 alone.
func errorAnswer(m *message, code int, p proof) []byte {
	b := appendError(m, code)
	if code == codeUnknownAttr {
		list := make([]byte, 0, 2*len(m.unknown))
		for _, t := range m.unknown {
			list = binary.BigEndian.AppendUint16(list, t)
		}
		b = appendAttr(b, attrUnknown, list)
	}
	return p.sign(b)
}

func appendError(m *message, code int) []byte {
	b := appendHeader(make([]byte, 0, 256), classError, m.method, m.txid)
	return appendAttr(b, attrErrorCode, append([]byte{0, 0, byte(code / 100), byte(code % 100)}, reasons[code]...))
}

// challenge is an error response that tells the client with what to ask again: RFC
// 8489, section 9.2.4.
func challenge(m *message, code int, realm string, nonce []byte) []byte {
	b := appendAttr(appendError(m, code), attrNonce, nonce)
	b = appendAttr(b, attrRealm, []byte(realm))
	return appendAttr(b, attrAlgorithms, algorithms)
}

// allocated is the success response to the Allocate m, which has made a, or made it
// before: RFC 8656, section 7.2.
func allocated(m *message, a *allocation, p proof) []byte {
	b := appendHeader(make([]byte, 0, 256), classSuccess, m.method, m.txid)
	var v [20]byte
	for one := a; one != nil; one = one.second.Load() {
		b = appendAttr(b, attrXORRelayed, v[:putXORAddress(v[:], one.addr, m.txid)])
	}
	b = appendAttr(b, attrLifetime, binary.BigEndian.AppendUint32(nil, a.granted))
	if a.token != "" {
		b = appendAttr(b, attrReservationToken, []byte(a.token))
	}
	if a.secondCode != 0 {
		b = appendAttr(b, attrAddressError, append([]byte{familyIPv6, 0, byte(a.secondCode / 100), byte(a.secondCode % 100)},
			reasons[a.secondCode]...))
	}
	b = appendAttr(b, attrXORMapped, v[:putXORAddress(v[:], a.client.addr, m.txid)])
	return p.sign(b)
}

// refreshed is the success response to the Refresh m.
func refreshed(m *message, seconds uint32, p proof) []byte {
	b := appendHeader(make([]byte, 0, 96), classSuccess, m.method, m.txid)
	return p.sign(appendAttr(b, attrLifetime, binary.BigEndian.AppendUint32(nil, seconds)))
}

// done is the success response to a CreatePermission or ChannelBind.
func done(m *message, p proof) []byte {
	return p.sign(appendHeader(make([]byte, 0, 64), classSuccess, m.method, m.txid))
}
