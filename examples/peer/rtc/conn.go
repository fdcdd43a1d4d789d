package rtc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// label is the name of the data channel.
const label = "mesh"

// Errors that Events.Closed gets.
var (
	ErrTimeout  = errors.New("connection was not made in time")
	ErrFailed   = errors.New("connection failed")
	ErrNoPath   = errors.New("connection was lost and found no other path")
	ErrRefused  = errors.New("peer refused the offer")
	ErrProtocol = errors.New("neighbor broke the protocol")
	// ErrWornOut: so many records were sent under one key that a new connection is
	// due (DTLS with random nonces).
	ErrWornOut = errors.New("connection has carried as much as is safe")
)

// Options are the ways a connection may be made.
type Options struct {
	Servers   []signal.ICEServer
	RelayOnly bool
}

// Events are what a Conn says, from goroutines of its own. An event may wait,
// and slows the peer down while it does; Closed may come while another waits.
type Events struct {
	// Description is the local offer or answer, to be sent to the peer.
	Description func(t signal.Type, sdp string)
	// Candidate is a local candidate. It comes after Description.
	Candidate func(c signal.ICECandidate)
	// Open: the channel is open, over a path; it comes again when that is another.
	Open func(p Path)
	// Lost: nothing comes over the path any more. It may come back by itself, after a
	// Restart, or not at all: then Closed follows.
	Lost func()
	// Message is one message, chunks whole. While it waits, the peer is slowed
	// down.
	Message func(m *wire.Message)
	// Closed: it is over. It comes once, unless Close was called before.
	Closed func(err error)
}

// Conn is one connection. Its methods do not wait, and may be called from
// anywhere.
type Conn struct {
	net    *Net
	events Events
	pc     *webrtc.PeerConnection
	ctx    context.Context
	cancel context.CancelFunc
	begun  time.Time

	mu      sync.Mutex
	steps   []job // before what is queued, which may wait for them
	queue   []job
	closing bool // by our side: nothing is said any more
	over    bool // Closed was said
	flush   *time.Timer
	wake    chan struct{}
	low     chan struct{} // the buffer went low

	// Used by the worker only.
	described bool                      // the remote description is set
	offering  bool                      // our offer is not answered
	early     []webrtc.ICECandidateInit // came before it
	named     signaled
	way       Path // in use
	channel   datachannel.ReadWriteCloser
	dc        *webrtc.DataChannel
	written   uint64 // bytes
	records   uint64 // sent, about
	unsent    []unsent
}

// job is what the worker does: a step, or a message to send, with what is to be called
// when it has left. Steps are done in order, and so are messages.
type job struct {
	do    func() error
	frame []byte
	chunk *chunk
}

type chunk struct {
	segment wire.SegmentID
	index   uint8
	data    []byte
	sent    func()

	signature []byte
}

// unsent is a chunk whose last byte is not on its way yet.
type unsent struct {
	end  uint64
	sent func()
}

// Offer begins a connection from our side.
func (n *Net) Offer(o Options, e Events) *Conn {
	return n.begin(o, e, func(c *Conn) error {
		dc, err := c.pc.CreateDataChannel(label, nil)
		if err != nil {
			return err
		}
		c.watch(dc)
		offer, err := c.pc.CreateOffer(nil)
		if err != nil {
			return err
		}
		return c.describe(signal.Offer, offer)
	})
}

// Answer begins a connection that the peer has offered.
func (n *Net) Answer(o Options, sdp string, e Events) *Conn {
	return n.begin(o, e, func(c *Conn) error {
		c.pc.OnDataChannel(func(dc *webrtc.DataChannel) {
			if dc.Label() != label {
				c.fail(fmt.Errorf("%w: data channel %q", ErrProtocol, dc.Label()))
				return
			}
			c.watch(dc)
		})
		if err := c.accept(webrtc.SDPTypeOffer, sdp); err != nil {
			return err
		}
		answer, err := c.pc.CreateAnswer(nil)
		if err != nil {
			return err
		}
		return c.describe(signal.Answer, answer)
	})
}

func (n *Net) begin(o Options, e Events, first func(*Conn) error) *Conn {
	c := &Conn{net: n, events: e, begun: time.Now(), named: signaled{}, wake: make(chan struct{}, 1), low: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if !n.enter() {
		c.cancel()
		go c.fail(ErrFailed)
		return c
	}
	c.push(job{do: func() error { return c.connect(o, first) }})
	go c.work()
	return c
}

// connect makes the PeerConnection and takes the first step of the negotiation.
func (c *Conn) connect(o Options, first func(*Conn) error) error {
	config := webrtc.Configuration{Certificates: []webrtc.Certificate{c.net.cert}}
	for _, s := range o.Servers {
		config.ICEServers = append(config.ICEServers, webrtc.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Credential})
	}
	if o.RelayOnly {
		config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	c.net.relays.know(o.Servers)
	pc, err := c.net.api(c.net.luck.wait(o.RelayOnly)).NewPeerConnection(config)
	if err != nil {
		return fmt.Errorf("make a connection: %w", err)
	}
	c.pc = pc
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil {
			return
		}
		init := candidate.ToJSON()
		c.push(job{do: func() error {
			c.say(func() {
				c.events.Candidate(signal.ICECandidate{Candidate: init.Candidate, SDPMid: init.SDPMid,
					SDPMLineIndex: init.SDPMLineIndex, UsernameFragment: init.UsernameFragment})
			})
			return nil
		}})
	})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			c.fail(ErrFailed)
		case webrtc.PeerConnectionStateConnected:
			c.push(job{do: func() error { c.reroute(); return nil }})
		case webrtc.PeerConnectionStateDisconnected:
			c.push(job{do: func() error { c.say(c.events.Lost); return nil }})
		}
	})
	return first(c)
}

func (c *Conn) describe(t signal.Type, d webrtc.SessionDescription) error {
	if err := c.pc.SetLocalDescription(d); err != nil {
		return err
	}
	c.offering = t == signal.Offer
	c.say(func() { c.events.Description(t, d.SDP) })
	return nil
}

func (c *Conn) accept(t webrtc.SDPType, sdp string) error {
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: t, SDP: sdp}); err != nil {
		return fmt.Errorf("read the description of the peer: %w", err)
	}
	c.described, c.offering = true, false
	for _, candidate := range c.early {
		_ = c.pc.AddICECandidate(candidate) // one that cannot be used is not missed
	}
	c.early = nil
	return nil
}

// SetAnswer gives the answer to our offer.
func (c *Conn) SetAnswer(sdp string) {
	c.push(job{do: func() error {
		if !c.offering {
			return nil
		}
		if c.channel != nil {
			c.expectPath()
		}
		return c.accept(webrtc.SDPTypeAnswer, sdp)
	}})
}

// expectPath fails the connection if a Restart that the peer has answered finds no path in
// time. Candidates are gathered once: what an outage keeps from the STUN server then is
// missing for good, while a new connection gathers anew.
func (c *Conn) expectPath() {
	time.AfterFunc(restartWait, func() {
		c.push(job{do: func() error {
			if s := c.pc.ICEConnectionState(); s == webrtc.ICEConnectionStateConnected || s == webrtc.ICEConnectionStateCompleted {
				return nil
			}
			return ErrNoPath
		}})
	})
}

// Restart looks for a path anew (RFC 8445, section 9), while the channel and what lies in
// it stay: another offer comes as Events.Description, and the peer gives it to Answer.
func (c *Conn) Restart() {
	c.push(job{do: func() error {
		if c.channel == nil || c.offering {
			return nil
		}
		offer, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
		if err != nil {
			return fmt.Errorf("look for a path anew: %w", err)
		}
		c.described = false // candidates that come are of the new description
		return c.describe(signal.Offer, offer)
	}})
}

// Answer answers an offer of the peer to look for a path anew. When both make one at once,
// that of the side which does not yield stands.
func (c *Conn) Answer(sdp string, yield bool) {
	c.push(job{do: func() error {
		switch {
		case c.offering && yield:
			return fmt.Errorf("%w: both sides looked for a path anew at once", ErrFailed)
		case c.offering:
			return nil
		}
		if err := c.accept(webrtc.SDPTypeOffer, sdp); err != nil {
			return err
		}
		answer, err := c.pc.CreateAnswer(nil)
		if err != nil {
			return err
		}
		return c.describe(signal.Answer, answer)
	}})
}

// Refused says that the peer refused the last offer. One that is answered stays.
func (c *Conn) Refused() {
	c.push(job{do: func() error {
		if !c.offering {
			return nil
		}
		return ErrRefused
	}})
}

// AddCandidate gives a candidate of the peer; it may come before the answer.
func (c *Conn) AddCandidate(candidate signal.ICECandidate) {
	init := webrtc.ICECandidateInit{Candidate: candidate.Candidate, SDPMid: candidate.SDPMid,
		SDPMLineIndex: candidate.SDPMLineIndex, UsernameFragment: candidate.UsernameFragment}
	c.push(job{do: func() error {
		c.named.note(init.Candidate)
		switch {
		case init.Candidate == "": // end of candidates
		case c.described:
			_ = c.pc.AddICECandidate(init)
			c.reroute() // the candidate in use may have been without a name
		case len(c.early) < 64:
			c.early = append(c.early, init)
		}
		return nil
	}})
}

// Send queues a message.
func (c *Conn) Send(m *wire.Message) { c.push(job{frame: wire.Append(nil, m)}) }

// SendChunk queues a chunk with our signature of it, in fragments. sent is called when the path can take
// another one, or never if the connection ends before.
func (c *Conn) SendChunk(segment wire.SegmentID, index uint8, data, signature []byte, sent func()) {
	c.push(job{chunk: &chunk{segment, index, data, sent, signature}})
}

// Close sends what is queued and closes. Closed is not said any more.
func (c *Conn) Close() {
	c.mu.Lock()
	if !c.closing {
		c.closing = true
		c.flush = time.AfterFunc(flushWait, c.cancel)
	}
	c.mu.Unlock()
	c.wakeUp()
}

// push queues a job for the worker.
func (c *Conn) push(j job) {
	c.mu.Lock()
	if !c.closing && !c.over {
		if j.do != nil {
			c.steps = append(c.steps, j)
		} else {
			c.queue = append(c.queue, j)
		}
	}
	c.mu.Unlock()
	c.wakeUp()
}

func (c *Conn) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// say calls an event unless the connection is over or being closed.
func (c *Conn) say(event func()) {
	c.mu.Lock()
	silent := c.closing || c.over
	c.mu.Unlock()
	if !silent {
		event()
	}
}

// fail ends the connection from the other side.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	first := !c.over
	silent := c.closing
	c.over = true
	c.mu.Unlock()
	c.cancel()
	if first && !silent {
		c.events.Closed(err)
	}
}

// path returns the path in use; its types are "" if that is not known.
func (c *Conn) path() Path {
	p := Path{Took: time.Since(c.begun)}
	sctp := c.pc.SCTP()
	if sctp == nil || sctp.Transport() == nil || sctp.Transport().ICETransport() == nil {
		return p
	}
	pair, err := sctp.Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return p
	}
	p.Local, p.Remote = pair.Local.Typ.String(), c.named.typeOf(pair.Remote.Address, pair.Remote.Port, pair.Remote.Typ.String())
	p.LocalAddress, p.RemoteAddress = pair.Local.Address, pair.Remote.Address
	if pair.Local.Typ != webrtc.ICECandidateTypeRelay {
		return p
	}
	for _, s := range c.pc.GetStats() {
		if l, ok := s.(webrtc.ICECandidateStats); ok && l.Type == webrtc.StatsTypeLocalCandidate && l.CandidateType == pair.Local.Typ &&
			l.IP == pair.Local.Address && l.Port == int32(pair.Local.Port) {
			p.Relay = l.RelayProtocol
		}
	}
	return p
}

// reroute says which path is in use if that is another than before.
func (c *Conn) reroute() {
	if c.channel == nil {
		return
	}
	p := c.path()
	p.Took = c.way.Took
	if p != c.way && p.Local != "" {
		c.way = p
		c.say(func() { c.events.Open(p) })
	}
}

// expire fails the connection if its channel is not open in time.
func (c *Conn) expire() *time.Timer {
	return time.AfterFunc(connectWait, func() { c.fail(ErrTimeout) })
}
