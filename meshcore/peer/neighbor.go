package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// neighbors is whom the engine is connected with.
type neighbors struct {
	slots          []*neighbor
	ids            []wire.PeerID // by slot, of a slot in use
	memory         []neighbor    // what slots point into
	paces          []pace        // by slot
	giving         uint64        // slots of neighbors that are up and give
	relays         uint64        // those of them that are reached over a relay
	relayAllowance float64       // bytes that may be asked over relays; below 0 after a chunk that was larger
	relayAt        time.Duration // as of when
	taken          int           // slots in use
	ups            int           // neighbors that are up
	upAt           time.Duration // when the first of them came
	barred         []wire.PeerID // broke the protocol, lied, or were banned
	backoffs       backoffs      // neighbors that were slow or could not be reached
	swarmSize      int
	duty           *signal.Duty
	passAt         time.Duration // when the pass of a neighbor runs out, the first of them
	expireAt       time.Duration // when a neighbor may be late
}

func newNeighbors(n int) neighbors {
	return neighbors{slots: make([]*neighbor, n), ids: make([]wire.PeerID, n), memory: make([]neighbor, n), paces: make([]pace, n),
		swarmSize: -1, passAt: never, expireAt: never}
}

// neighbor is a connected peer, or one that we are connecting to.
type neighbor struct {
	*pace
	id       wire.PeerID
	slot     int
	open     bool // the data channel is open
	greeted  bool // its hello came
	up       bool // its pass is good: chunks may travel
	relayed  bool
	noUpload bool

	pending  []pending // what we asked of it, oldest first
	sending  []int64   // bytes of each chunk for it that the driver has and has not sent
	misses   int       // announced chunks that were not there
	busies   int       // times in a row that it asked us to wait
	pingAt   time.Duration
	heardAt  time.Duration // when its last message came
	struckAt time.Duration // when it let the first time in a row pass
	number   uint64        // its rendition
	since    time.Duration

	mute     bool          // its pass does not let it give
	passSeen time.Duration // when its last hello came
	passBy   time.Duration // when its pass runs out; 0 before it is up

	gaveUs, tookFromUs     int64 // bytes, over all
	gaveRecent, tookRecent int64 // since the last review
}

// pace is what plan looks at of a neighbor, for which those of all lie side by side.
type pace struct {
	busyUntil    time.Duration // it asked us to wait
	rate         float64       // bytes/s it gives us
	pendingBytes int64         // asked of it and not come
	minRoom      int64         // bytes that may be asked of it however slow it is
	rtt          time.Duration
	lastAt       time.Duration // when its last chunk came
	hoped        float64       // the rate it is thought to give while it is not known, else 0
	strikes      int           // timeouts in a row
}

type pending struct {
	seg   *segment
	index uint8
	bytes int64
	at    time.Duration
	by    time.Duration // when it is given up
}

// connected is the number of neighbors that chunks may travel to and from.
func (ns *neighbors) connected() int { return ns.ups }

func (ns *neighbors) occupied() int { return ns.taken }

// neighbor finds a neighbor. The ids of two dozen lie side by side: to go through them
// touches less memory than a map, and with many engines in one process memory is what costs.
func (ns *neighbors) neighbor(id wire.PeerID) *neighbor {
	for i, x := range ns.ids {
		if x == id && ns.slots[i] != nil {
			return ns.slots[i]
		}
	}
	return nil
}

// crowded reports that the origin may have too little for all: the edge says so, or they
// are many.
func (e *Engine) crowded() bool { return e.originWait > 0 || e.swarmSize >= crowd }

// noteGiving keeps the set of neighbors that chunks may be asked of.
func (ns *neighbors) noteGiving(n *neighbor) {
	ns.giving &^= 1 << n.slot
	ns.relays &^= 1 << n.slot
	if n.up && !n.noUpload {
		ns.giving |= 1 << n.slot
		if n.relayed {
			ns.relays |= 1 << n.slot
		}
	}
}

// target is the number of neighbors that the engine looks for itself; the
// rest of the slots is for those who look for it.
func (e *Engine) target() int { return max(1, e.cfg.Neighbors*2/3) }

func (e *Engine) addNeighbor(now time.Duration, id wire.PeerID) *neighbor {
	for i, n := range e.slots {
		if n == nil {
			n = &e.memory[i]
			e.paces[i] = pace{rtt: 100 * time.Millisecond, rate: startRate, minRoom: 32 << 10}
			*n = neighbor{pace: &e.paces[i], id: id, slot: i, since: now, pending: n.pending[:0], sending: n.sending[:0]}
			e.slots[i], e.ids[i] = n, id
			e.taken++
			return n
		}
	}
	return nil
}

func contains(list []wire.PeerID, id wire.PeerID) bool {
	for _, x := range list {
		if x == id {
			return true
		}
	}
	return false
}

// remember appends to a bounded list.
func remember(list []wire.PeerID, id wire.PeerID) []wire.PeerID {
	if contains(list, id) {
		return list
	}
	if len(list) == signal.MaxFailed {
		copy(list, list[1:])
		list = list[:len(list)-1]
	}
	return append(list, id)
}

// onSignal takes a peer list or a drop from the edge.
func (e *Engine) onSignal(now time.Duration, m *signal.Message) {
	switch m.Type {
	case signal.Peers:
		e.swarmSize = m.SwarmSize
		e.duty = m.Duty
		for i := range m.Peers {
			p := &m.Peers[i]
			if !p.Initiate || p.ID == e.cfg.ID || e.neighbor(p.ID) != nil || contains(e.barred, p.ID) || e.backoffs.find(now, p.ID) != nil ||
				(!p.Upload && !e.upload) || e.lacking() == 0 {
				continue
			}
			e.addNeighbor(now, p.ID)
			e.emit(Effect{Kind: Connect, Peer: p.ID})
		}
		e.dirty(now)
	case signal.Drop:
		if m.Peer == nil {
			return
		}
		n := e.neighbor(*m.Peer)
		if m.Reason == "banned" {
			e.barred = remember(e.barred, *m.Peer)
			if n != nil {
				e.drop(now, n, wire.ByeFault)
			}
		} else if n != nil && !n.open { // it left before it could answer
			e.drop(now, n, wire.ByeLeaving)
		}
	}
}

// onOffered accepts a peer that offers a connection, if there is room and it was not
// slow just before. One that could not be reached is welcome: its network may have
// changed. When two peers offer to each other at once, the offer of the smaller id stands.
func (e *Engine) onOffered(now time.Duration, id wire.PeerID) {
	n, b := e.neighbor(id), e.backoffs.find(now, id)
	switch {
	case contains(e.barred, id) || id == e.cfg.ID || b != nil && b.slow:
		e.emit(Effect{Kind: Disconnect, Peer: id})
		return
	case n != nil && !n.open && e.cfg.ID < id:
		return // ours stands; the other side will accept it
	case n != nil:
		e.release(now, n) // it began anew
	}
	if e.addNeighbor(now, id) == nil {
		e.emit(Effect{Kind: Disconnect, Peer: id})
		return
	}
	e.emit(Effect{Kind: Accept, Peer: id})
}

func (e *Engine) onUp(now time.Duration, in *Input) {
	n := e.neighbor(in.Peer)
	if n == nil {
		e.emit(Effect{Kind: Disconnect, Peer: in.Peer})
		return
	}
	if n.open { // over another path
		n.relayed = in.Relayed
		e.noteGiving(n)
		e.dirty(now)
		return
	}
	n.open, n.relayed, n.pingAt, n.heardAt = true, in.Relayed, now, now
	e.sayHello(n)
	e.send(n, wire.Message{Type: wire.Ping, Nonce: uint32(n.slot)})
}

// sayHello introduces this peer, or shows the pass that it was given since.
func (e *Engine) sayHello(n *neighbor) {
	e.send(n, wire.Message{Type: wire.Hello, Version: wire.Version, Flags: e.flags(), Peer: e.cfg.ID, Rendition: e.number, Token: e.cfg.Pass})
}

func (e *Engine) onDown(now time.Duration, id wire.PeerID) {
	n := e.neighbor(id)
	if n == nil {
		return
	}
	if !n.open {
		e.backoffs.add(now, id, false)
	}
	e.release(now, n)
	e.lookForPeers(now)
}

// drop ends a connection for a reason that the neighbor is told.
func (e *Engine) drop(now time.Duration, n *neighbor, reason uint8) {
	if n.open {
		e.send(n, wire.Message{Type: wire.Bye, Reason: reason})
	}
	e.release(now, n)
	e.emit(Effect{Kind: Disconnect, Peer: n.id})
	e.lookForPeers(now)
}

// dropSlow drops a neighbor that is there and of no use.
func (e *Engine) dropSlow(now time.Duration, n *neighbor) {
	e.backoffs.add(now, n.id, true)
	e.drop(now, n, wire.ByeSlow)
}

// dropSilent drops a neighbor whose path is dead. It may be tried again at once; if it
// is silent again before any of its bytes came, it is left alone.
func (e *Engine) dropSilent(now time.Duration, n *neighbor) {
	e.backoffs.addSilent(now, n.id)
	e.drop(now, n, wire.ByeLeaving)
}

// release forgets a neighbor and all that was asked of it or by it.
func (e *Engine) release(now time.Duration, n *neighbor) {
	e.forgetPending(n)
	for _, s := range e.list {
		s.setTheirs(n.slot, 0)
		s.requested[n.slot] = 0
		if s.proofFrom == n.slot {
			s.proofFrom = -1
		}
		held := s.held[:0]
		for _, h := range s.held {
			if h.slot == n.slot {
				s.checking &^= 1 << h.index
			} else {
				held = append(held, h)
			}
		}
		clear(s.held[len(held):]) // their bytes go at once
		s.held = held
		for i := len(s.disputed) - 1; i >= 0; i-- {
			if s.disputed[i].slot == n.slot {
				s.disputed = append(s.disputed[:i], s.disputed[i+1:]...)
			}
		}
	}
	e.unqueue(func(it *item) bool { return it.n == n })
	for _, bytes := range n.sending {
		e.inFlight -= bytes
	}
	e.slots[n.slot] = nil
	e.taken--
	if n.up {
		n.up = false
		e.ups--
		e.noteGiving(n)
	}
	e.dirty(now)
}

// forgetPending takes back all that was asked of a neighbor.
func (e *Engine) forgetPending(n *neighbor) {
	for i := range n.pending {
		n.pending[i].seg.asked &^= 1 << n.pending[i].index
	}
	n.pending, n.pendingBytes = n.pending[:0], 0
}

// lacking is how many neighbors the engine looks for. Those that play another rendition
// count half, because they have less and less for it after a switch.
func (e *Engine) lacking() int {
	others := 0
	for _, n := range e.slots {
		if n != nil && n.up && n.number != e.number {
			others++
		}
	}
	return max(0, min(e.target()-e.occupied()+others/2, e.cfg.Neighbors-e.occupied()))
}

// countRelayed is the number of neighbors that are reached over a relay.
func (ns *neighbors) countRelayed() (n int) {
	for _, x := range ns.slots {
		if x != nil && x.open && x.relayed {
			n++
		}
	}
	return n
}

// lookForPeers has an announce sent soon if there are too few neighbors.
func (e *Engine) lookForPeers(now time.Duration) {
	if e.lacking() > 0 && (e.swarmSize < 0 || e.occupied() < e.swarmSize-1) {
		e.announceAt = min(e.announceAt, max(now, e.announced+announceFloor))
	}
}

// announce tells the edge of this peer, and asks for peers if some are lacking.
func (e *Engine) announce(now time.Duration) {
	e.announced = now
	e.announceAt = now + e.cfg.AnnounceInterval
	if now-e.startedAt < e.cfg.AnnounceInterval/2 {
		e.announceAt = now + e.cfg.AnnounceInterval/4 // the edge does not know our uplink yet
	}
	e.review(now)
	want := e.lacking()
	if want > 0 && (e.swarmSize < 0 || e.occupied() < e.swarmSize-1) {
		// Ask again soon, with some spread, while neighbors are lacking.
		e.announceAt = now + 3*announceFloor + time.Duration(e.draw(e.cfg.Seed+uint64(now))%uint64(2*announceFloor))
	}
	a := &signal.Announcement{
		Rendition: e.rendition, Live: e.live, PositionMS: max(0, e.playhead(now).Milliseconds()),
		Neighbors: e.occupied(), Want: want, Upload: e.upload,
		Failed: e.backoffs.failed(now), Relayed: e.countRelayed(),
	}
	if e.report.UploadedBytes >= 1<<20 {
		a.UplinkBPS = int64(8 * e.uploadRate)
		if limit := e.cfg.UploadRate; limit > 0 {
			a.UplinkBPS = int64(8 * min(e.uploadRate, limit))
		}
	}
	e.emit(Effect{Kind: Signal, Signal: &signal.Message{Type: signal.Announce, Announcement: a}})
}

// review drops, at each announce, a neighbor that was of no use since the last, and
// two of those that play another rendition or are reached over a relay, when there are
// others of the swarm to try in their place.
func (e *Engine) review(now time.Duration) {
	spare := 0
	if e.occupied() >= e.target() && e.swarmSize > e.occupied()+1 {
		spare = 2
	}
	for pass := range 2 { // those of another rendition and over a relay first
		for _, n := range e.slots {
			if n == nil || spare <= 0 || !n.up || now-n.since < e.cfg.AnnounceInterval/2 || n.gaveRecent+n.tookRecent > 0 ||
				(pass == 0) != (n.number != e.number || n.relayed) {
				continue
			}
			if spare--; pass == 1 {
				spare = 0
			}
			e.send(n, wire.Message{Type: wire.Bye, Reason: wire.ByeSlow})
			e.release(now, n)
			e.emit(Effect{Kind: Disconnect, Peer: n.id})
		}
	}
	for _, n := range e.slots {
		if n != nil {
			n.gaveRecent, n.tookRecent = 0, 0
		}
	}
}

// fault ends the connection to a neighbor that broke the protocol.
func (e *Engine) fault(now time.Duration, n *neighbor) {
	e.barred = remember(e.barred, n.id)
	e.drop(now, n, wire.ByeFault)
}
