package turnserver

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun"
)

// rawClient speaks STUN by hand, so that tests can send what no proper client would.
type rawClient struct {
	t                  testing.TB
	conn               net.PacketConn
	server             net.Addr
	username, password string
	nonce              stun.Nonce
	realm              stun.Realm
}

func newRawClient(t testing.TB, tr Transport, server net.Addr, user string) *rawClient {
	t.Helper()
	return newRawClientOver(t, server, user, dial(t, tr, server))
}

func newRawClientOver(t testing.TB, server net.Addr, user string, conn net.PacketConn) *rawClient {
	t.Helper()
	username, password := mint(secret, user, time.Minute)
	return &rawClient{t: t, conn: conn, server: server, username: username, password: password}
}

// user is the name of the client's user.
func (c *rawClient) user() string {
	_, name, _ := strings.Cut(c.username, ":")
	return name
}

func (c *rawClient) send(b []byte) {
	c.t.Helper()
	if _, err := c.conn.WriteTo(b, c.server); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// receive waits for the next message, nil if there is none within d.
func (c *rawClient) receive(d time.Duration) []byte {
	c.t.Helper()
	buf := make([]byte, 4096)
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	n, _, err := c.conn.ReadFrom(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// do sends a message and waits for its answer. It sends it again every half second.
func (c *rawClient) do(m *stun.Message) *stun.Message {
	c.t.Helper()
	for range 20 {
		c.send(m.Raw)
		for {
			b := c.receive(time.Second / 2)
			if b == nil {
				break
			}
			answer := &stun.Message{Raw: b}
			if err := answer.Decode(); err == nil && answer.TransactionID == m.TransactionID {
				return answer
			}
		}
	}
	c.t.Fatalf("no answer to %v", m.Type)
	return nil
}

// build makes a request, signed once the server has given a nonce.
func (c *rawClient) build(m stun.Method, attrs ...stun.Setter) *stun.Message {
	c.t.Helper()
	all := append([]stun.Setter{stun.TransactionID, stun.NewType(m, stun.ClassRequest)}, attrs...)
	if c.nonce != nil {
		all = append(all, stun.NewUsername(c.username), c.realm, c.nonce,
			stun.NewLongTermIntegrity(c.username, string(c.realm), c.password))
	}
	msg, err := stun.Build(append(all, stun.Fingerprint)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return msg
}

// request sends a request and returns the error code of its answer, 0 for success.
func (c *rawClient) request(m stun.Method, attrs ...stun.Setter) int {
	c.t.Helper()
	return codeOf(c.t, c.do(c.build(m, attrs...)))
}

func codeOf(t testing.TB, answer *stun.Message) int {
	t.Helper()
	if answer.Type.Class == stun.ClassSuccessResponse {
		return 0
	}
	var code stun.ErrorCodeAttribute
	if err := code.GetFrom(answer); err != nil {
		t.Fatalf("an error answer without a code: %v", answer)
	}
	return int(code.Code)
}

// challenge gets a nonce.
func (c *rawClient) challenge() {
	c.t.Helper()
	c.nonce = nil
	answer := c.do(c.build(stun.MethodAllocate, wantUDP))
	if code := codeOf(c.t, answer); code != 401 {
		c.t.Fatalf("code %d for a request without credentials, want 401", code)
	}
	if c.nonce.GetFrom(answer) != nil || c.realm.GetFrom(answer) != nil {
		c.t.Fatalf("401 without nonce and realm: %v", answer)
	}
}

// allocate makes an allocation.
func (c *rawClient) allocate(attrs ...stun.Setter) {
	c.t.Helper()
	c.challenge()
	if code := c.request(stun.MethodAllocate, append([]stun.Setter{wantUDP}, attrs...)...); code != 0 {
		c.t.Fatalf("allocate: code %d", code)
	}
}

var (
	wantUDP = stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}
	wantTCP = stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{6, 0, 0, 0}}
)

// peerAttr is XOR-PEER-ADDRESS, with IPv4-mapped addresses left as they are.
type peerAttr netip.AddrPort

func (p peerAttr) AddTo(m *stun.Message) error {
	var v [20]byte
	m.Add(stun.AttrXORPeerAddress, v[:putXORAddress(v[:], netip.AddrPort(p), m.TransactionID)])
	return nil
}

func peer(addr string) peerAttr { return peerAttr(netip.MustParseAddrPort(addr)) }

func channelAttr(n uint16) stun.RawAttribute {
	return stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{byte(n >> 8), byte(n), 0, 0}}
}

func attr(typ uint16, value ...byte) stun.RawAttribute {
	return stun.RawAttribute{Type: stun.AttrType(typ), Value: value}
}
