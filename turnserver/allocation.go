package turnserver

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// allocation is a relayed transport address: who may send what to whom through it. An
// Allocate that asks for both families makes two, of which the first leads to the
// second.
type allocation struct {
	s      *core
	in     *intake
	user   *user
	client tuple
	addr   netip.AddrPort // the relayed transport address, as given out
	sock   packetSocket
	shared bool     // the server's readers read sock
	txid   [12]byte // of Data indications: any value does, as nobody answers them

	made time.Time
	// What the answer to its Allocate says, should that be asked for again.
	madeBy     [12]byte // transaction id
	granted    uint32   // lifetime in seconds
	token      string
	second     atomic.Pointer[allocation]
	secondCode int // why there is no second one though it was asked for

	policy atomic.Pointer[Policy] // as of the allocation or its last refresh
	flow   flow

	permissions

	endOnce sync.Once
	expiry  *time.Timer
}

// admit holds the quotas for n payload bytes. first is false for those that another
// allocation of the server has admitted already: in all, they count once.
func (a *allocation) admit(now int64, n int, first bool) Drop {
	p := a.policy.Load()
	switch {
	case p.UserBytes > 0 && a.user.used() >= p.UserBytes,
		first && p.TotalBytes > 0 && a.s.relayed.Load() >= p.TotalBytes:
		return DropQuota
	case p.UserBandwidth > 0 && !a.user.rate.takeBytes(now, int64(n), p.UserBandwidth),
		first && p.TotalBandwidth > 0 && !a.s.rate.takeBytes(now, int64(n), p.TotalBandwidth):
		return DropBandwidth
	}
	return dropNone
}

// countUp counts payload that was relayed to a peer, countDown what was relayed to
// the client.
func (a *allocation) countUp(packets int, bytes int64) {
	a.flow.upPackets.Add(int64(packets))
	a.flow.upBytes.Add(bytes)
	a.user.up.Add(bytes)
	a.s.relayed.Add(bytes)
}

func (a *allocation) countDown(packets int, bytes int64, first bool) {
	a.flow.downPackets.Add(int64(packets))
	a.flow.downBytes.Add(bytes)
	a.user.down.Add(bytes)
	if first {
		a.s.relayed.Add(bytes)
	}
}

// addTo adds what it has relayed to the counts by where clients come in.
func (a *allocation) addTo(all map[origin]Relayed) {
	from := origin{a.in.listener, a.in.transport}
	f := &a.flow
	all[from] = all[from].plus(Relayed{f.upBytes.Load(), f.upPackets.Load(), f.downBytes.Load(), f.downPackets.Load()})
}

// begin relays from peers until the allocation ends.
func (a *allocation) begin() {
	if a.shared {
		a.s.readers.watch(a.sock, a.down, a.end)
		return
	}
	go func() {
		defer a.s.wg.Done()
		_ = a.sock.receive(nil, a.down)
		a.end() // where it was the socket that ended
	}()
}

// extend has the allocation last for so many seconds from now.
func (a *allocation) extend(seconds uint32) {
	a.expiry.Reset(time.Duration(seconds) * time.Second)
}

// toward returns the allocation that peers like peer are reached through: of two, the
// one of its family.
func (a *allocation) toward(peer netip.Addr) *allocation {
	if second := a.second.Load(); second != nil && second.addr.Addr().Is4() == peer.Unmap().Is4() {
		return second
	}
	return a
}

// end ends the allocation.
func (a *allocation) end() {
	a.endOnce.Do(func() {
		a.expiry.Stop()
		_ = a.sock.Close()
		a.in.remove(a)
		a.s.relays.remove(a)
		a.s.users.release(a.user, 1)
		a.s.counters.live[a.in.transport].Add(-1)
		a.audit()
		if a.shared {
			a.s.wg.Done()
		}
	})
}

// revoke takes back the permissions and channels of peers that p denies.
func (a *allocation) revoke(p *Policy) {
	a.permissions.revoke(func(peer netip.Addr) bool { return p.checkPeer(peer, a.addr.Addr(), a.s.own.has) != peerAllowed })
}

// audit writes the log line of an allocation that has ended.
func (a *allocation) audit() {
	p := a.s.policy.Load()
	level := zap.DebugLevel
	if p.Audit {
		level = zap.InfoLevel
	}
	entry := a.s.log.Check(level, "allocation ended")
	if entry == nil {
		return
	}
	i := a.info()
	fields := []zap.Field{zap.String("user", i.User), zap.String("transport", i.Transport), zap.String("listener", i.Listener),
		zap.Uint16("relayed_port", i.Relayed.Port()), zap.Int64("up_bytes", i.Up), zap.Int64("down_bytes", i.Down),
		zap.Duration("duration", time.Since(a.made))}
	if p.LogAddresses {
		fields = append(fields, zap.Stringer("client", i.Client))
	}
	entry.Write(fields...)
}

// AllocationInfo is what an operator may know of a live allocation.
type AllocationInfo struct {
	User      string
	Transport string         // udp, tcp or tls
	Listener  string         // as in Stats.Listeners
	Client    netip.AddrPort // the client's transport address
	Relayed   netip.AddrPort // the relayed transport address, which names the allocation
	Made      time.Time
	Up, Down  int64 // payload bytes
}

func (a *allocation) info() AllocationInfo {
	return AllocationInfo{
		User: a.user.name, Transport: a.in.transport.String(), Listener: a.in.listener, Client: a.client.addr,
		Relayed: a.addr, Made: a.made, Up: a.flow.upBytes.Load(), Down: a.flow.downBytes.Load(),
	}
}
