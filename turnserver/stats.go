package turnserver

import "sync/atomic"

// Transport is how a client reaches the server.
type Transport uint8

// The transports.
const (
	UDP Transport = iota
	TCP
	TLS
	transports
)

// String is the transport's name in lower case.
func (t Transport) String() string { return [...]string{"udp", "tcp", "tls"}[t] }

// Drop is why something was not relayed or answered.
type Drop uint8

// The reasons, with what they count.
const (
	dropNone        Drop = iota
	DropForeign          // datagram that is neither STUN nor ChannelData
	DropMalformed        // message that the packet filter refused
	DropMethod           // message of a method or class that the server does not serve
	DropKeepalive        // Binding indication: nothing to do, nothing wrong
	DropOversize         // datagram too large to relay
	DropAllocation       // data without an allocation
	DropPermission       // data to or from a peer without a permission or channel
	DropOwnAddress       // data to the relay's own address that no allocation listens on
	DropBandwidth        // data beyond a user's or the server's rate
	DropQuota            // data beyond a user's or the server's bytes
	DropSocket           // data that a socket did not take
	DropSlow             // data for a TCP or TLS client that does not read fast enough
	DropUnauthLimit      // request that was left unanswered to bound amplification
	DropConnLimit        // TCP or TLS connection beyond a limit
	DropHandshake        // TLS connection whose handshake failed
	dropReasons
)

var dropNames = [dropReasons]string{
	"", "foreign", "malformed", "method", "keepalive", "oversize", "allocation", "permission", "own_address",
	"bandwidth", "quota", "socket", "slow", "unauth_limit", "conn_limit", "handshake",
}

// String is the reason's name in snake case, as metrics want it.
func (d Drop) String() string { return dropNames[d] }

// Stats is what the server counts. Counters run from New on.
type Stats struct {
	// Allocations are the live allocations by transport.
	Allocations map[string]int64
	// AllocationsTotal counts the allocations made by transport.
	AllocationsTotal map[string]int64
	// Conns are the open TCP and TLS connections by transport.
	Conns map[string]int64
	// UpBytes and UpPackets count payload relayed from clients to peers, DownBytes
	// and DownPackets from peers to clients.
	UpBytes, UpPackets, DownBytes, DownPackets int64
	// Listeners are the payload counts by the listener that clients came in by:
	// "udp/ADDRESS", "tcp/ADDRESS", "tls/ADDRESS", or "shared/:PORT" for ServeConn.
	Listeners map[string]Relayed
	// Transports are the payload counts by the transport of clients.
	Transports map[string]Relayed
	// Relayed is all payload, in bytes. What one allocation of this server sends to
	// another counts once.
	Relayed int64
	// Bindings counts the STUN Binding requests answered.
	Bindings int64
	// AuthFailures counts requests with credentials that were refused.
	AuthFailures int64
	// Challenges counts the 401 answers to requests without credentials.
	Challenges int64
	// Refused counts the requests of authenticated users that were refused, by STUN
	// error code.
	Refused map[int]int64
	// Drops counts what was neither relayed nor answered, by reason.
	Drops map[string]int64
}

// Relayed counts relayed payload.
type Relayed struct{ UpBytes, UpPackets, DownBytes, DownPackets int64 }

func (r Relayed) plus(o Relayed) Relayed {
	return Relayed{r.UpBytes + o.UpBytes, r.UpPackets + o.UpPackets, r.DownBytes + o.DownBytes, r.DownPackets + o.DownPackets}
}

// counters is the living form of Stats.
type counters struct {
	live, made, conns [transports]atomic.Int64
	flow              flow // of allocations that are gone
	bindings          atomic.Int64
	authFailures      atomic.Int64
	challenges        atomic.Int64
	refused           [700]atomic.Int64
	drops             [dropReasons]atomic.Int64
}

// flow counts relayed payload. It lies on cache lines of its own, as the
// goroutines of different allocations write it.
type flow struct {
	upBytes, upPackets     atomic.Int64
	_                      [48]byte
	downBytes, downPackets atomic.Int64
	_                      [48]byte
}

func (c *counters) drop(d Drop) { c.drops[d].Add(1) }

// stats returns the counters as they stand; live calls f with each live flow.
func (c *counters) stats(live func(f func(*flow))) Stats {
	st := Stats{
		Allocations:      map[string]int64{},
		AllocationsTotal: map[string]int64{},
		Conns:            map[string]int64{},
		Bindings:         c.bindings.Load(),
		AuthFailures:     c.authFailures.Load(),
		Challenges:       c.challenges.Load(),
		Refused:          map[int]int64{},
		Drops:            map[string]int64{},
	}
	for t := range transports {
		st.Allocations[t.String()] = c.live[t].Load()
		st.AllocationsTotal[t.String()] = c.made[t].Load()
		if t != UDP {
			st.Conns[t.String()] = c.conns[t].Load()
		}
	}
	for code := range c.refused {
		if n := c.refused[code].Load(); n > 0 {
			st.Refused[code] = n
		}
	}
	for d := dropNone + 1; d < dropReasons; d++ {
		st.Drops[d.String()] = c.drops[d].Load()
	}
	live(func(f *flow) { f.addTo(&st) })
	c.flow.addTo(&st)
	return st
}

func (f *flow) addTo(st *Stats) {
	st.UpBytes += f.upBytes.Load()
	st.UpPackets += f.upPackets.Load()
	st.DownBytes += f.downBytes.Load()
	st.DownPackets += f.downPackets.Load()
}
