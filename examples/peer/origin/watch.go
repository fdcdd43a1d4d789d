package origin

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// watch times the answers to one request, which may come in several runs at once.
type watch struct {
	mu    sync.Mutex
	asked time.Time
	began time.Time // when the first head came
	ended time.Time // when the last byte came
	bytes int64
	told  bool
}

// watch has an answer, whose head has come, timed from now on.
func (w *watch) watch(resp *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	resp.Body = &watched{resp.Body, w}
	if w.began.IsZero() {
		w.began = time.Now()
		w.ended = w.began
	}
}

func (w *watch) add(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += int64(n)
	w.ended = time.Now()
}

// tell tells a sink, the first time.
func (w *watch) tell(to Sink) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.told && w.bytes > 0 {
		to.Timed(w.bytes, w.began.Sub(w.asked), w.ended.Sub(w.began))
	}
	w.told = true
}

// watched is the body of an answer.
type watched struct {
	io.ReadCloser
	w *watch
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.w.add(n)
	}
	return n, err
}
