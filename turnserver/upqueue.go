package turnserver

import (
	"net/netip"
)

// upQueue gathers what is to be sent to peers, so that datagrams of one allocation
// to one peer leave in one call. Datagrams of one flow keep their order.
type upQueue struct {
	runs []run
	n    int
}

// run is datagrams of one flow that can be sent by one packetSocket.send.
type run struct {
	a     *allocation
	to    *allocation // the peer's, where it is one of this server's
	peer  netip.AddrPort
	msgs  [][]byte
	bytes int64
	full  bool // the last is shorter than the others: nothing may follow
}

const (
	maxRuns = 16
	maxRun  = 40 // datagrams; 40 of the largest fit the 64 KiB of one UDP_SEGMENT call
	maxSend = 60000
)

func (q *upQueue) add(a, to *allocation, peer netip.AddrPort, payload []byte) {
	for i := q.n - 1; i >= 0; i-- {
		r := &q.runs[i]
		if r.a != a || r.peer != peer {
			continue
		}
		if r.full || len(r.msgs) == maxRun || len(payload) > len(r.msgs[0]) || len(payload) == 0 ||
			r.bytes+int64(len(payload)) > maxSend {
			break
		}
		r.msgs = append(r.msgs, payload)
		r.bytes += int64(len(payload))
		r.full = len(payload) < len(r.msgs[0])
		return
	}
	if q.n == maxRuns {
		q.flush()
	}
	if q.n == len(q.runs) {
		q.runs = append(q.runs, run{})
	}
	r := &q.runs[q.n]
	q.n++
	*r = run{a: a, to: to, peer: peer, msgs: append(r.msgs[:0], payload), bytes: int64(len(payload)), full: len(payload) == 0}
}

// flush sends all that was added.
func (q *upQueue) flush() {
	for i := range q.n {
		r := &q.runs[i]
		if r.to != nil {
			r.to.receive(r.a.addr, r.msgs)
			r.a.countUp(len(r.msgs), r.bytes)
			r.a, r.to = nil, nil
			continue
		}
		sent, _ := r.a.sock.send(netip.Addr{}, r.peer, r.msgs)
		if sent < len(r.msgs) {
			r.a.s.counters.drops[DropSocket].Add(int64(len(r.msgs) - sent))
			r.bytes = 0
			for _, m := range r.msgs[:sent] {
				r.bytes += int64(len(m))
			}
		}
		r.a.countUp(sent, r.bytes)
		r.a = nil
	}
	q.n = 0
}

// runLength tells how many of msgs, from the first, can be sent by one
// packetSocket.send: all of one length but for a shorter last.
func runLength(msgs [][]byte) int {
	size, total := len(msgs[0]), 0
	for i, m := range msgs {
		switch {
		case i == maxRun, len(m) > size, len(m) == 0 && i > 0, total+len(m) > maxSend:
			return i
		case len(m) < size:
			return i + 1
		}
		total += len(m)
	}
	return len(msgs)
}
