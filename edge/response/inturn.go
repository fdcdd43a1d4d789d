package response

import (
	"net/http"
	"os"
	"strconv"
)

// begin has the body of a segment wait for its turn among those of others, where the
// server's capacity is known.
func (w *segmentWriter) begin() {
	if w.body != nil || !w.counted || w.policy.Capacity <= 0 {
		return
	}
	size, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		size = -1
	}
	s := w.segments
	w.body = s.Uplink.Begin(w.policy.Capacity, size, s.Last(w.request, w.policy))
}

// take returns how many of so many bytes may be sent now. The header goes out before the
// body waits: the answer is on its way.
func (w *segmentWriter) take(n int64) (int64, error) {
	return w.body.Take(w.request.Context(), n, func() { _ = http.NewResponseController(w.ResponseWriter).Flush() })
}

// inTurn passes a part of the body on as its turn comes.
func (w *segmentWriter) inTurn(p []byte) (sent int, err error) {
	if w.begin(); w.body == nil {
		return w.ResponseWriter.Write(p)
	}
	for sent < len(p) && err == nil {
		var may int64
		var n int
		if may, err = w.take(int64(len(p) - sent)); err == nil {
			n, err = w.ResponseWriter.Write(p[sent : sent+int(may)])
			sent += n
		}
	}
	return sent, err
}

// sendInTurn sends n bytes of a file as their turn comes.
func (w *segmentWriter) sendInTurn(f *os.File, n int64) (sent int64, err error) {
	slice := w.segments.Slice(w.request)
	if w.body == nil {
		return sendFile(w.Writer, f, n, slice)
	}
	for sent < n && err == nil {
		var may, passed int64
		if may, err = w.take(n - sent); err == nil {
			passed, err = sendFile(w.Writer, f, may, slice)
			if sent += passed; passed < may {
				break
			}
		}
	}
	return sent, err
}
