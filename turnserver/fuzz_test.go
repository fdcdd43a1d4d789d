package turnserver

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/stun"
)

// FuzzFilter sends what the fuzzer finds to a server with an allocation: as it is,
// and as the attributes of properly signed requests, so that pion's handlers come to
// read whatever the filter lets through. A panic in pion ends the process; besides,
// the filter and pion must agree on what a message says. Inputs that were worth
// keeping are in testdata/fuzz/FuzzFilter. To look for more:
//
//	go test ./turnserver -run '^$' -fuzz FuzzFilter -fuzztime 10m
func FuzzFilter(f *testing.F) {
	f.Add(crashPacket())
	for i, b := range neighbors() {
		if i%97 == 0 {
			f.Add(b)
		}
	}
	peer4 := []byte{0, 1, 0x12, 0x34, 1, 2, 3, 4}
	f.Add(appendAttr(appendAttr(appendHeader(nil, classIndication, methodSend, [12]byte{}), attrXORPeerAddress, peer4), attrData, []byte("x")))
	f.Add(appendAttr(appendAttr(appendHeader(nil, classRequest, methodChannelBind, [12]byte{}), attrXORPeerAddress, peer4), attrChannelNumber, []byte{0x40, 0, 0, 0}))
	f.Add(appendAttr(appendHeader(nil, classRequest, methodAllocate, [12]byte{}), attrEvenPort, []byte{0x80}))
	f.Add(appendAttr(appendHeader(nil, classRequest, methodRefresh, [12]byte{}), attrLifetime, []byte{0, 0, 0, 1}))

	s := start(f, nil)
	c := newRawClient(f, UDP, listen(f, s, UDP), "fuzzer")
	c.allocate()

	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1400 {
			return
		}
		c.t = t
		c.send(b)
		checkAgainstPion(t, b)
		if len(b) >= stunHeader {
			// The fuzzer seldom makes the cookie and the length right.
			whole := append([]byte{b[0] & 0x3f}, b[1:len(b)&^3]...)
			binary.BigEndian.PutUint16(whole[2:], uint16(len(whole)-stunHeader))
			binary.BigEndian.PutUint32(whole[4:], magicCookie)
			c.send(whole)
			checkAgainstPion(t, whole)

			m := &stun.Message{Raw: whole}
			if m.Decode() == nil {
				var attrs []stun.Setter
				for _, a := range m.Attributes {
					switch a.Type {
					case stun.AttrUsername, stun.AttrRealm, stun.AttrNonce, stun.AttrMessageIntegrity, stun.AttrFingerprint:
					default:
						attrs = append(attrs, a)
					}
				}
				for _, method := range []stun.Method{stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind} {
					c.send(c.build(method, attrs...).Raw)
				}
			}
		}
		// The server has worked on all of it when it answers this.
		ping := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		c.send(ping.Raw)
		for {
			answer := c.receive(5 * time.Second)
			if answer == nil {
				t.Fatal("the server has stopped answering")
			}
			if string(answer[8:20]) == string(ping.TransactionID[:]) {
				return
			}
		}
	})
}

// checkAgainstPion compares the filter's reading of a message with pion's.
func checkAgainstPion(t *testing.T, b []byte) {
	t.Helper()
	var m message
	if m.parse(b) != dropNone || m.isChannelData {
		return
	}
	p := &stun.Message{Raw: append([]byte{}, b...)}
	if err := p.Decode(); err != nil {
		t.Fatalf("the filter accepts what pion cannot read: %v", err)
	}
	if p.Type.Value() != messageType(m.class, m.method) || p.TransactionID != m.txid {
		t.Fatalf("type %v, transaction %x read as class %d, method %#x, transaction %x", p.Type, p.TransactionID, m.class, m.method, m.txid)
	}
	if m.wrong {
		return // answered 400, and looked at no further
	}
	var i int
	_ = p.ForEach(stun.AttrXORPeerAddress, func(p *stun.Message) error {
		if i == len(m.peers) {
			return nil // not the first, or behind MESSAGE-INTEGRITY
		}
		var addr stun.XORMappedAddress
		if err := addr.GetFromAs(p, stun.AttrXORPeerAddress); err != nil {
			t.Fatalf("the filter accepts a peer address that pion does not: %v", err)
		}
		if got := m.peers[i]; !addr.IP.Equal(got.Addr().AsSlice()) || addr.Port != int(got.Port()) {
			t.Fatalf("peer %v read as %v", addr, got)
		}
		i++
		return nil
	})
	if m.has&hasIntegrity != 0 {
		if got, want := (proof{key: []byte("key")}).proves(&m), stun.MessageIntegrity("key").Check(p) == nil; got != want {
			t.Fatalf("the filter finds MESSAGE-INTEGRITY good: %v, pion: %v", got, want)
		}
	}
}
