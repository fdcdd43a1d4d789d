package turnserver

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/pion/stun"
)

// TestListenersTakeOver: a listener may take over the port of another, at more, fewer or the
// same addresses and by another protocol, while both are there for a moment. What was
// allocated lives on and can be refreshed; what comes then is served.
func TestListenersTakeOver(t *testing.T) {
	config := serverTLS(t)
	listen := func(s *Server, tr Transport, addr string) (net.Addr, error) {
		switch tr {
		case UDP:
			return s.ListenUDP(addr, 2)
		case TCP:
			return s.ListenTCP(addr)
		}
		return s.ListenTLS(addr, func() *tls.Config { return config })
	}
	refresh := func(c *rawClient, attrs ...stun.Setter) int {
		answer := c.do(c.build(stun.MethodRefresh, attrs...))
		if code := codeOf(t, answer); code != codeStaleNonce {
			return code
		}
		_ = c.nonce.GetFrom(answer) // the nonces of a listener are its own
		return c.request(stun.MethodRefresh, attrs...)
	}
	for _, c := range []struct {
		before, after   Transport
		asked, thenAsks string
	}{
		{UDP, UDP, "127.0.0.1", ""}, {UDP, UDP, "", "127.0.0.1"}, {UDP, UDP, "0.0.0.0", ""}, {UDP, UDP, "", "0.0.0.0"},
		{TCP, TCP, "127.0.0.1", ""}, {TCP, TCP, "", "127.0.0.1"}, {TCP, TCP, "0.0.0.0", ""},
		{TCP, TLS, "127.0.0.1", "127.0.0.1"}, {TLS, TCP, "", "127.0.0.1"},
	} {
		t.Run(fmt.Sprintf("%v %s to %v %s", c.before, c.asked, c.after, c.thenAsks), func(t *testing.T) {
			s := start(t, nil)
			first, err := listen(s, c.before, c.asked+":0")
			if err != nil {
				t.Fatal(err)
			}
			port := addrPortOf(first).Port()
			var server net.Addr = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}
			if c.before != UDP {
				server = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}
			}
			to := echo(t)
			var old []*rawClient
			for i := range 4 { // some on each of the sockets
				old = append(old, newRawClient(t, c.before, server, fmt.Sprint("old", i)))
				old[i].allocate()
				if code := old[i].request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(addrPortOf(to))); code != 0 {
					t.Fatal(code)
				}
			}
			if _, err := listen(s, c.after, fmt.Sprintf("%s:%d", c.thenAsks, port)); err != nil {
				t.Fatal(err)
			}
			s.Retire(first)
			for range 3 {
				for _, o := range old {
					o.send(ping)
					if o.receive(5*time.Second) == nil {
						t.Fatalf("%s relays no more", o.user())
					}
					if code := refresh(o); code != 0 {
						t.Errorf("%s: refresh: code %d", o.user(), code)
					}
				}
				newRawClient(t, c.after, server, "fresh").allocate()
			}
			for _, o := range old {
				if code := refresh(o, attr(attrLifetime, 0, 0, 0, 0)); code != 0 {
					t.Errorf("%s: delete: code %d", o.user(), code)
				}
			}
			newRawClient(t, c.after, server, "fresh").allocate()
		})
	}
}
