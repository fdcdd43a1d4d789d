package response

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

// fileBody reports whether a body is (the rest of) a file, as http.ServeContent
// hands it over, and how many bytes of it are to be sent.
func fileBody(src io.Reader) (f *os.File, n int64, ok bool) {
	n = -1
	if lr, limited := src.(*io.LimitedReader); limited {
		src, n = lr.R, lr.N
	}
	f, ok = src.(*os.File)
	if ok && n < 0 {
		st, err := f.Stat()
		if err != nil || !st.Mode().IsRegular() {
			return nil, 0, false
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, 0, false
		}
		n = max(st.Size()-at, 0)
	}
	return f, n, ok
}

// sendFile hands n bytes of f to dst so that the kernel can send them.
//
// A server may split a body into limited readers of one slice each, as Caddy does
// under its idle timeouts. A limited reader of a limited reader is no file to the
// net package, so the usual one around f would cost sendfile. Where slices are in
// force f is therefore handed over as a spanReader, which gives its descriptor
// away only while a whole slice is left; the rest goes through Read. slice is the
// size in bytes, 0 for none.
func sendFile(dst io.ReaderFrom, f *os.File, n, slice int64) (int64, error) {
	if slice <= 0 {
		return dst.ReadFrom(&io.LimitedReader{R: f, N: n})
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return dst.ReadFrom(&io.LimitedReader{R: f, N: n})
	}
	return dst.ReadFrom(&spanReader{f: f, end: at + n, slice: slice})
}

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyThrough copies src to the Write of w, which looks at the bytes.
func copyThrough(w io.Writer, src io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, src, buf[:])
}

// spanReader reads a file up to end, even if it grows meanwhile.
type spanReader struct {
	f     *os.File
	end   int64
	slice int64
}

// left returns the number of bytes that are still to be read; sendfile moves the
// file's own offset.
func (s *spanReader) left() (int64, error) {
	at, err := s.f.Seek(0, io.SeekCurrent)
	return s.end - at, err
}

func (s *spanReader) Read(p []byte) (int, error) {
	n, err := s.left()
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, io.EOF
	}
	return s.f.Read(p[:min(int64(len(p)), n)])
}

var errShortSpan = errors.New("less than a slice is left: read it")

// SyscallConn makes the net package take this for a file, as long as one slice
// cannot reach beyond end.
func (s *spanReader) SyscallConn() (syscall.RawConn, error) {
	n, err := s.left()
	if err != nil {
		return nil, err
	}
	if n < s.slice {
		return nil, errShortSpan
	}
	return s.f.SyscallConn()
}
