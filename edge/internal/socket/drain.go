package socket

import (
	"sync"
	"time"
)

// drainWait is how long the last messages may take.
const drainWait = 2 * time.Second

// Drain waits for the work of connections that are to end, and has abort end those that
// take too long.
func Drain(work *sync.WaitGroup, abort func()) {
	done := make(chan struct{})
	go func() {
		work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainWait):
		abort()
		<-done
	}
}
