package turnserver

import (
	"net"
	"sync"

	"github.com/pion/turn/v2"
)

// desk is a pion server, which hands out nonces and knows its own again. Intakes bring
// it their requests one at a time; a UDP socket has a desk of its own, connections share
// some, as a desk takes 9 KiB. pion reads it as a net.PacketConn, in one goroutine: it
// calls back while it handles a request (authenticate, AllocatePacketConn, WriteTo), and
// is done with it when it reads again.
type desk struct {
	net.PacketConn // what pion does not call

	mu   sync.Mutex // held while a request is handled
	in   *intake    // whose request it is
	next chan *intake
	done chan struct{}
}

// pionRealm is the realm in what is written for pion: clients see the settings' one.
const pionRealm = "r"

func newDesk() (*desk, error) {
	d := &desk{next: make(chan *intake), done: make(chan struct{})}
	_, err := turn.NewServer(turn.ServerConfig{
		Realm:         pionRealm,
		AuthHandler:   func(string, string, net.Addr) ([]byte, bool) { return d.in.authenticate() },
		LoggerFactory: silent{},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            d,
			RelayAddressGenerator: generator{d},
		}},
	})
	return d, err
}

// handle has pion handle the current request of an intake, and returns when it has been
// answered.
func (d *desk) handle(in *intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next <- in
	<-d.done
}

// close ends the desk, which nobody may come to any more.
func (d *desk) close() { close(d.next) }

// ReadFrom tells pion the next request.
func (d *desk) ReadFrom(p []byte) (int, net.Addr, error) {
	if d.in != nil {
		d.in.settle()
		d.in = nil
		d.done <- struct{}{}
	}
	in, ok := <-d.next
	if !ok {
		return 0, nil, net.ErrClosed
	}
	d.in = in
	return in.forPion(p), net.UDPAddrFromAddrPort(in.req.from.addr), nil
}

// WriteTo takes pion's answer to the current request.
func (d *desk) WriteTo(b []byte, _ net.Addr) (int, error) {
	d.in.answered(b)
	return len(b), nil
}

// LocalAddr is the same for all: pion tells nobody.
func (d *desk) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero} }
