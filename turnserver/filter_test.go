package turnserver

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/pion/stun"
)

// crashPacket is the datagram of CVE-2026-54909: a Send indication with DATA and an
// empty XOR-PEER-ADDRESS, 32 bytes in all, at which stun v0.6.1 panics.
func crashPacket() []byte {
	b := appendHeader(nil, classIndication, methodSend, [12]byte{})
	b = appendAttr(b, attrData, []byte("data"))
	return appendAttr(b, attrXORPeerAddress, nil)
}

// neighbors are messages like the crash packet: every attribute with every size from
// 0 to 21, in every kind of message, and such with lengths that lie.
func neighbors() [][]byte {
	var all [][]byte
	add := func(b []byte) { all = append(all, b) }
	add(crashPacket())
	for _, m := range []method{methodSend, methodAllocate, methodRefresh, methodCreatePermission, methodChannelBind, methodBinding} {
		for _, c := range []class{classRequest, classIndication, classSuccess, classError} {
			for _, typ := range []uint16{attrUsername, attrIntegrity, attrErrorCode, attrUnknown, attrChannelNumber, attrLifetime,
				attrXORPeerAddress, attrData, attrRealm, attrNonce, attrXORRelayed, attrFamily, attrEvenPort, attrTransport,
				attrDontFragment, attrXORMapped, attrReservationToken, 0x8020, attrFingerprint} {
				for size := range 22 {
					b := appendHeader(nil, c, m, [12]byte{})
					if typ != attrData {
						b = appendAttr(b, attrData, []byte("data"))
					}
					add(appendAttr(b, typ, make([]byte, size)))
				}
			}
		}
	}
	for cut := 1; cut < 32; cut++ {
		add(crashPacket()[:cut])
	}
	for at := range 32 {
		for _, v := range []byte{0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xff} {
			b := crashPacket()
			b[at] = v
			add(b)
		}
	}
	return all
}

func TestCrashPacketPanicsPion(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("stun no longer panics at the crash packet: the filter's reason is gone, its test proves nothing")
		}
	}()
	m := &stun.Message{Raw: append(make([]byte, 0, 32), crashPacket()...)} // as pion copies it
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	var addr stun.XORMappedAddress
	_ = addr.GetFromAs(m, stun.AttrXORPeerAddress)
}

func TestServerSurvivesTheCrashPacketAndItsNeighbors(t *testing.T) {
	eachTransport(t, func(t *testing.T, tr Transport) {
		s := start(t, nil)
		server := listen(t, s, tr)
		c := newRawClient(t, tr, server, "attacker")
		c.allocate()
		for _, b := range neighbors() {
			if tr != UDP {
				if len(b) < 20 {
					continue // a stream would wait for the rest
				}
				if n, ok := frameSize(b); !ok || n != len(b) {
					continue // a stream would be out of step
				}
			}
			c.send(b)
		}
		if code := c.request(stun.MethodRefresh); code != 0 {
			t.Errorf("the attacker's own allocation is gone: code %d", code)
		}
		roundTrip(t, allocate(t, client(t, tr, server, "viewer")), echo(t), "the server goes on")
		if n := s.Stats().Drops["malformed"]; n < 500 {
			t.Errorf("%d messages were dropped as malformed, want most of them", n)
		}
	})
}

func TestFilter(t *testing.T) {
	build := func(c class, m method, attrs ...any) []byte {
		b := appendHeader(nil, c, m, [12]byte{1, 2, 3})
		for i := 0; i < len(attrs); i += 2 {
			b = appendAttr(b, uint16(attrs[i].(int)), attrs[i+1].([]byte))
		}
		return b
	}
	set := func(b []byte, at int, v ...byte) []byte { copy(b[at:], v); return b }
	peer4 := []byte{0, 1, 0x12, 0x34, 1, 2, 3, 4}
	credentials := []any{attrUsername, []byte("1:a"), attrRealm, []byte("r"), attrNonce, []byte("n"), attrIntegrity, make([]byte, 20)}
	with := func(attrs ...any) []any { return append(append([]any{}, credentials...), attrs...) }
	fingerprint := func(b []byte) []byte {
		m := &stun.Message{Raw: b}
		if err := m.Decode(); err != nil {
			t.Fatal(err)
		}
		_ = stun.Fingerprint.AddTo(m)
		return m.Raw
	}

	const wrong, unproven = dropReasons - 1, dropReasons - 2 // of requests that are answered 400
	for name, tc := range map[string]struct {
		b    []byte
		want Drop
	}{
		"empty":                        {nil, DropMalformed},
		"three bytes":                  {[]byte{0x40, 0, 0}, DropMalformed},
		"channel data":                 {[]byte{0x40, 0, 0, 2, 1, 2}, dropNone},
		"channel data, empty":          {[]byte{0x40, 0, 0, 0}, dropNone},
		"channel data, padded":         {[]byte{0x40, 0, 0, 2, 1, 2, 0, 0}, dropNone},
		"channel data, more than pads": {[]byte{0x40, 0, 0, 2, 1, 2, 0, 0, 0, 0}, DropMalformed},
		"channel data, short":          {[]byte{0x40, 0, 0, 3, 1, 2}, DropMalformed},
		"DTLS":                         {[]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, DropForeign},
		"RTP":                          {[]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, DropForeign},
		"header cut":                   {build(classRequest, methodBinding)[:19], DropForeign},
		"wrong cookie":                 {set(build(classRequest, methodBinding), 4, 0), DropForeign},
		"binding":                      {build(classRequest, methodBinding), dropNone},
		"length not of four":           {set(build(classRequest, methodBinding), 3, 2), DropMalformed},
		"length too long":              {set(build(classRequest, methodBinding), 3, 4), DropMalformed},
		"trailing bytes":               {append(build(classRequest, methodBinding), 0, 0, 0, 0), DropMalformed},
		"attribute beyond the end":     {set(build(classRequest, methodBinding, attrSoftware, []byte("abcd")), 22, 0, 8), DropMalformed},
		"fingerprint":                  {fingerprint(build(classRequest, methodBinding)), dropNone},
		"fingerprint wrong":            {build(classRequest, methodBinding, attrFingerprint, make([]byte, 4)), DropMalformed},
		"something after fingerprint":  {append(set(fingerprint(build(classRequest, methodBinding)), 3, 12), 0x80, 0x22, 0, 0), DropMalformed},
		"binding indication":           {build(classIndication, methodBinding), DropKeepalive},
		"binding response":             {build(classSuccess, methodBinding), DropMethod},
		"data indication":              {build(classIndication, methodData), DropMethod},
		"connect, RFC 6062":            {build(classRequest, 0x00a, attrXORPeerAddress, peer4), DropMethod},
		"connection bind, RFC 6062":    {build(classRequest, 0x00b), DropMethod},
		"send":                         {build(classIndication, methodSend, attrXORPeerAddress, peer4, attrData, []byte("x")), dropNone},
		"send without data":            {build(classIndication, methodSend, attrXORPeerAddress, peer4), DropMalformed},
		"send without a peer":          {build(classIndication, methodSend, attrData, []byte("x")), DropMalformed},
		"send to two peers":            {build(classIndication, methodSend, attrXORPeerAddress, peer4, attrXORPeerAddress, peer4, attrData, []byte("x")), dropNone},
		"send unfragmented":            {build(classIndication, methodSend, attrXORPeerAddress, peer4, attrData, []byte("x"), attrDontFragment, []byte{}), DropMalformed},
		"crash packet":                 {crashPacket(), DropMalformed},
		"peer of family 3":             {build(classIndication, methodSend, attrXORPeerAddress, []byte{0, 3, 0, 0, 1, 2, 3, 4}, attrData, []byte("x")), DropMalformed},
		"peer, IPv4 of 20 bytes":       {build(classIndication, methodSend, attrXORPeerAddress, append([]byte{0, 1}, make([]byte, 18)...), attrData, []byte("x")), DropMalformed},
		"peer, IPv6 of 8 bytes":        {build(classIndication, methodSend, attrXORPeerAddress, []byte{0, 2, 0, 0, 1, 2, 3, 4}, attrData, []byte("x")), DropMalformed},
		"allocate":                     {build(classRequest, methodAllocate, attrTransport, []byte{17, 0, 0, 0}), dropNone},
		"allocate, signed":             {build(classRequest, methodAllocate, with()...), dropNone},
		"signed without a nonce":       {build(classRequest, methodAllocate, credentials[0], credentials[1], credentials[2], credentials[3], credentials[6], credentials[7]), unproven},
		"integrity of 16 bytes":        {build(classRequest, methodAllocate, append(append([]any{}, credentials[:6]...), attrIntegrity, make([]byte, 16))...), unproven},
		"attribute after integrity":    {build(classRequest, methodAllocate, with(attrTransport, []byte{17, 0, 0, 0})...), dropNone},
		"two user names":               {build(classRequest, methodAllocate, attrUsername, []byte("a"), attrUsername, []byte("b")), dropNone},
		"empty user name":              {build(classRequest, methodAllocate, attrUsername, []byte{}), wrong},
		"long user name":               {build(classRequest, methodAllocate, attrUsername, make([]byte, 509)), wrong},
		"long nonce":                   {build(classRequest, methodAllocate, attrNonce, make([]byte, 764)), wrong},
		"transport of 1 byte":          {build(classRequest, methodAllocate, attrTransport, []byte{17}), wrong},
		"family 3":                     {build(classRequest, methodAllocate, attrFamily, []byte{3, 0, 0, 0}), dropNone},
		"lifetime of 8 bytes":          {build(classRequest, methodRefresh, attrLifetime, make([]byte, 8)), wrong},
		"permission for three peers":   {build(classRequest, methodCreatePermission, attrXORPeerAddress, peer4, attrXORPeerAddress, peer4, attrXORPeerAddress, peer4), dropNone},
		"bind two peers":               {build(classRequest, methodChannelBind, attrXORPeerAddress, peer4, attrXORPeerAddress, peer4), dropNone},
		"300 attributes":               {set(append(build(classRequest, methodBinding), []byte(strings.Repeat("\x80\x70\x00\x00", 300))...), 2, 1200>>8, 1200&255), dropNone},
		"unknown optional attribute":   {build(classRequest, methodBinding, 0x8070, []byte("abc")), dropNone},
		"unknown required, a request":  {build(classRequest, methodBinding, 0x0070, []byte("abc")), dropNone},
		"unknown required, indication": {build(classIndication, methodSend, 0x0070, []byte("abc"), attrXORPeerAddress, peer4, attrData, []byte("x")), DropMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			var m message
			got := m.parse(tc.b)
			switch {
			case got == dropNone && m.unproven:
				got = unproven
			case got == dropNone && m.wrong:
				got = wrong
			}
			if got != tc.want {
				t.Errorf("%s: %q, want %q", hex.EncodeToString(tc.b), got, tc.want)
			}
		})
	}
}

const attrSoftware = 0x8022

func TestMessageTypesAsOnTheWire(t *testing.T) {
	for _, c := range []class{classRequest, classIndication, classSuccess, classError} {
		for _, m := range []method{methodBinding, methodSend, methodChannelBind, 0xfff} {
			want := stun.NewType(stun.Method(m), stun.MessageClass(c)).Value()
			if got := messageType(c, m); got != want {
				t.Errorf("class %d, method %#x: %#x, want %#x", c, m, got, want)
			}
			if gc, gm := splitType(want); gc != c || gm != m {
				t.Errorf("%#x: class %d, method %#x, want %d, %#x", want, gc, gm, c, m)
			}
		}
	}
}

// RFC 5769, section 2.1: the sample request, whose MESSAGE-INTEGRITY is short-term.
func TestSignedByTheSampleRequest(t *testing.T) {
	b, err := hex.DecodeString("000100582112a442b7e7a701bc34d686fa87dfae" +
		"802200105354554e207465737420636c69656e74" + "002400046e0001ff" + "80290008932ff9b151263b36" +
		"000600096576746a3a68367659202020" + "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2" + "80280004e57a3bcf")
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if d := m.parse(b); d != dropNone {
		t.Fatal(d)
	}
	if !(proof{key: []byte("VOkJxbRl1RmTxUk/WvJxBt")}).proves(&m) || (proof{key: []byte("VOkJxbRl1RmTxUk/WvJxBT")}).proves(&m) {
		t.Error("MESSAGE-INTEGRITY is not told right from wrong")
	}
}
