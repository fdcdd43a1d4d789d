package turnserver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"
)

// TestDatagramsAreDroppedRatherThanDelayed: what waits for a stalled stream is
// bounded in bytes and in age, and answers overtake it.
func TestDatagramsAreDroppedRatherThanDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe() // a write waits for its reader
		defer client.Close()
		old := 0
		w := writers{next: make(chan *outbox)}
		defer w.close()
		o := &outbox{conn: server, limit: 10 * time.Second, dropped: func(n int) { old += n }, writers: &w}
		datagram := func(n int) []byte { return append(make([]byte, 1020), fmt.Sprintf("%04d", n)...) }
		taken := 0
		for i := range 200 {
			n, err := o.send([][]byte{datagram(i)})
			if err != nil {
				t.Fatal(err)
			}
			taken += n
		}
		if taken*1024 > 128<<10 || taken < 64 {
			t.Errorf("%d datagrams of 1 KiB wait, want at most 128 KiB", taken)
		}
		synctest.Wait() // the writer is stuck with the first piece
		time.Sleep(maxAge + time.Millisecond)
		piece := make([]byte, maxPiece)
		read := func() string {
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
			n, err := client.Read(piece)
			if err != nil {
				return err.Error()
			}
			return string(bytes.Trim(piece[:n], "\x00"))
		}
		if err := o.answer([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if got := read(); got[:4] != "0000" {
			t.Errorf("first comes %.10q, want what was being written", got)
		}
		if got := read(); got != "answer" {
			t.Errorf("then comes %.10q, want the answer", got)
		}
		synctest.Wait()
		if old < taken-maxPiece/1024 || old >= taken {
			t.Errorf("%d of %d datagrams were dropped for their age, want all but the first piece", old, taken)
		}
		if n, err := o.send([][]byte{datagram(9999)}); n != 1 || err != nil {
			t.Errorf("no room for a datagram though all others are gone: %d, %v", n, err)
		}
		if got := read(); got != "9999" {
			t.Errorf("then comes %.10q, want the fresh datagram", got)
		}
		o.close()
		_ = server.Close()
		o.wait()
	})
}

// TestNobodyWaitsForAStalledClient: a TCP or TLS client that stops reading while a UDP
// client relays to it does not hold up others on the UDP client's socket.
func TestNobodyWaitsForAStalledClient(t *testing.T) {
	for _, tr := range []Transport{TCP, TLS} {
		t.Run(tr.String(), func(t *testing.T) {
			s := start(t, nil)
			udp := listen(t, s, UDP)
			stalled := newRawClient(t, tr, listen(t, s, tr), "stalled")
			stalled.allocate()
			to := relayedOf(t, s, stalled)
			sender := newRawClient(t, UDP, udp, "sender")
			sender.allocate()
			from := relayedOf(t, s, sender)
			if code := stalled.request(stun.MethodCreatePermission, peerAttr(from)); code != 0 {
				t.Fatal(code)
			}
			if code := sender.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(to)); code != 0 {
				t.Fatal(code)
			}
			data := append([]byte{0x40, 0, 1200 >> 8, 1200 & 255}, make([]byte, 1200)...)
			other := newRawClient(t, UDP, udp, "other")
			for range 20 { // 24 MB: more than any buffer on the way
				for range 1000 {
					sender.send(data)
				}
				ping := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
				other.send(ping.Raw)
				if other.receive(5*time.Second) == nil {
					t.Fatal("another client of the socket is not answered in 5 s")
				}
			}
			if s.Stats().Drops["slow"] == 0 {
				t.Error("nothing was dropped for the stalled client")
			}
		})
	}
}

// relayedOf is the relayed address of a client's allocation.
func relayedOf(t testing.TB, s *Server, c *rawClient) (at netip.AddrPort) {
	t.Helper()
	s.relays.each(func(a *allocation) {
		if a.user.name == c.user() {
			at = a.addr
		}
	})
	if !at.IsValid() {
		t.Fatalf("%s has no allocation", c.user())
	}
	return at
}

// TestAnswersOvertakeDataOnAStream: a client that has not read for a while gets the
// answer to its request before most of what waits, and no more than the bound waits.
func TestAnswersOvertakeDataOnAStream(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, TCP, listen(t, s, TCP), "slow")
	c.allocate()
	from, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(from.LocalAddr().(*net.UDPAddr).AddrPort())); code != 0 {
		t.Fatal(code)
	}
	to := net.UDPAddrFromAddrPort(relayedOf(t, s, c))
	drops := func() int64 { return s.Stats().Drops["slow"] }
	for n := 0; drops() < 500; n++ { // until all buffers are full, and then some
		if n == 200_000 {
			t.Fatal("nothing is dropped")
		}
		b := make([]byte, 1200)
		binary.BigEndian.PutUint32(b, uint32(n))
		_, _ = from.WriteTo(b, to)
	}
	last := c.build(stun.MethodRefresh)
	c.send(last.Raw)
	behind := 0
	for answered := false; ; {
		b := c.receive(time.Second)
		if b == nil {
			if !answered {
				t.Error("no answer")
			}
			break
		}
		answered = answered || b[0]&0xc0 == 0
		if answered {
			behind += len(b)
		}
	}
	if behind > 128<<10 {
		t.Errorf("%d bytes came behind the answer, want at most 128 KiB", behind)
	}
}
