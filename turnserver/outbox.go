package turnserver

import (
	"errors"
	"net"
	"sync"
	"time"
)

// The bounds on what waits for a client that reads slowly. Together with what the
// kernel has not sent either (notSentLowWater) and the piece that is being written,
// they keep at most 128 KiB unsent.
const (
	maxQueued  = 96 << 10
	maxPiece   = 16 << 10
	maxAge     = 500 * time.Millisecond // of a datagram when its turn comes
	maxAnswers = 64
)

// outbox is the way out to the client of one stream. Whoever sends puts messages in
// and never waits; one goroutine writes them out while there are any. What does not
// fit, or has become too old, is dropped: the messages carry datagrams, and those are
// better lost than late. Answers to requests overtake them.
type outbox struct {
	conn    net.Conn
	cork    cork // nil where there is none
	records bool // each message is to be a write, and so a TLS record, of its own
	limit   time.Duration
	dropped func(n int) // datagrams that grew too old
	writers *writers
	until   time.Time // the write deadline that is set; the writer's

	mu      sync.Mutex
	answers [][]byte
	queue   *frames // nil while it is empty
	unsent  int     // bytes in queue, and in the writer's hands
	writing bool
	closed  bool
	work    sync.WaitGroup // the writer
}

// frames are messages one behind another, with what is needed to take them apart.
type frames struct {
	bytes []byte
	ends  []int
	since []time.Time
}

var queues = sync.Pool{New: func() any { return new(frames) }}

func (f *frames) add(msg []byte, now time.Time) {
	f.bytes = append(f.bytes, msg...)
	f.ends = append(f.ends, len(f.bytes))
	f.since = append(f.since, now)
}

func (f *frames) free() {
	f.bytes, f.ends, f.since = f.bytes[:0], f.ends[:0], f.since[:0]
	queues.Put(f)
}

// send queues datagrams and returns how many there was room for.
func (o *outbox) send(msgs [][]byte) (taken int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, net.ErrClosed
	}
	now := time.Now()
	for _, m := range msgs {
		if o.unsent+len(m) > maxQueued {
			break
		}
		if o.queue == nil {
			o.queue = queues.Get().(*frames)
		}
		o.queue.add(m, now)
		o.unsent += len(m)
		taken++
	}
	if taken > 0 {
		o.wake()
	}
	return taken, nil
}

var errSlowReader = errors.New("the client does not read its answers")

// answer queues an answer to a request, which goes out before all datagrams.
func (o *outbox) answer(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return net.ErrClosed
	case len(o.answers) == maxAnswers:
		return errSlowReader
	}
	o.answers = append(o.answers, append([]byte(nil), b...))
	o.wake()
	return nil
}

// wake sees to it that there is a writer. mu is held.
func (o *outbox) wake() {
	if !o.writing {
		o.writing = true
		o.work.Add(1)
		o.writers.run(o)
	}
}

// close drops what waits. The connection must be closed before wait is called.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

func (o *outbox) wait() { o.work.Wait() }

// write writes until there is nothing left. At an error it closes the connection, as
// what was half sent cannot be mended.
func (o *outbox) write() {
	defer o.work.Done()
	var held *frames // taken from the queue, written up to done
	done := 0
	defer func() {
		if held != nil {
			held.free()
		}
	}()
	for {
		o.mu.Lock()
		answers := o.answers
		o.answers = nil
		if held == nil && len(answers) == 0 {
			held, o.queue, done = o.queue, nil, 0
		}
		if o.closed || len(answers) == 0 && held == nil {
			o.writing = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()

		now := time.Now()
		if o.until.Before(now.Add(o.limit)) {
			o.until = now.Add(2 * o.limit)
			_ = o.conn.SetWriteDeadline(o.until)
		}
		var err error
		if len(answers) > 0 {
			err = o.put(answers)
		} else {
			done, err = o.piece(held, done, now)
			if done == len(held.ends) {
				held.free()
				held = nil
			}
		}
		if err != nil {
			o.close()
			_ = o.conn.Close()
		}
	}
}

// piece writes the next frames of f, from the one with the index done on, and
// returns up to which it is done. Frames that are too old are passed over.
func (o *outbox) piece(f *frames, done int, now time.Time) (int, error) {
	start := 0
	if done > 0 {
		start = f.ends[done-1]
	}
	from, old := start, 0
	for done < len(f.ends) && now.Sub(f.since[done]) > maxAge {
		from = f.ends[done]
		done++
		old++
	}
	if old > 0 {
		o.dropped(old)
	}
	first, end := done, from
	for done < len(f.ends) && f.ends[done]-from <= maxPiece {
		end = f.ends[done]
		done++
	}
	var err error
	if end > from && !o.records {
		_, err = o.conn.Write(f.bytes[from:end])
	} else if end > from {
		msgs := make([][]byte, 0, done-first)
		for i, at := first, from; i < done; i++ {
			msgs = append(msgs, f.bytes[at:f.ends[i]])
			at = f.ends[i]
		}
		err = o.put(msgs)
	}
	o.mu.Lock()
	o.unsent -= end - start
	o.mu.Unlock()
	return done, err
}

// put writes messages each on its own, together where there is a cork.
func (o *outbox) put(msgs [][]byte) error {
	if o.cork != nil && len(msgs) > 1 {
		o.cork.hold()
	}
	var err error
	for _, m := range msgs {
		if _, err = o.conn.Write(m); err != nil {
			break
		}
	}
	if o.cork != nil && len(msgs) > 1 {
		err = errors.Join(err, o.cork.release())
	}
	return err
}
