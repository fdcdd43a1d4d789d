// Package reply has what several packages of the edge answer with: a response
// writer to embed, problem details, and JSON.
package reply

import (
	"io"
	"net/http"
)

// Writer wraps a response writer for a type that embeds it and overrides some of
// its methods. It keeps the way for sendfile (ReadFrom) and for
// http.ResponseController (Unwrap).
type Writer struct{ http.ResponseWriter }

// ReadFrom hands src to the writer below, which can send a file from the kernel.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if rf, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return rf.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

// Unwrap returns the writer below, for http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Push sends an HTTP/2 push where the writer below can.
func (w *Writer) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

var (
	_ io.ReaderFrom = (*Writer)(nil)
	_ http.Pusher   = (*Writer)(nil)
)
