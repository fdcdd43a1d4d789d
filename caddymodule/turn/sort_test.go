package turn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/viewmesh/viewmesh/turnserver"
)

// piped is a listener for the ends of pipes, with TLS.
type piped struct {
	conns  chan net.Conn
	config *tls.Config
}

func (p piped) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return tls.Server(conn, p.config), nil
}

func (p piped) Close() error   { close(p.conns); return nil }
func (p piped) Addr() net.Addr { return &net.TCPAddr{} }

// slowly is a client's end whose first bytes are written in two pieces, the second when
// after is over.
type slowly struct {
	net.Conn
	first int
	after time.Duration
}

func (s *slowly) Write(b []byte) (int, error) {
	if n := s.first; n > 0 && n < len(b) {
		s.first = 0
		if _, err := s.Conn.Write(b[:n]); err != nil {
			return 0, err
		}
		time.Sleep(s.after)
		k, err := s.Conn.Write(b[n:])
		return n + k, err
	}
	return s.Conn.Write(b)
}

// TestWhoIsSlowGetsHTTP: the HTTP server gets a client that takes longer than the listener
// looks, or loses its slot, wherever that client was, and all that it has sent.
func TestWhoIsSlowGetsHTTP(t *testing.T) {
	const long = sortWait + 5*time.Second
	for name, c := range map[string]struct {
		handshake time.Duration // between two pieces of its first message
		speak     time.Duration // between two pieces of what it says
		lost      bool          // its slot goes to another source meanwhile
	}{
		"at once":                        {},
		"in its handshake":               {handshake: long},
		"in its handshake, slot is lost": {handshake: time.Second, lost: true},
		"in its first bytes":             {speak: long},
		"in its first bytes, slot lost":  {speak: time.Second, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			config := selfSigned(t)
			synctest.Test(t, func(t *testing.T) {
				l := &sortingListener{Listener: piped{make(chan net.Conn, 1), config}, ready: make(chan accepted), closed: make(chan struct{})}
				server, client := net.Pipe()
				begun := time.Now()
				l.Listener.(piped).conns <- server
				const text = "\x00\x01\x00 text"
				go func() {
					tc := tls.Client(&slowly{client, 50, c.handshake}, &tls.Config{InsecureSkipVerify: true})
					_, err := tc.Write([]byte(text[:3]))
					time.Sleep(c.speak)
					if err == nil {
						_, err = tc.Write([]byte(text[3:]))
					}
					if err != nil {
						t.Errorf("client: %v", err)
					}
				}()
				if c.lost {
					go func() {
						time.Sleep(time.Second / 2)
						for range 2 { // its own source has the most slots
							l.slots.Take(netip.Addr{}, func() {})
						}
						for i := range turnserver.MaxSlots - 2 {
							l.slots.Take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), func() {})
						}
					}()
				}
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(text))
				if want := min(max(c.handshake, c.speak), sortWait); c.lost && time.Since(begun) != time.Second/2 || !c.lost && time.Since(begun) != want {
					t.Errorf("HTTP has it after %v", time.Since(begun))
				}
				time.Sleep(long) // who waits for a mutex stops the clock of synctest
				if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
					t.Errorf("HTTP reads %q: %v", got, err)
				}
				_ = l.Close()
				_ = client.Close()
				_ = conn.Close()
				synctest.Wait()
			})
		})
	}
}

// selfSigned is a TLS configuration with a certificate of its own.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
