package turnserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun"
)

// rfcClient signs requests by hand, as RFC 8489 lets it, so that what stands behind
// the integrity, twice, or wrongly in a request is up to the test.
type rfcClient struct {
	*rawClient
	sha256   bool // both MESSAGE-INTEGRITY-SHA256 and the password algorithm
	userhash bool
}

// ask sends a request with attributes before and behind its integrity, and returns
// the answer, whose integrity is checked, and its error code.
func (c *rfcClient) ask(m method, before, behind []stun.RawAttribute) (answer []byte, code int) {
	c.t.Helper()
	var txid [12]byte
	copy(txid[:], time.Now().Format("150405.000000000"))
	b := appendHeader(nil, classRequest, m, txid)
	for _, a := range before {
		b = appendAttr(b, uint16(a.Type), a.Value)
	}
	algorithm := byte(algorithmMD5)
	if c.userhash {
		hash := userhash(c.username, string(c.realm))
		b = appendAttr(b, attrUserhash, hash[:])
	} else {
		b = appendAttr(b, attrUsername, []byte(c.username))
	}
	b = appendAttr(b, attrRealm, c.realm)
	b = appendAttr(b, attrNonce, c.nonce)
	if c.sha256 {
		algorithm = algorithmSHA256
		b = appendAttr(b, attrAlgorithms, algorithms)
		b = appendAttr(b, attrAlgorithm, []byte{0, algorithm, 0, 0})
	}
	p := proof{longTermKey(algorithm, secret, c.username, string(c.realm)), c.sha256}
	b = p.sign(b)
	for _, a := range behind {
		b = appendAttr(b, uint16(a.Type), a.Value)
	}
	c.send(b)
	for {
		answer = c.receive(3 * time.Second)
		if answer == nil {
			return nil, -1
		}
		if bytes.Equal(answer[8:20], txid[:]) {
			break
		}
	}
	class, _ := splitType(binary.BigEndian.Uint16(answer))
	if class == classError {
		code = errorCode(answer)
	}
	var got message
	got.raw, got.txid = answer, txid
	for i := stunHeader; i+4 <= len(answer); {
		switch binary.BigEndian.Uint16(answer[i:]) {
		case attrIntegrity:
			got.integrity = i
		case attrIntegrity256:
			got.integrity256 = i
		}
		i += 4 + (int(binary.BigEndian.Uint16(answer[i+2:]))+3)&^3
	}
	unsigned := got.integrity == 0 && got.integrity256 == 0
	if known := code != codeUnauthorized && code != codeStaleNonce; known && !p.proves(&got) && !(unsigned && code == codeBadRequest) {
		c.t.Errorf("the answer (code %d) is not signed as the request is", code)
	}
	return answer, code
}

func newRFCClient(t testing.TB, s *Server, user string) *rfcClient {
	t.Helper()
	c := &rfcClient{rawClient: newRawClient(t, UDP, listen(t, s, UDP), user)}
	c.challenge()
	return c
}

// TestRFCRequests: what can be parsed is answered, and with the code of RFC 8489 and
// RFC 8656.
func TestRFCRequests(t *testing.T) {
	s := start(t, nil)
	type attrs = []stun.RawAttribute
	for6 := attr(attrAdditionalFamily, 2, 0, 0, 0)
	peer4, peer6 := rawPeer("127.0.0.1:9"), rawPeer("[2600::1]:9")
	for name, tc := range map[string]struct {
		hold           bool // an allocation before
		m              method
		before, behind attrs
		code           int
	}{
		"plain":                            {false, methodAllocate, attrs{wantUDP}, nil, 0},
		"unknown behind integrity":         {false, methodAllocate, attrs{wantUDP}, attrs{attr(0x0077, 1)}, 0},
		"known behind integrity":           {false, methodAllocate, attrs{wantUDP}, attrs{attr(attrDontFragment), attr(attrLifetime, 1)}, 0},
		"transport behind integrity":       {false, methodAllocate, nil, attrs{wantUDP}, 400},
		"transport twice, UDP first":       {false, methodAllocate, attrs{wantUDP, wantTCP}, nil, 0},
		"transport twice, TCP first":       {false, methodAllocate, attrs{wantTCP, wantUDP}, nil, 442},
		"no transport":                     {false, methodAllocate, nil, nil, 400},
		"transport of 3 bytes":             {false, methodAllocate, attrs{attr(attrTransport, 17, 0, 0)}, nil, 400},
		"unknown attribute":                {false, methodAllocate, attrs{wantUDP, attr(0x0077, 1)}, nil, 420},
		"do not fragment":                  {false, methodAllocate, attrs{wantUDP, attr(attrDontFragment)}, nil, 420},
		"unknown optional attribute":       {false, methodAllocate, attrs{wantUDP, attr(0x8077, 1)}, nil, 0},
		"IPv6 without one":                 {false, methodAllocate, attrs{wantUDP, attr(attrFamily, 2, 0, 0, 0)}, nil, 440},
		"family 3":                         {false, methodAllocate, attrs{wantUDP, attr(attrFamily, 3, 0, 0, 0)}, nil, 440},
		"family 0":                         {false, methodAllocate, attrs{wantUDP, attr(attrFamily, 0, 0, 0, 0)}, nil, 440},
		"both families, IPv4":              {false, methodAllocate, attrs{wantUDP, attr(attrAdditionalFamily, 1, 0, 0, 0)}, nil, 400},
		"both families":                    {false, methodAllocate, attrs{wantUDP, for6}, nil, 0},
		"both families and one":            {false, methodAllocate, attrs{wantUDP, for6, attr(attrFamily, 1, 0, 0, 0)}, nil, 400},
		"both families and a reservation":  {false, methodAllocate, attrs{wantUDP, for6, attr(attrEvenPort, 0x80)}, nil, 400},
		"a token and an even port":         {false, methodAllocate, attrs{wantUDP, attr(attrEvenPort, 0), attr(attrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)}, nil, 400},
		"a token and a family":             {false, methodAllocate, attrs{wantUDP, attr(attrFamily, 1, 0, 0, 0), attr(attrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)}, nil, 400},
		"a token of 4 bytes":               {false, methodAllocate, attrs{wantUDP, attr(attrReservationToken, 1, 2, 3, 4)}, nil, 400},
		"second allocation":                {true, methodAllocate, attrs{wantUDP}, nil, 437},
		"lifetime of 2 bytes":              {true, methodRefresh, attrs{attr(attrLifetime, 1, 2)}, nil, 400},
		"refresh of nothing":               {false, methodRefresh, nil, nil, 437},
		"refresh of the other family":      {true, methodRefresh, attrs{attr(attrFamily, 2, 0, 0, 0)}, nil, 443},
		"refresh of its family":            {true, methodRefresh, attrs{attr(attrFamily, 1, 0, 0, 0)}, nil, 0},
		"permission":                       {true, methodCreatePermission, attrs{peer4}, nil, 0},
		"permission for nobody":            {true, methodCreatePermission, nil, nil, 400},
		"permission, no such family":       {true, methodCreatePermission, attrs{attr(attrXORPeerAddress, 0, 3, 0, 0, 1, 2, 3, 4)}, nil, 400},
		"permission, other family":         {true, methodCreatePermission, attrs{peer6}, nil, 443},
		"permission, empty peer":           {true, methodCreatePermission, attrs{attr(attrXORPeerAddress)}, nil, 400},
		"channel":                          {true, methodChannelBind, attrs{rawChannel(0x4000), peer4}, nil, 0},
		"channel, other family":            {true, methodChannelBind, attrs{rawChannel(0x4000), peer6}, nil, 443},
		"channel of 2 bytes":               {true, methodChannelBind, attrs{attr(attrChannelNumber, 0x40, 0), peer4}, nil, 400},
		"channel, first of two peers":      {true, methodChannelBind, attrs{rawChannel(0x4000), peer4, peer6}, nil, 0},
		"channel, peer behind integrity":   {true, methodChannelBind, attrs{rawChannel(0x4000)}, attrs{peer4}, 400},
		"unknown attribute of a refresh":   {true, methodRefresh, attrs{attr(0x0077)}, nil, 420},
		"password algorithm alone":         {true, methodRefresh, attrs{attr(attrAlgorithm, 0, 1, 0, 0)}, nil, 400},
		"password algorithms, bidden down": {true, methodRefresh, attrs{attr(attrAlgorithms, 0, 1, 0, 0), attr(attrAlgorithm, 0, 1, 0, 0)}, nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			for _, strong := range []bool{false, true} {
				if strong && strings.HasPrefix(name, "password algorithm") {
					continue // they would be there twice
				}
				c := newRFCClient(t, s, "viewer")
				c.sha256 = strong
				if tc.hold {
					if _, code := c.ask(methodAllocate, attrs{wantUDP}, nil); code != 0 {
						t.Fatalf("allocate: code %d", code)
					}
				}
				if _, code := c.ask(tc.m, tc.before, tc.behind); code != tc.code {
					t.Errorf("SHA-256 %v: code %d, want %d", strong, code, tc.code)
				}
				_, _ = c.ask(methodRefresh, attrs{attr(attrLifetime, 0, 0, 0, 0)}, nil)
			}
		})
	}
}

func rawPeer(s string) stun.RawAttribute {
	// Without a transaction id, which the mask of IPv6 addresses takes in: any address will do.
	var v [20]byte
	n := putXORAddress(v[:], netip.MustParseAddrPort(s), [12]byte{})
	return stun.RawAttribute{Type: stun.AttrXORPeerAddress, Value: v[:n]}
}

func rawChannel(n uint16) stun.RawAttribute {
	return stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{byte(n >> 8), byte(n), 0, 0}}
}

// TestCredentialsThatAreNotWhole are answered 400, without a nonce (RFC 8489, section
// 9.2.4), and so are an integrity of a wrong size.
func TestCredentialsThatAreNotWhole(t *testing.T) {
	s := start(t, nil)
	c := newRFCClient(t, s, "viewer")
	for name, list := range map[string][]stun.RawAttribute{
		"no username": {attr(attrRealm, c.realm...), attr(attrNonce, c.nonce...), attr(attrIntegrity, make([]byte, 20)...)},
		"no realm":    {attr(attrUsername, 'a'), attr(attrNonce, c.nonce...), attr(attrIntegrity, make([]byte, 20)...)},
		"no nonce":    {attr(attrUsername, 'a'), attr(attrRealm, c.realm...), attr(attrIntegrity, make([]byte, 20)...)},
		"16 bytes":    {attr(attrUsername, 'a'), attr(attrRealm, c.realm...), attr(attrNonce, c.nonce...), attr(attrIntegrity, make([]byte, 16)...)},
	} {
		b := appendHeader(nil, classRequest, methodAllocate, [12]byte{1})
		for _, a := range list {
			b = appendAttr(b, uint16(a.Type), a.Value)
		}
		c.send(b)
		if answer := c.receive(3 * time.Second); answer == nil || errorCode(answer) != 400 || findAttr(answer, attrErrorCode) == nil {
			t.Errorf("%s: answer %x, want 400", name, answer)
		}
	}
}

// TestChallengeOffersAlgorithms: the nonce says what the server can do, as RFC 8489,
// section 9.2, wants it, and the algorithms come with it.
func TestChallengeOffersAlgorithms(t *testing.T) {
	s := start(t, nil)
	c := newRFCClient(t, s, "viewer")
	b := c.do(c.rawClient.build(stun.MethodAllocate, wantUDP, stun.NewUsername("9:x"))).Raw // its first username counts
	if code := errorCode(b); code != 401 {
		t.Fatalf("code %d, want 401", code)
	}
	if got := findAttr(b, attrAlgorithms); !bytes.Equal(got, algorithms) {
		t.Errorf("PASSWORD-ALGORITHMS %x, want %x", got, algorithms)
	}
	if got := string(findAttr(b, attrNonce)); len(got) < 13 || got[:13] != "obMatJos2wAAA" {
		t.Errorf("nonce %q has no cookie", got)
	}
	c.nonce = c.nonce[len(nonceCookie):]
	if _, code := c.ask(methodAllocate, []stun.RawAttribute{wantUDP}, nil); code != codeStaleNonce {
		t.Errorf("a nonce without its cookie: code %d, want 438", code)
	}
}

// TestUserhash: a user whose name the server has seen, or was told, may show its hash.
func TestUserhash(t *testing.T) {
	s := start(t, nil)
	for name, know := range map[string]func(*rfcClient){
		"told":    func(c *rfcClient) { s.ExpectUser(c.username) },
		"seen":    func(c *rfcClient) { _, _ = c.ask(methodRefresh, nil, nil) },
		"unknown": func(*rfcClient) {},
	} {
		c := newRFCClient(t, s, name)
		know(c)
		c.sha256, c.userhash = true, true
		want := 0
		if name == "unknown" {
			want = codeUnauthorized
		}
		if _, code := c.ask(methodAllocate, []stun.RawAttribute{wantUDP}, nil); code != want {
			t.Errorf("%s: code %d, want %d", name, code, want)
		}
	}
	if got := userhash("a", "b"); got != sha256.Sum256([]byte("a:b")) {
		t.Errorf("userhash %x", got)
	}
}

// TestLifetimes: a client is granted what it asks for between the default and the
// bound: RFC 8656, section 7.2.
func TestLifetimes(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.MaxLifetime = 2 * time.Hour })
	c := newRFCClient(t, s, "viewer")
	lifetime := func(n uint32) stun.RawAttribute { return attr(attrLifetime, binary.BigEndian.AppendUint32(nil, n)...) }
	if answer, code := c.ask(methodAllocate, []stun.RawAttribute{wantUDP, lifetime(3600)}, nil); code != 0 || granted(answer) != 3600 {
		t.Errorf("allocated for %d s (code %d), want 3600", granted(answer), code)
	}
	for asked, want := range map[uint32]uint32{1: 600, 600: 600, 3600: 3600, 7200: 7200, 7201: 7200, 1 << 31: 7200} {
		if answer, code := c.ask(methodRefresh, []stun.RawAttribute{lifetime(asked)}, nil); code != 0 || granted(answer) != want {
			t.Errorf("asked for %d s, granted %d (code %d), want %d", asked, granted(answer), code, want)
		}
	}
}

func granted(answer []byte) uint32 {
	if v := findAttr(answer, attrLifetime); len(v) == 4 {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// TestBothFamilies: one Allocate has a relayed address of each family, whose channels,
// permissions and lifetimes are told apart, or is told why it has one only.
func TestBothFamilies(t *testing.T) {
	both := attr(attrAdditionalFamily, 2, 0, 0, 0)
	s := start(t, func(c *Config) {
		c.RelayAddress6 = netip.IPv6Loopback()
		c.Policy.AllowPeers = append(c.Policy.AllowPeers, netip.MustParsePrefix("::1/128"))
	})
	c := newRFCClient(t, s, "viewer")
	answer, code := c.ask(methodAllocate, []stun.RawAttribute{wantUDP, both}, nil)
	if code != 0 {
		t.Fatalf("code %d", code)
	}
	var relayed []netip.AddrPort
	msg := &stun.Message{Raw: answer}
	if err := msg.Decode(); err != nil {
		t.Fatal(err)
	}
	for _, a := range msg.Attributes {
		if a.Type == stun.AttrXORRelayedAddress {
			addr, _ := xorAddress(a.Value, msg.TransactionID)
			relayed = append(relayed, addr)
		}
	}
	if len(relayed) != 2 || !relayed[0].Addr().Is4() || !relayed[1].Addr().Is6() || findAttr(answer, attrAddressError) != nil {
		t.Fatalf("relayed addresses %v, want one of each family", relayed)
	}
	// The client's own relayed addresses are peers at hand: it sends to itself over each.
	for i, r := range relayed {
		m := c.rawClient.build(stun.MethodChannelBind, channelAttr(minChannel+uint16(i)), peerAttr(r))
		if code := codeOf(t, c.do(m)); code != 0 {
			t.Fatalf("channel to %v: code %d", r, code)
		}
		c.send([]byte{0x40, byte(i), 0, 4, 'p', 'i', 'n', 'g'})
		if b := c.receive(3 * time.Second); len(b) != 8 || b[1] != byte(i) {
			t.Errorf("over %v came %x", r, b)
		}
	}
	if u, _ := s.User("viewer"); u.Allocations != 2 {
		t.Errorf("they count as %d allocations, want 2", u.Allocations)
	}
	del := []stun.RawAttribute{attr(attrLifetime, 0, 0, 0, 0), attr(attrFamily, 1, 0, 0, 0)}
	if _, code := c.ask(methodRefresh, del, nil); code != 0 {
		t.Errorf("delete the first: code %d", code)
	}
	if _, code := c.ask(methodRefresh, del, nil); code != codePeerFamily {
		t.Errorf("delete it again: code %d, want 443", code)
	}
	if _, code := c.ask(methodRefresh, nil, nil); code != 0 {
		t.Errorf("refresh the second: code %d", code)
	}

	one := start(t, nil)
	c = newRFCClient(t, one, "viewer")
	answer, code = c.ask(methodAllocate, []stun.RawAttribute{wantUDP, both}, nil)
	if v := findAttr(answer, attrAddressError); code != 0 || len(v) < 4 || v[0] != familyIPv6 || v[2] != 4 || v[3] != 40 {
		t.Errorf("without IPv6: code %d, ADDRESS-ERROR-CODE %x, want 440 for family 2", code, v)
	}
}
