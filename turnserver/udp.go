package turnserver

import (
	"fmt"
)

// udpIntake takes clients in over one UDP socket.
type udpIntake struct {
	intake
	sock  packetSocket
	batch *batch
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
		if err := u.serve(); err != nil {
			_ = sock.Close()
			return nil, fmt.Errorf("cannot serve TURN on udp/%s: %w", asked, err)
		}
		l.packets = append(l.packets, &u.intake)
	}
	s.log.Info("TURN listens", s.addressField("udp", l.bound))
	return l, nil
}

// serve begins to read the socket, which the server has adopted. Where it cannot, the
// server forgets the socket.
func (u *udpIntake) serve() (err error) {
	if u.desk, err = newDesk(); err != nil {
		u.s.forget(u.sock)
		u.s.wg.Done()
		return err
	}
	go func() {
		defer u.s.wg.Done()
		defer u.desk.close()
		_ = u.sock.receive(u.batch, u.work)
		u.s.lost(u.sock, u.door.closed.Load())
		u.endAll()
	}()
	return nil
}

// work works on a batch.
func (u *udpIntake) work(b *batch) bool {
	defer u.up.flush()
	now := u.s.now()
	for i := range b.packets {
		p := &b.packets[i]
		if p.oversize {
			u.s.counters.drop(DropOversize)
			continue
		}
		if p.from.Port() == 0 {
			u.s.counters.drop(DropForeign) // it could not be answered
			continue
		}
		u.take(p.data(), tuple{p.from, p.to}, now)
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
