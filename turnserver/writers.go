package turnserver

import "sync/atomic"

// maxIdleWriters is how many goroutines wait for something to write.
const maxIdleWriters = 8

// writers are goroutines that write outboxes out. A few are kept, as the stack of each new
// one would have to grow for TLS.
type writers struct {
	next chan *outbox
	idle atomic.Int32
}

// run has a goroutine write o out. It does not wait.
func (w *writers) run(o *outbox) {
	select {
	case w.next <- o:
		return
	default:
	}
	go func() {
		for ok := true; ok; {
			o.write()
			if w.idle.Add(1) > maxIdleWriters {
				w.idle.Add(-1)
				return
			}
			o, ok = <-w.next
			w.idle.Add(-1)
		}
	}()
}

// close ends the goroutines that wait. No outbox may be written any more.
func (w *writers) close() { close(w.next) }
