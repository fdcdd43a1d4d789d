// Package origin takes segments from the origin over HTTP: whole or chunk by
// chunk, checked against what the edge vouches for where it does.
package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

// The header fields of the edge's statement about a segment.
const (
	HeaderSegment = "Mesh-Segment"
	HeaderDigests = "Mesh-Digests"
)

// ErrMismatch: the origin's bytes are not those that the edge signed for.
var ErrMismatch = errors.New("origin's bytes do not match the signed digest")

// StatusError is an answer that is not the segment.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return fmt.Sprintf("origin answered with status %d", e.Status) }

// Proof is a statement that was verified.
type Proof struct {
	Layout integrity.Layout
	Hashes []byte
}

// Request says what to fetch.
type Request struct {
	// URL is that of the segment; Offset and Length are its byte range, Length 0
	// for the whole resource.
	URL            *url.URL
	Offset, Length int64
	// Chunks are those to fetch, 0 for all. They need a Proof.
	Chunks uint64
	Proof  *Proof
	// Statement is the URL to ask for a statement that did not come in the header;
	// nil for none.
	Statement *url.URL
}

// Sink takes what comes. Its methods are called one at a time.
type Sink interface {
	// Header is called once with the header of a good answer.
	Header(h http.Header)
	// Verify checks a statement; ok is false where it cannot be relied on. A
	// Request with a Proof has none verified.
	Verify(s Statement) (p Proof, ok bool)
	// Chunk takes a chunk that matched its hash; it owns data.
	Chunk(i int, data []byte)
	// StartRaw, Raw and FinishRaw take an unproven segment: size is -1 if it is not
	// known; data is valid during the call. FinishRaw says that all has come.
	StartRaw(size int64)
	Raw(data []byte)
	FinishRaw()
	// Adopt takes the raw segment's bytes as its chunks, after Verify, and gives the
	// number of bytes of those that it had not yet.
	Adopt() int64
	// Timed is called once the bytes are here, or have broken off: the first head came
	// within after the request, the last byte took after it.
	Timed(bytes int64, within, took time.Duration)
}

// Result is how a fetch ended.
type Result struct {
	// Bytes came in all, headers not counted; Loose is the part of them that was
	// not given as chunks.
	Bytes, Loose int64
	// Mismatch says that bytes did not match the proof, so that the segment was
	// given raw.
	Mismatch bool
}

// Client fetches. The zero value uses http.DefaultClient.
type Client struct{ HTTP *http.Client }

// maxRuns is the number of range requests of one fetch at once.
const maxRuns = 4

// Fetch fetches a request into a sink. Bytes that came before an error count in
// the result. The error is a *StatusError, wraps ErrMismatch (of single chunks
// only), io.ErrUnexpectedEOF for a body that is too short, or is that of the
// connection or of ctx.
func (c *Client) Fetch(ctx context.Context, r Request, to Sink) (Result, error) {
	w := &watch{asked: time.Now()}
	defer w.tell(to)
	if r.Chunks != 0 && r.Proof != nil {
		return c.fetchChunks(ctx, r, to, w)
	}
	return c.fetchWhole(ctx, r, to, w)
}

func (c *Client) get(ctx context.Context, u *url.URL, offset, length int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask the origin: %w", err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if length > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the origin: %w", err)
	}
	return resp, nil
}

// body gives a reader of the bytes from offset on and their number, -1 if it is
// not known. An origin that does not do ranges answers with all.
func body(resp *http.Response, offset, length int64) (io.Reader, int64, error) {
	switch {
	case resp.StatusCode == http.StatusOK && length == 0:
		return resp.Body, resp.ContentLength, nil
	case resp.StatusCode == http.StatusOK:
		if _, err := io.CopyN(io.Discard, resp.Body, offset); err != nil {
			return nil, 0, short(err)
		}
		return io.LimitReader(resp.Body, length), length, nil
	case resp.StatusCode == http.StatusPartialContent && length > 0:
		if from, ok := rangeStart(resp.Header.Get("Content-Range")); !ok || from != offset {
			return nil, 0, fmt.Errorf("origin sent the range %q, asked for %d-", resp.Header.Get("Content-Range"), offset)
		}
		return io.LimitReader(resp.Body, length), length, nil
	}
	return nil, 0, &StatusError{resp.StatusCode}
}

// rangeStart reads the first position of a Content-Range (RFC 9110, section 14.4).
func rangeStart(s string) (int64, bool) {
	s, ok := strings.CutPrefix(s, "bytes ")
	from, _, dash := strings.Cut(s, "-")
	n, err := strconv.ParseInt(from, 10, 64)
	return n, ok && dash && err == nil
}

func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *Client) fetchWhole(ctx context.Context, r Request, to Sink, w *watch) (Result, error) {
	var res Result
	resp, err := c.get(ctx, r.URL, r.Offset, r.Length)
	if err != nil {
		return res, err
	}
	defer resp.Body.Close()
	w.watch(resp)
	src, size, err := body(resp, r.Offset, r.Length)
	if err != nil {
		return res, err
	}
	to.Header(resp.Header)
	proof := r.Proof
	if s, ok := statementOf(resp.Header); ok && proof == nil {
		if p, ok := to.Verify(s); ok && (size < 0 || p.Layout.Size == size) {
			proof = &p
		}
	}
	if proof != nil && proof.Layout.Size == size {
		return res, c.readChunks(src, proof, to, &res)
	}
	to.StartRaw(size)
	if err := readRaw(src, size, to, &res); err != nil {
		return res, err
	}
	if r.Statement == nil || proof != nil || refused(resp.Header) {
		return res, nil
	}
	w.tell(to)
	s, err := c.Statement(ctx, r.Statement)
	if err != nil {
		return res, nil // it is played all the same, and not shared
	}
	if p, ok := to.Verify(s); ok && p.Layout.Size == res.Bytes {
		res.Loose -= to.Adopt()
	}
	return res, nil
}

// readChunks reads a body chunk by chunk. At a chunk that does not match, all is
// given raw from the first byte on.
func (c *Client) readChunks(src io.Reader, p *Proof, to Sink, res *Result) error {
	var all [][]byte
	for i := range p.Layout.Chunks() {
		from, until := p.Layout.Range(i)
		data := make([]byte, until-from)
		n, err := io.ReadFull(src, data)
		res.Bytes += int64(n)
		if err != nil {
			res.Loose += int64(n)
			return short(err)
		}
		all = append(all, data)
		if p.Layout.Check(p.Hashes, i, data) != nil {
			res.Mismatch = true
			to.StartRaw(p.Layout.Size)
			for _, b := range all {
				to.Raw(b)
			}
			res.Loose += int64(n)
			return readRaw(src, p.Layout.Size, to, res)
		}
		to.Chunk(i, data)
	}
	return nil
}

// readRaw reads the rest of a body of size bytes, -1 if that is not known.
func readRaw(src io.Reader, size int64, to Sink, res *Result) error {
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			to.Raw(buf[:n])
			res.Bytes += int64(n)
			res.Loose += int64(n)
		}
		if errors.Is(err, io.EOF) {
			if size >= 0 && res.Bytes != size {
				return io.ErrUnexpectedEOF
			}
			to.FinishRaw()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fetchChunks fetches chunks in runs that lie together, several at once.
func (c *Client) fetchChunks(ctx context.Context, r Request, to Sink, w *watch) (Result, error) {
	type outcome struct {
		res Result
		err error
	}
	parts := runs(r.Chunks, r.Proof.Layout.Chunks())
	sink := &oneAtATime{Sink: to}
	slots, done := make(chan struct{}, maxRuns), make(chan outcome, len(parts))
	for _, run := range parts {
		go func() {
			slots <- struct{}{}
			res, err := c.fetchRun(ctx, r, run[0], run[1], sink, w)
			<-slots
			done <- outcome{res, err}
		}()
	}
	var all outcome
	for range parts {
		o := <-done
		all.res.Bytes += o.res.Bytes
		all.res.Loose += o.res.Loose
		if all.err == nil || errors.Is(o.err, ErrMismatch) {
			all.err = o.err
		}
	}
	return all.res, all.err
}

// fetchRun fetches the chunks from first to last.
func (c *Client) fetchRun(ctx context.Context, r Request, first, last int, to Sink, w *watch) (Result, error) {
	var res Result
	layout := r.Proof.Layout
	from, _ := layout.Range(first)
	_, until := layout.Range(last)
	resp, err := c.get(ctx, r.URL, r.Offset+from, until-from)
	if err != nil {
		return res, err
	}
	defer resp.Body.Close()
	w.watch(resp)
	src, _, err := body(resp, r.Offset+from, until-from)
	if err != nil {
		return res, err
	}
	to.Header(resp.Header)
	for i := first; i <= last; i++ {
		from, until := layout.Range(i)
		data := make([]byte, until-from)
		n, err := io.ReadFull(src, data)
		res.Bytes += int64(n)
		if err != nil {
			res.Loose += int64(n)
			return res, short(err)
		}
		if layout.Check(r.Proof.Hashes, i, data) != nil {
			res.Loose += int64(n)
			return res, fmt.Errorf("%w: chunk %d", ErrMismatch, i)
		}
		to.Chunk(i, data)
	}
	return res, nil
}

// runs gives the first and the last chunk of each run of bits.
func runs(mask uint64, chunks int) [][2]int {
	var out [][2]int
	for i := range chunks {
		if mask>>i&1 == 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1][1] == i-1 {
			out[n-1][1] = i
		} else {
			out = append(out, [2]int{i, i})
		}
	}
	return out
}

// oneAtATime lets one caller into a sink at a time.
type oneAtATime struct {
	Sink
	mu sync.Mutex
}

func (s *oneAtATime) Header(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Sink.Header(h)
}

func (s *oneAtATime) Chunk(i int, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Sink.Chunk(i, data)
}
