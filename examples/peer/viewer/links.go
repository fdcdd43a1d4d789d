package viewer

import (
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/rtc"
	"github.com/viewmesh/viewmesh/examples/peer/web"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// link is the connection to one neighbor, or an attempt at one.
type link struct {
	peer  wire.PeerID
	name  string // signal.Message.Connection
	conn  *rtc.Conn
	pass  *tokens.Pass // the neighbor's, once it was checked
	shown string       // the same, as it was shown
	path  *Path        // once it is open
	ours  bool         // we offered it
}

// restart follows the name of a connection in an offer to look for a path anew.
const restart = "/restart"

// maxPaths is how many connections are remembered that have ended.
const maxPaths = 64

// Path is a connection to a neighbor.
type Path struct {
	Peer wire.PeerID
	rtc.Path
	// Opened is when it opened, and FirstByte how long after that the first chunk
	// came, 0 if none did.
	Opened    time.Time
	FirstByte time.Duration
	// Closed says that it has ended.
	Closed bool
}

// connect offers a connection.
func (v *Viewer) connect(id wire.PeerID) {
	v.drop(id)
	if v.listen() != nil {
		v.input(peer.Input{Kind: peer.NeighborDown, Peer: id})
		return
	}
	l := &link{peer: id, name: fmt.Sprintf("%016x", rand.Uint64()), ours: true}
	v.links[id] = l
	l.conn = v.net.Offer(v.options(), v.events(l))
}

// accept answers the offer that is there.
func (v *Viewer) accept(id wire.PeerID) {
	v.drop(id)
	offer := v.offers[id]
	if offer == nil || v.listen() != nil {
		v.input(peer.Input{Kind: peer.NeighborDown, Peer: id})
		return
	}
	l := &link{peer: id, name: offer.Connection}
	v.links[id] = l
	l.conn = v.net.Answer(v.options(), offer.SDP, v.events(l))
}

// disconnect ends a connection of which the engine knows nothing any more, or refuses
// the one that is offered.
func (v *Viewer) disconnect(id wire.PeerID) {
	if offer := v.offers[id]; offer != nil {
		delete(v.offers, id)
		v.signal(&signal.Message{Type: signal.Refuse, To: &id, Connection: offer.Connection})
	}
	v.drop(id)
}

// drop closes the connection to a peer, if there is one.
func (v *Viewer) drop(id wire.PeerID) {
	if l := v.links[id]; l != nil {
		v.forgetLink(l)
		l.conn.Close()
	}
}

// forgetLink takes a connection out, and remembers its path.
func (v *Viewer) forgetLink(l *link) {
	delete(v.links, l.peer)
	if l.path == nil {
		return
	}
	l.path.Closed = true
	if len(v.paths) == maxPaths {
		v.paths = v.paths[1:]
	}
	v.paths = append(v.paths, *l.path)
}

// allPaths returns the connections to neighbors, the last that ended before those that
// are open, which are in the order of their opening.
func (v *Viewer) allPaths() []Path {
	all := slices.Clone(v.paths)
	for _, l := range v.links {
		if l.path != nil {
			all = append(all, *l.path)
		}
	}
	slices.SortStableFunc(all[len(v.paths):], func(a, b Path) int { return a.Opened.Compare(b.Opened) })
	return all
}

// listen sees to it that there is a socket.
func (v *Viewer) listen() error {
	if v.net != nil {
		return nil
	}
	var roots *x509.CertPool
	if t := web.Underlying(v.cfg.HTTP); t != nil && t.TLSClientConfig != nil {
		roots = t.TLSClientConfig.RootCAs
	}
	n, err := rtc.Listen(roots)
	if err != nil {
		v.log.Warn("no connections to peers: there is no UDP", "err", err)
		return err
	}
	v.net = n
	return nil
}

func (v *Viewer) options() rtc.Options {
	o := rtc.Options{Servers: v.servers, RelayOnly: v.cfg.RelayOnly}
	if s := v.session.Load(); s != nil && s.RelayOnly {
		o.RelayOnly = true
	}
	return o
}

// events brings what a connection says into the loop.
func (v *Viewer) events(l *link) rtc.Events {
	in := func(f func()) {
		v.post(func() {
			if v.links[l.peer] == l {
				f()
			}
		})
	}
	to := l.peer
	return rtc.Events{
		Description: func(t signal.Type, sdp string) {
			in(func() {
				name := l.name
				if t == signal.Offer && l.path != nil {
					name += restart
				}
				v.signal(&signal.Message{Type: t, To: &to, Connection: name, SDP: sdp})
			})
		},
		Candidate: func(c signal.ICECandidate) {
			in(func() {
				v.signal(&signal.Message{Type: signal.Candidate, To: &to, Connection: l.name, Candidate: &c})
			})
		},
		Open: func(p rtc.Path) {
			in(func() {
				if l.path == nil {
					l.path = &Path{Peer: l.peer, Opened: time.Now()}
				}
				l.path.Path = p
				v.input(peer.Input{Kind: peer.NeighborUp, Peer: l.peer, Relayed: p.Relayed()})
			})
		},
		Lost: func() {
			in(func() {
				if l.ours { // one side is enough
					l.conn.Restart()
				}
			})
		},
		Message: func(m *wire.Message) { in(func() { v.receive(l, m) }) },
		Closed: func(err error) {
			in(func() {
				v.log.Debug("connection ended", "peer", l.peer, "err", err)
				v.forgetLink(l)
				l.conn.Close()
				v.input(peer.Input{Kind: peer.NeighborDown, Peer: l.peer})
			})
		},
	}
}

// receive takes a message of a neighbor. A request for what its pass does not
// cover is refused here, because the engine knows no paths.
func (v *Viewer) receive(l *link, m *wire.Message) {
	if m.Type == wire.Chunk && l.path != nil && l.path.FirstByte == 0 {
		l.path.FirstByte = time.Since(l.path.Opened)
	}
	if m.Type == wire.Request {
		if g := v.store.Lookup(m.Segment); g != nil && l.pass != nil {
			if p := g.Proof(); p != nil && !l.pass.Covers(p.Path) {
				l.conn.Send(&wire.Message{Type: wire.Reject, Segment: m.Segment, Mask: m.Mask, Reason: wire.RejectDenied})
				return
			}
		}
	}
	v.input(peer.Input{Kind: peer.Receive, Peer: l.peer, Message: m})
}

// checkPass verifies a neighbor's pass and gives what the engine is to know of it.
func (v *Viewer) checkPass(id wire.PeerID, token string) peer.Input {
	in := peer.Input{Kind: peer.PassChecked, Peer: id}
	s, l := v.session.Load(), v.links[id]
	if s == nil || l == nil {
		return in
	}
	now := s.Now()
	pass, err := s.Verifier.VerifyPass(token, now)
	if err != nil || pass.Peer != id.String() || pass.Swarm != s.Swarm {
		v.log.Debug("a neighbor's pass is not good", "peer", id, "err", err)
		return in
	}
	l.pass, l.shown = &pass, token
	in.OK, in.Within, in.ReceiveOnly = true, pass.Expires.Sub(now), pass.ReceiveOnly || pass.Key == nil
	return in
}

// offered takes an offer: of a new connection, or to look for a path of an old one anew.
func (v *Viewer) offered(m *signal.Message) {
	if m.From == nil {
		return
	}
	from := *m.From
	if name, again := strings.CutSuffix(m.Connection, restart); again {
		if l := v.links[from]; l != nil && l.name == name {
			l.conn.Answer(m.SDP, v.session.Load().Peer > from)
		} else {
			v.signal(&signal.Message{Type: signal.Refuse, To: &from, Connection: m.Connection})
		}
		return
	}
	v.offers[from] = m
	v.input(peer.Input{Kind: peer.Offered, Peer: from})
}

// fromEdge takes a message of the edge.
func (v *Viewer) fromEdge(m *signal.Message) {
	switch m.Type {
	case signal.Peers, signal.Drop:
		if m.Type == signal.Peers {
			v.originWaits(time.Duration(m.OriginWaitMS) * time.Millisecond)
		}
		v.input(peer.Input{Kind: peer.SignalIn, Signal: m})
	case signal.Offer:
		v.offered(m)
	case signal.Answer, signal.Candidate, signal.Refuse:
		if m.From == nil {
			return
		}
		l := v.links[*m.From]
		if l == nil || l.name != strings.TrimSuffix(m.Connection, restart) {
			return // of an attempt that was given up
		}
		switch m.Type {
		case signal.Answer:
			l.conn.SetAnswer(m.SDP)
		case signal.Candidate:
			l.conn.AddCandidate(*m.Candidate)
		case signal.Refuse:
			l.conn.Refused()
		}
	case signal.Pass:
		v.input(peer.Input{Kind: peer.Renewed, Pass: m.Pass})
		if m.ICEServers != nil {
			if !slices.EqualFunc(v.servers, m.ICEServers, func(a, b signal.ICEServer) bool { return slices.Equal(a.URLs, b.URLs) }) {
				v.input(peer.Input{Kind: peer.NetworkChanged})
			}
			v.servers = m.ICEServers
		}
	}
}
