package turn_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// What a TURN client asks for (RFC 8656, section 18), as requests.
const (
	turnAllocate    = 0x0003
	turnRefresh     = 0x0004
	turnPermission  = 0x0008
	turnChannelBind = 0x0009

	stunCookie = 0x2112a442
	alpnTURN   = "stun.turn"

	attrUsername  = 0x0006
	attrIntegrity = 0x0008
	attrError     = 0x0009
	attrChannel   = 0x000c
	attrPeer      = 0x0012
	attrRealm     = 0x0014
	attrNonce     = 0x0015
	attrRelayed   = 0x0016
	attrTransport = 0x0019

	testChannel = 0x4000
	turnWait    = 10 * time.Second
)

// turnClient is a TURN client for one allocation with one channel. It is not for
// concurrent use. pion's is not used here as turnserver alone imports pion/turn.
type turnClient struct {
	conn           net.Conn
	stream         bool
	user, password string
	realm, nonce   []byte
	relay          netip.AddrPort
}

// stunAttr is an attribute of a STUN message.
type stunAttr struct {
	kind  uint16
	value []byte
}

// refusal is a STUN error response.
type refusal int

func (r refusal) Error() string { return fmt.Sprintf("the TURN server answered %d", int(r)) }

// allocate opens an allocation over conn.
func allocate(conn net.Conn, user, password string) (*turnClient, error) {
	_ = conn.SetDeadline(time.Time{}) // each wait sets its own
	_, packets := conn.(net.PacketConn)
	c := &turnClient{conn: conn, stream: !packets, user: user, password: password}
	transport := stunAttr{attrTransport, []byte{17, 0, 0, 0}}
	if _, err := c.request(turnAllocate, transport); !errors.Is(err, refusal(401)) {
		return nil, fmt.Errorf("allocate without credentials: %w, want 401", err)
	}
	answer, err := c.request(turnAllocate, transport)
	if err != nil {
		return nil, fmt.Errorf("allocate: %w", err)
	}
	c.relay, err = xorAddr(answer[attrRelayed])
	return c, err
}

// bind gives peer the channel.
func (c *turnClient) bind(peer netip.AddrPort) error {
	_, err := c.request(turnChannelBind, stunAttr{attrChannel, binary.BigEndian.AppendUint32(nil, testChannel<<16)}, peerAttr(peer))
	return err
}

// permit asks for a permission for peer.
func (c *turnClient) permit(peer netip.AddrPort) error {
	_, err := c.request(turnPermission, peerAttr(peer))
	return err
}

func (c *turnClient) refresh() error {
	_, err := c.request(turnRefresh)
	return err
}

// ask sends text over the channel and waits for the peer to send it back.
func (c *turnClient) ask(text string, within time.Duration) error {
	frame := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, testChannel), uint16(len(text)))
	frame = append(frame, text...)
	for c.stream && len(frame)%4 != 0 {
		frame = append(frame, 0)
	}
	if _, err := c.conn.Write(frame); err != nil {
		return err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(within))
	for {
		b, err := c.read()
		if err != nil {
			return fmt.Errorf("%q did not come back: %w", text, err)
		}
		if b[0]&0xc0 == 0x40 && string(b[4:4+int(b[2])<<8+int(b[3])]) == text {
			return nil
		}
	}
}

// request sends a request and gives the attributes of its success response. The
// error is a refusal where the server says no.
func (c *turnClient) request(method uint16, attrs ...stunAttr) (map[uint16][]byte, error) {
	var id [12]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	m := binary.BigEndian.AppendUint16(nil, method)
	m = append(m, 0, 0, 0x21, 0x12, 0xa4, 0x42)
	m = append(m, id[:]...)
	if c.nonce != nil {
		attrs = append(attrs, stunAttr{attrUsername, []byte(c.user)}, stunAttr{attrRealm, c.realm}, stunAttr{attrNonce, c.nonce})
	}
	for _, a := range attrs {
		m = binary.BigEndian.AppendUint16(m, a.kind)
		m = binary.BigEndian.AppendUint16(m, uint16(len(a.value)))
		m = append(m, a.value...)
		m = append(m, make([]byte, -len(a.value)&3)...)
	}
	if c.nonce != nil {
		binary.BigEndian.PutUint16(m[2:], uint16(len(m)+24-20))
		key := md5.Sum(fmt.Appendf(nil, "%s:%s:%s", c.user, c.realm, c.password))
		mac := hmac.New(sha1.New, key[:])
		mac.Write(m)
		m = mac.Sum(append(m, 0, attrIntegrity, 0, 20))
	} else {
		binary.BigEndian.PutUint16(m[2:], uint16(len(m)-20))
	}
	if _, err := c.conn.Write(m); err != nil {
		return nil, err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(turnWait))
	for {
		b, err := c.read()
		if err != nil {
			return nil, err
		}
		if b[0]&0xc0 != 0 || len(b) < 20 || !bytes.Equal(b[8:20], id[:]) {
			continue
		}
		got := map[uint16][]byte{}
		for rest := b[20:]; len(rest) >= 4; {
			size := int(binary.BigEndian.Uint16(rest[2:]))
			if len(rest) < 4+size {
				return nil, errors.New("a STUN attribute is cut off")
			}
			got[binary.BigEndian.Uint16(rest)] = rest[4 : 4+size]
			rest = rest[min(4+size+(-size&3), len(rest)):]
		}
		if b[0]&1 == 1 && b[1]&0x10 != 0 { // an error response
			if got[attrNonce] != nil {
				c.realm, c.nonce = got[attrRealm], got[attrNonce]
			}
			e := got[attrError]
			if len(e) < 4 {
				return nil, errors.New("an error response without a code")
			}
			return got, refusal(int(e[2])*100 + int(e[3]))
		}
		return got, nil
	}
}

// read gives the next message or ChannelData.
func (c *turnClient) read() ([]byte, error) {
	b := make([]byte, 2048)
	if !c.stream {
		n, err := c.conn.Read(b)
		if err == nil && n < 4 {
			err = errors.New("a short datagram")
		}
		return b[:n], err
	}
	if _, err := io.ReadFull(c.conn, b[:4]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if b[0]&0xc0 == 0 {
		size += 16
	} else {
		size += -size & 3
	}
	if 4+size > len(b) {
		return nil, errors.New("a message that is too long")
	}
	_, err := io.ReadFull(c.conn, b[4:4+size])
	return b[:4+size], err
}

func peerAttr(peer netip.AddrPort) stunAttr {
	ip := peer.Addr().As4()
	v := binary.BigEndian.AppendUint16([]byte{0, 1}, peer.Port()^0x2112)
	return stunAttr{attrPeer, binary.BigEndian.AppendUint32(v, binary.BigEndian.Uint32(ip[:])^stunCookie)}
}

func xorAddr(v []byte) (netip.AddrPort, error) {
	if len(v) != 8 || v[1] != 1 {
		return netip.AddrPort{}, fmt.Errorf("not an IPv4 address: %x", v)
	}
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], binary.BigEndian.Uint32(v[4:])^stunCookie)
	return netip.AddrPortFrom(netip.AddrFrom4(ip), binary.BigEndian.Uint16(v[2:])^0x2112), nil
}

// dialUDP opens a socket that talks to addr.
func dialUDP(t testing.TB, addr netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echoPeer sends back what it gets.
func echoPeer(t testing.TB) netip.AddrPort { return echoPeerAt(t, "127.0.0.1") }

// echoPeerAt is an echoPeer at another address.
func echoPeerAt(t testing.TB, host string) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
