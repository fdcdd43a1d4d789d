package turnserver

import (
	"fmt"
	"net"
)

// udpIntake takes clients in over one UDP socket.
type udpIntake struct {
	intake
	sock  packetSocket
	batch *batch
	next  int // the first packet of batch that was not looked at
}

// listenUDP serves a UDP address; see Server.ListenUDP.
func listenUDP(s *core, addr string, sockets int) (*listener, error) {
	if sockets < 1 || !canShare || s.cfg.ListenPacket != nil {
		sockets = 1
	}
	asked := addr
	var all []packetSocket
	for i := range sockets {
		var err error
		if i == 0 && s.cfg.ListenPacket == nil {
			err = s.listeners.vacant("udp", "udp", addr)
		}
		var sock packetSocket
		if err == nil {
			sock, err = s.listenPacket("udp", addr, canShare)
		}
		if err != nil {
			for _, sock := range all {
				_ = sock.Close()
			}
			return nil, fmt.Errorf("cannot listen for TURN on udp/%s: %w", asked, err)
		}
		all = append(all, sock)
		addr = sock.LocalAddr().String() // port 0 has become a port, which the others share
	}
	l := &listener{bound: all[0].LocalAddr()}
	for i, sock := range all {
		u := &udpIntake{sock: sock, batch: newBatch(intakeBatch)}
		u.intake = intake{s: s, transport: UDP, client: u, local: sock.LocalAddr(), listener: "udp/" + addr,
			door: door{close: sock.Close}, allocs: map[tuple]*allocation{}}
		if err := s.adopt(sock); err != nil {
			for _, rest := range all[i:] {
				_ = rest.Close()
			}
			return nil, err
		}
		if err := u.serve(u); err != nil {
			s.wg.Done()
			s.forget(sock)
			_ = sock.Close()
			return nil, fmt.Errorf("cannot serve TURN on udp/%s: %w", asked, err)
		}
		l.packets = append(l.packets, &u.intake)
	}
	s.log.Info("TURN listens", s.addressField("udp", l.bound))
	return l, nil
}

// ReadFrom gives pion the next request. Everything else that comes in is worked on
// here, in pion's reading goroutine.
func (u *udpIntake) ReadFrom(p []byte) (int, net.Addr, error) {
	u.settle()
	if u.drain() {
		if err := u.sock.receive(u.batch, func(*batch) bool { u.next = 0; return u.drain() }); err != nil {
			u.s.lost(u.sock, u.door.closed.Load())
			u.endAll()
			u.s.wg.Done()
			return 0, nil, err
		}
	}
	return u.forPion(p), net.UDPAddrFromAddrPort(u.req.from.addr), nil
}

// drain works on what is left of the batch. It stops and returns false at a request
// for pion.
func (u *udpIntake) drain() bool {
	defer u.up.flush()
	now := u.s.now()
	for u.next < len(u.batch.packets) {
		p := &u.batch.packets[u.next]
		u.next++
		if p.oversize {
			u.s.counters.drop(DropOversize)
			continue
		}
		if p.from.Port() == 0 {
			u.s.counters.drop(DropForeign) // it could not be answered
			continue
		}
		if u.take(p.data(), tuple{p.from, p.to}, now) {
			return false
		}
	}
	return true
}

func (u *udpIntake) toClient(client tuple, msgs [][]byte) (int, error) {
	sent := 0
	for len(msgs) > 0 {
		n := runLength(msgs)
		done, err := u.sock.send(client.local, client.addr, msgs[:n])
		sent += done
		if err != nil {
			u.s.counters.drops[DropSocket].Add(int64(len(msgs) - done))
			return sent, err
		}
		msgs = msgs[n:]
	}
	return sent, nil
}

func (u *udpIntake) answer(client tuple, b []byte) error {
	_, err := u.toClient(client, [][]byte{b})
	return err
}

// Close is called by nobody but completes the net.PacketConn.
func (u *udpIntake) Close() error { return u.sock.Close() }
