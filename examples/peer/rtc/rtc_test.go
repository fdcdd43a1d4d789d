package rtc

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// end is one side of a connection in a test.
type end struct {
	conn     *Conn
	mute     atomic.Bool   // its candidates do not arrive
	ready    chan struct{} // conn is set
	open     chan Path
	messages chan *wire.Message
	closed   chan error
}

func newEnd() *end {
	return &end{ready: make(chan struct{}), open: make(chan Path, 64), messages: make(chan *wire.Message, 1024), closed: make(chan error, 1)}
}

// events sends descriptions and candidates to the other side; describe gets the
// description.
func (e *end) events(other *end, describe func(signal.Type, string)) Events {
	return Events{
		Description: describe,
		Candidate: func(c signal.ICECandidate) {
			if e.mute.Load() {
				return
			}
			<-other.ready
			other.conn.AddCandidate(c)
		},
		Open:    func(p Path) { e.open <- p },
		Lost:    func() {},
		Message: func(m *wire.Message) { e.messages <- m },
		Closed:  func(err error) { e.closed <- err },
	}
}

func listen(t *testing.T) *Net {
	t.Helper()
	n, err := Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// described returns a description as it arrives at the other side.
func (e *end) described(sdp string) string {
	if !e.mute.Load() {
		return sdp
	}
	var out strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// pair connects two nets.
func pair(t *testing.T, from, to *Net) (a, b *end) {
	t.Helper()
	a, b = newEnd(), newEnd()
	a.conn = from.Offer(Options{}, a.events(b, func(_ signal.Type, offer string) {
		if b.conn != nil { // a restart
			b.conn.Answer(a.described(offer), true)
			return
		}
		b.conn = to.Answer(Options{}, offer, b.events(a, func(_ signal.Type, answer string) {
			<-a.ready
			a.conn.SetAnswer(b.described(answer))
		}))
		close(b.ready)
	}))
	close(a.ready)
	for _, e := range []*end{a, b} {
		if p := wait(t, e.open, "the channel to open"); p.Relayed() || p.Local == "" || p.Took <= 0 {
			t.Errorf("the path of a direct connection is %+v", p)
		}
	}
	return a, b
}

func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func closeNet(t *testing.T, nets ...*Net) {
	t.Helper()
	for _, n := range nets {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRestart looks for a path anew while chunks are under way: all of them arrive, over
// the same channel.
func TestRestart(t *testing.T) {
	from, to := listen(t), listen(t)
	a, b := pair(t, from, to)
	data := make([]byte, 256<<10)
	const chunks = 40
	for i := range chunks {
		a.conn.SendChunk(1, uint8(i), data, nil, nil)
		if i == 5 {
			a.conn.Restart()
		}
	}
	for range chunks {
		wait(t, b.messages, "a chunk")
	}
	a.conn.Restart() // and when nothing is
	a.conn.Send(&wire.Message{Type: wire.Ping, Nonce: 7})
	if m := wait(t, b.messages, "the last message"); m.Nonce != 7 {
		t.Errorf("got %+v", m)
	}
	select {
	case err := <-a.closed:
		t.Errorf("one end has closed: %v", err)
	case err := <-b.closed:
		t.Errorf("the other end has closed: %v", err)
	default:
	}
	a.conn.Close()
	b.conn.Close()
	closeNet(t, from, to)
}

// TestRestartWithoutPath: a path that is looked for anew while candidates get lost is not
// waited for as long as one that may come back.
func TestRestartWithoutPath(t *testing.T) {
	from, to := listen(t), listen(t)
	a, b := pair(t, from, to)
	a.mute.Store(true)
	b.mute.Store(true)
	a.conn.Restart()
	if err := wait(t, a.closed, "the end of the connection"); !errors.Is(err, ErrNoPath) {
		t.Errorf("ended by %v, want %v", err, ErrNoPath)
	}
	a.conn.Close()
	b.conn.Close()
	closeNet(t, from, to)
}

// TestChunks sends 16 MiB of chunks one way and messages the other way: all
// arrive, in order, and each chunk is said to have left.
func TestChunks(t *testing.T) {
	from, to := listen(t), listen(t)
	a, b := pair(t, from, to)
	const count, size = 64, 256 << 10
	data := make([]byte, size)
	_, _ = rand.Read(data)
	var sent atomic.Int64
	allSent := make(chan struct{})
	start := time.Now()
	for i := range count {
		a.conn.SendChunk(wire.SegmentID(i), uint8(i), data, nil, func() {
			if sent.Add(1) == count {
				close(allSent)
			}
		})
		b.conn.Send(&wire.Message{Type: wire.Ping, Nonce: uint32(i)})
	}
	for i := range count {
		m := wait(t, b.messages, "a chunk")
		if m.Type != wire.Chunk || m.Segment != wire.SegmentID(i) || int(m.Index) != i || !bytes.Equal(m.Data, data) {
			t.Fatalf("message %d is a %v of segment %v with %d bytes", i, m.Type, m.Segment, len(m.Data))
		}
		if m := wait(t, a.messages, "a ping"); m.Type != wire.Ping || m.Nonce != uint32(i) {
			t.Fatalf("message %d is a %v %d", i, m.Type, m.Nonce)
		}
	}
	wait(t, allSent, "all chunks to have left")
	t.Logf("%.0f Mbit/s", 8*count*size/time.Since(start).Seconds()/1e6)
	a.conn.Close()
	if err := wait(t, b.closed, "the other side to notice"); !errors.Is(err, ErrFailed) {
		t.Errorf("closed with %v, want ErrFailed", err)
	}
	b.conn.Close()
	closeNet(t, from, to)
}

// TestSentWaits: a chunk counts as sent only when it has left, so that the
// driver does not fill the buffer with what is stale when it arrives. It does
// so, too, while much lies behind it that the other side cannot take: two chunks
// fit into the buffer here, and one into the window of the other side.
func TestSentWaits(t *testing.T) {
	from, to := listen(t), listen(t)
	a, b := pair(t, from, to)
	for range cap(b.messages) { // the reader of b stands still
		a.conn.Send(&wire.Message{Type: wire.Ping})
	}
	a.conn.Send(&wire.Message{Type: wire.Ping})
	data := make([]byte, 1<<20-64<<10)
	sent := make(chan int, 8)
	for i := range 4 {
		a.conn.SendChunk(1, uint8(i), data, nil, func() { sent <- i })
	}
	wait(t, sent, "the first chunk, which the other side can buffer")
	if len(sent) > 0 {
		t.Errorf("chunk %d is said to have left; the other side cannot buffer it", <-sent)
	}
	for i := range 4 {
		for m := wait(t, b.messages, "a message"); m.Type != wire.Chunk; m = wait(t, b.messages, "a message") {
		}
		if i == 3 {
			break
		}
		if got := wait(t, sent, "the next chunk"); got != i+1 {
			t.Errorf("chunk %d was said to be sent after chunk %d", got, i)
		}
	}
	b.conn.Close()
	wait(t, a.closed, "the end")
	a.conn.Close()
	closeNet(t, from, to)
}

// TestBye: what was queued before Close arrives.
func TestBye(t *testing.T) {
	from, to := listen(t), listen(t)
	a, b := pair(t, from, to)
	a.conn.Send(&wire.Message{Type: wire.Bye, Reason: wire.ByeLeaving})
	a.conn.Close()
	if m := wait(t, b.messages, "bye"); m.Type != wire.Bye {
		t.Errorf("got %v", m.Type)
	}
	b.conn.Close()
	closeNet(t, from, to)
}

// TestClosedBeforeOpen: an attempt that is given up leaves nothing.
func TestClosedBeforeOpen(t *testing.T) {
	n := listen(t)
	c := n.Offer(Options{}, Events{
		Description: func(signal.Type, string) {},
		Candidate:   func(signal.ICECandidate) {},
		Closed:      func(err error) { t.Errorf("said after Close: %v", err) },
	})
	c.Close()
	closeNet(t, n)
}

// TestBadAnswer: what is no description ends the attempt, and says so.
func TestBadAnswer(t *testing.T) {
	n := listen(t)
	closed := make(chan error, 1)
	described := make(chan struct{})
	c := n.Offer(Options{}, Events{
		Description: func(signal.Type, string) { close(described) },
		Candidate:   func(signal.ICECandidate) {},
		Closed:      func(err error) { closed <- err },
	})
	wait(t, described, "the offer")
	c.SetAnswer("nonsense")
	wait(t, closed, "the end")
	c.Close()
	closeNet(t, n)
}

// TestNonsenseOnTheChannel: a neighbor that does not speak the protocol is cut.
func TestNonsenseOnTheChannel(t *testing.T) {
	from, to := listen(t), listen(t)
	a, b := pair(t, from, to)
	a.conn.push(job{frame: []byte{99, 1, 2, 3}})
	if err := wait(t, b.closed, "the cut"); !errors.Is(err, ErrProtocol) {
		t.Errorf("closed with %v, want ErrProtocol", err)
	}
	a.conn.Close()
	b.conn.Close()
	closeNet(t, from, to)
}
