// Package rtc carries the peer protocol over WebRTC data channels with
// pion/webrtc v3, which nothing else imports.
//
// A [Net] is the socket of one viewer; each [Conn] is one PeerConnection with
// one ordered, reliable data channel named "mesh". What a Conn has to say it says
// through [Events], never while one of its methods is being called, so that a
// driver may hold what it likes.
package rtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v3"
)

const (
	// connectWait is how long an attempt to connect may take.
	connectWait = 20 * time.Second
	// lostAfter is how long nothing may come over a path before it counts as lost, and
	// failedAfter how long it is then waited for.
	lostAfter   = 3 * time.Second
	failedAfter = 9 * time.Second
	// restartWait is how long a path may take that is looked for anew, once both sides have
	// described themselves.
	restartWait = 4 * time.Second
	// natWait is how long a pair over NATs waits for one without.
	natWait = 300 * time.Millisecond
	// flushWait is how long what is queued may take when a connection is closed.
	flushWait = 2 * time.Second
)

// certificate is shared by all connections of a process: making a key costs more
// than the rest of a handshake.
var certificate = sync.OnceValues(func() (*webrtc.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return webrtc.GenerateCertificate(key)
})

// Net is what all connections of one viewer share. It is safe for concurrent
// use.
type Net struct {
	mux     *sockets
	over    families
	loggers logging.LoggerFactory
	relays  *relays
	luck    luck
	cert    webrtc.Certificate

	mu     sync.Mutex
	open   int // data channels
	closed bool
	conns  sync.WaitGroup
}

// Listen binds a UDP socket on every interface, loopback included, so that peers on one
// machine find each other without any network. Relays that speak TLS are trusted by roots,
// nil for those of the machine.
func Listen(roots *x509.CertPool) (*Net, error) {
	cert, err := certificate()
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	loggers := logging.NewDefaultLoggerFactory()
	loggers.DefaultLogLevel = logging.LogLevelDisabled // what matters comes as errors
	mux := &sockets{log: loggers.NewLogger("ice"), open: map[string]ice.UDPMux{}}
	if _, err := mux.bind(); err != nil {
		return nil, err
	}
	over, err := newFamilies()
	if err != nil {
		return nil, fmt.Errorf("look at the network interfaces: %w", err)
	}
	return &Net{mux: mux, over: over, loggers: loggers, relays: &relays{roots: roots, tls: map[string]string{}}, cert: *cert}, nil
}

// api makes connections whose relayed pairs wait for better ones as long as is told.
func (n *Net) api(relayWait time.Duration) *webrtc.API {
	var e webrtc.SettingEngine
	e.LoggerFactory = n.loggers
	e.SetNet(n.over)
	e.SetICEUDPMux(n.mux)
	e.SetICEProxyDialer(n.relays)
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.DisableActiveTCP(true)
	e.SetICETimeouts(lostAfter, failedAfter, 2*time.Second)
	// A host of the same network answers soonest, so that there is no need to wait long
	// for one with what goes over NATs.
	e.SetSrflxAcceptanceMinWait(natWait)
	e.SetPrflxAcceptanceMinWait(natWait)
	e.SetRelayAcceptanceMinWait(relayWait)
	e.DetachDataChannels()
	return webrtc.NewAPI(webrtc.WithSettingEngine(e))
}

// Rebind has the sockets follow the addresses of this machine, and reports whether they
// have changed: connections then need a Restart.
func (n *Net) Rebind() (changed bool, err error) {
	if changed, err = n.mux.bind(); changed {
		n.luck.forget()
	}
	return changed, err
}

// Close waits until the connections, all of which must have been closed, are
// gone, and closes the sockets.
func (n *Net) Close() error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.conns.Wait()
	if err := n.mux.Close(); err != nil {
		return fmt.Errorf("close UDP: %w", err)
	}
	return nil
}

// enter counts a connection; it reports false once the Net is closed.
func (n *Net) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.conns.Add(1)
	return true
}

// opened notes that a data channel opened (1) or closed (-1).
func (n *Net) opened(by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open += by
}

// slack is how much of a chunk may still lie in a channel's buffer when it counts
// as sent. It covers the path's round trip without letting much of the uplink's
// time queue up: 64 KiB among all channels, and at least 16 KiB each.
func (n *Net) slack() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return uint64(max(64<<10/max(1, n.open), 16<<10))
}
