package turnserver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// down relays a batch that came in at the relayed address to the client.
func (a *allocation) down(b *batch) bool { return a.pass(b, true) }

// pass is down; first is false for what comes from another allocation of the server.
func (a *allocation) pass(b *batch, first bool) bool {
	now := a.s.now()
	b.out = b.out[:0]
	var bytes int64
	for i := range b.packets {
		p := &b.packets[i]
		if p.oversize {
			a.s.counters.drop(DropOversize)
			continue
		}
		msg, d := a.wrap(p.buf, p.size, p.from, now, first)
		if d != dropNone {
			a.s.counters.drop(d)
			continue
		}
		b.out = append(b.out, msg)
		bytes += int64(p.size)
	}
	a.deliver(b.out, bytes, first)
	return true
}

// wrap makes the message that tells the client of a datagram from peer: ChannelData
// where there is a channel, a Data indication where there is a permission. The
// datagram lies in buf at headroom; the message is built around it in place.
func (a *allocation) wrap(buf []byte, size int, peer netip.AddrPort, now int64, first bool) ([]byte, Drop) {
	number := a.channelOf(peer, now)
	if number == 0 && !a.permitted(peer.Addr(), now) {
		return nil, DropPermission
	}
	if d := a.admit(now, size, first); d != dropNone {
		return nil, d
	}
	end := headroom + size
	if number != 0 {
		msg := buf[headroom-channelHeader : end]
		binary.BigEndian.PutUint16(msg, number)
		binary.BigEndian.PutUint16(msg[2:], uint16(size))
		if a.in.transport == UDP {
			return msg, dropNone // the padding is for streams
		}
		return pad(buf, headroom-channelHeader, end), dropNone
	}
	attr := 8
	if peer.Addr().Is6() {
		attr = 20
	}
	start := headroom - stunHeader - 4 - attr - 4
	h := appendHeader(buf[start:start:end], classIndication, methodData, a.txid)
	h = binary.BigEndian.AppendUint16(h, attrXORPeerAddress)
	h = binary.BigEndian.AppendUint16(h, uint16(attr))
	h = h[:len(h)+attr]
	putXORAddress(h[len(h)-attr:], peer, a.txid)
	h = binary.BigEndian.AppendUint16(h, attrData)
	binary.BigEndian.AppendUint16(h, uint16(size))
	msg := pad(buf, start, end)
	binary.BigEndian.PutUint16(msg[2:], uint16(len(msg)-stunHeader))
	return msg, dropNone
}

// pad returns buf[start:end] with zero bytes added up to a multiple of four.
func pad(buf []byte, start, end int) []byte {
	for (end-start)%4 != 0 {
		buf[end] = 0
		end++
	}
	return buf[start:end]
}

// deliver sends messages that carry the given payload bytes to the client.
func (a *allocation) deliver(msgs [][]byte, bytes int64, first bool) {
	if len(msgs) == 0 {
		return
	}
	sent, err := a.in.client.toClient(a.client, msgs)
	if sent < len(msgs) {
		bytes = bytes * int64(sent) / int64(len(msgs))
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		a.s.log.Debug("cannot relay to a client", a.s.errorField(err))
	}
	a.countDown(sent, bytes, first)
}

// receive hands datagrams to this allocation that another allocation of this server has
// sent to its relayed address.
func (a *allocation) receive(from netip.AddrPort, payloads [][]byte) {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	for len(payloads) > 0 {
		n := min(len(payloads), len(b.room))
		b.packets = b.room[:n]
		for i, payload := range payloads[:n] {
			p := &b.packets[i]
			p.size, p.from, p.oversize = copy(p.buf[headroom:], payload), from, false
		}
		a.pass(b, false)
		payloads = payloads[n:]
	}
}
