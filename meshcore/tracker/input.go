package tracker

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Config is how a swarm works. The zero value of a field means its default.
type Config struct {
	// Seed makes the random draws repeatable.
	Seed uint64
	// MaxNeighbors is the number of neighbors, those it was just introduced to included, at
	// which a peer is full; default 32, a third more than peer.Config has, because not
	// every introduction becomes a connection.
	MaxNeighbors int
	// MaxTold is how many peers that it was not introduced to before one session
	// is told of in an hour, and how many are told of it, which then offer it a
	// connection; default 400. Facts.MaxTold goes before it.
	MaxTold int
	// Settle is how long changes of membership are gathered before the duty is
	// pushed; default 500 ms.
	Settle time.Duration
	// SmallGroup is the largest group to which every change is pushed; default 64.
	SmallGroup int
	// OwnGroup is the number of uploading members at which a locality takes turns
	// in fetching by itself; below half of it, it joins the others again; default 64.
	OwnGroup int
	// Silence is after how long without a message a peer is let go; default 150 s.
	Silence time.Duration
	// Burst and Rate bound the messages of one peer: Burst at once, Rate a second
	// over time; defaults 1000 and 30.
	Burst, Rate float64
	// Fetchers gives the number of fetchers for a group of n uploading peers;
	// default [DefaultFetchers].
	Fetchers func(n int) int
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.MaxNeighbors, 32)
	def(&c.MaxTold, 400)
	def(&c.SmallGroup, 64)
	def(&c.OwnGroup, 64)
	if c.Settle == 0 {
		c.Settle = 500 * time.Millisecond
	}
	if c.Silence == 0 {
		c.Silence = 150 * time.Second
	}
	if c.Burst == 0 {
		c.Burst = 1000
	}
	if c.Rate == 0 {
		c.Rate = 30
	}
	if c.Fetchers == nil {
		c.Fetchers = DefaultFetchers
	}
	return c
}

// DefaultFetchers is 1 up to 60 uploading peers and grows with the logarithm
// of their number beyond: 2 for 61, 4 for 1,000, 8 for 100,000. With s seeds a
// chunk reaches n peers in 1 + log2(n/s) upload slots, so another seed at each
// threefold keeps the time about the same at a cost that does not grow with the swarm.
func DefaultFetchers(n int) int {
	k := 1
	for n > 60 {
		n /= 3
		k++
	}
	return k
}

// Kind says what an Input or an Effect is.
type Kind uint8

// The inputs.
const (
	// Tick only lets time pass.
	Tick Kind = iota
	// Join admits Peer with Facts: its hello was accepted. A Join of a member
	// replaces its facts and keeps the rest (a reconnect).
	Join
	// Receive brings Message from Peer, of type announce, offer, answer,
	// candidate, refuse, ping, report, complain or leave. What is not for the tracker is
	// answered with an error message.
	Receive
	// Leave takes Peer out: its WebSocket closed.
	Leave
	// Silent: nothing came from Peer for so long that it was asked whether it is there.
	// It is introduced to nobody until it answers.
	Silent
	// Heard: Peer has answered. A Join or Receive says the same.
	Heard
	// Scarce: a segment waits for Wait at the origin; 0 if that is not scarce any more. All
	// members are told.
	Scarce
	// Convicted: evidence that the driver has checked shows that Peer, a member or one that
	// was, gave a wrong chunk (signal.Evidence).
	Convicted
)

// The effects.
const (
	// Send: the driver sends Message to Peer. Failure needs no answer; the
	// closing of the WebSocket comes as Leave.
	Send Kind = iota + 16
	// Close: the driver sends Message, if any, to Peer and closes its WebSocket.
	// The member is gone already; no Leave is needed, one does no harm.
	Close
	// Ban: the driver sees to it that the viewer of this Peer gives no chunks for a
	// while, in a new session neither, and does not renew its pass. A Close follows if it
	// is a member; it may have left.
	Ban
)

// Input is one input.
type Input struct {
	Kind    Kind
	Peer    wire.PeerID
	Facts   Facts           // Join
	Message *signal.Message // Receive
	Wait    time.Duration   // Scarce
	// Size is how many bytes the SDP of Message has, if it is not in it (Receive).
	Size int
}

// Effect is one effect.
type Effect struct {
	Kind    Kind
	Peer    wire.PeerID
	Message *signal.Message // Send, Close
}

// Facts is what the driver knows of a peer. Empty means not known.
type Facts struct {
	// Scope is what the peer's pass covers; peers of different scopes never meet.
	Scope string
	// Region is where the peer is within its country, for example "DE-BE", or Country again.
	Region string
	// Country is a code such as "DE".
	Country string
	// ASN is the number of the network the peer comes from.
	ASN uint32
	// Prefix is the peer's network, for example its /24 or /48, as a string.
	Prefix string
	// Household is the peer's public address, or its /64 for IPv6, as a string: peers of
	// one household meet without the bound on one prefix.
	Household string
	// MaxTold is Config.MaxTold for this peer; 0 is no other.
	MaxTold int
	// ReceiveOnly says that the peer gives no chunks, whatever it announces.
	ReceiveOnly bool
	// Alone says that the peer meets nobody: it is of a control group, and reports.
	Alone bool
	// MinViewers is the number of members from which they are introduced to each other; below
	// half of it they are not any more. The newest member's counts.
	MinViewers int
	// Device and Connection are what the peer plays on, as in signal.Device.
	Device, Connection string
}

// Stats is the state of a swarm in numbers.
type Stats struct {
	Peers     int           // members now
	Uploaders int           // members that give chunks, now
	Totals    signal.Report // sums over all sessions, ended ones included; without BufferMS and Neighbors
	Alone     int           // members that meet nobody, now
	Control   signal.Report // Totals of the sessions that met nobody, which are not in Totals
	Banned    int           // peers banned so far
	Doubted   int           // sessions of whose reports something cannot be true, or be checked: Totals are without it
}
