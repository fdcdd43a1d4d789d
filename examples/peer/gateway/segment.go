package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/pause"
	"github.com/viewmesh/viewmesh/examples/peer/store"
)

// copied are the header fields that a segment from peers gets from the last one
// that came from the origin; validators only from its own.
var (
	copied     = []string{"Content-Type", "Cache-Control", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Timing-Allow-Origin", "Cross-Origin-Resource-Policy"}
	validators = []string{"Etag", "Last-Modified"}
)

// types are for a segment of which no answer of the origin was seen.
var types = map[string]string{".m4s": "video/iso.segment", ".mp4": "video/mp4", ".m4v": "video/mp4", ".m4a": "audio/mp4",
	".cmfv": "video/mp4", ".cmfa": "audio/mp4", ".ts": "video/mp2t", ".aac": "audio/aac", ".vtt": "text/vtt"}

// serveSegment answers with the bytes of the store as they come. As long as
// nothing was sent, trouble means that the origin answers; after that, that the
// rest is taken from it.
func (g *Gateway) serveSegment(w http.ResponseWriter, r *http.Request, e *entry, ranged bool) {
	g.ask(e)
	s := e.playlist.show
	patience := patienceVOD
	switch {
	case e.part:
		patience = max(2*e.duration, patiencePart)
	case s.live:
		patience = patienceLive
	}
	within := patience
	if !s.live && e.duration > 0 {
		// A player takes the wait for how slow the network is: of a VOD, which it loads
		// far ahead, it waits for neighbors no longer than half of what the segment plays.
		within = min(patienceLive, e.duration/2)
	}
	s.viewer.Need(e.id, within)
	segment := s.viewer.Store().Segment(e.id)

	asked := r.Header.Get("Range")
	partial := asked != "" && !ranged
	from, until := int64(0), int64(-1)
	if partial {
		// The size is known with the first byte, from wherever it comes.
		if _, err := waitFor(r.Context(), segment, 0, patience); err != nil {
			g.direct(w, r, e)
			return
		}
		var ok bool
		if from, until, ok = parseRange(asked, segment.Size()); !ok || segment.Size() < 0 {
			g.direct(w, r, e)
			return
		}
	}
	first, err := waitFor(r.Context(), segment, from, patience)
	if err != nil || (first == nil && !segment.Whole()) {
		if r.Context().Err() == nil {
			g.log.Debug("taking a segment straight from the origin", "path", r.URL.Path, "err", err)
		}
		g.direct(w, r, e)
		return
	}
	size := segment.Size()
	h := w.Header()
	g.header(h, e, segment)
	switch {
	case partial:
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, until-1, size))
		h.Set("Content-Length", strconv.FormatInt(until-from, 10))
		w.WriteHeader(http.StatusPartialContent)
	case ranged:
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", e.resource.Offset, e.resource.Offset+e.resource.Length-1))
		h.Set("Content-Length", strconv.FormatInt(e.resource.Length, 10))
		w.WriteHeader(http.StatusPartialContent)
		until = e.resource.Length
	default:
		if size >= 0 {
			h.Set("Content-Length", strconv.FormatInt(size, 10))
		}
		until = size
	}
	g.stream(w, r, e, segment, from, until, patience)
}

// header sets the header fields of a segment from the store.
func (g *Gateway) header(h http.Header, e *entry, segment *store.Segment) {
	own := segment.Header()
	like := own
	if like == nil {
		like = e.playlist.show.viewer.Header()
	}
	for _, name := range copied {
		if v := like.Values(name); len(v) > 0 {
			h[name] = v
		}
	}
	for _, name := range validators {
		if v := own.Values(name); len(v) > 0 {
			h[name] = v
		}
	}
	if v := own.Values("Accept-Ranges"); own != nil && len(v) > 0 {
		h["Accept-Ranges"] = v
	} else if own == nil {
		h.Set("Accept-Ranges", "bytes") // here they are served from the store
	}
	if h.Get("Content-Type") == "" {
		t := types[strings.ToLower(path.Ext(e.resource.URL.Path))]
		if t == "" {
			t = "application/octet-stream"
		}
		h.Set("Content-Type", t)
	}
}

// stream sends the bytes up to until, or to the end for -1, and takes the rest
// from the origin if the store does not get on. The player sees a body that breaks off
// when what comes is of another version than what it has got.
func (g *Gateway) stream(w http.ResponseWriter, r *http.Request, e *entry, segment *store.Segment, from, until int64, patience time.Duration) {
	flush := http.NewResponseController(w)
	at := from
	reader := segment.Reader(from)
	var sent [][]byte
	var pace pace
	for until < 0 || at < until {
		p, err := next(r.Context(), reader, patience)
		switch {
		case err != nil && r.Context().Err() != nil:
			return
		case errors.Is(err, store.ErrChanged):
			panic(http.ErrAbortHandler)
		case err != nil:
			g.log.Debug("taking the rest of a segment straight from the origin", "path", r.URL.Path, "at", at, "err", err)
			g.rest(w, r, e, from, until, sent)
			return
		case p == nil && until >= 0:
			panic(http.ErrAbortHandler) // shorter than it was said to be
		case p == nil:
			return
		}
		if until >= 0 {
			p = p[:min(int64(len(p)), until-at)]
		}
		rate := e.rate(segment.Size())
		p = p[:min(len(p), piece(rate))]
		if !pause.For(r.Context(), pace.take(time.Now(), len(p), rate)) {
			return
		}
		n, err := w.Write(p)
		at += int64(n)
		if err != nil {
			return
		}
		sent = append(sent, p)
		reader.Advance(n)
		_ = flush.Flush()
	}
}

// waitFor waits for bytes at an offset, and no longer than patience.
func waitFor(ctx context.Context, segment *store.Segment, at int64, patience time.Duration) ([]byte, error) {
	return next(ctx, segment.Reader(at), patience)
}

// next waits for the next bytes of a reader, and no longer than patience.
func next(ctx context.Context, r *store.Reader, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.Next(ctx)
}

// direct has the origin answer.
func (g *Gateway) direct(w http.ResponseWriter, r *http.Request, e *entry) {
	count := &counter{ResponseWriter: w}
	defer func() { e.playlist.show.viewer.CountOrigin(count.n) }()
	g.proxy.ServeHTTP(count, r)
}

// counter counts the bytes of a segment's body.
type counter struct {
	http.ResponseWriter
	good bool
	n    int64
}

func (c *counter) WriteHeader(status int) {
	c.good = status == http.StatusOK || status == http.StatusPartialContent
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	if c.good {
		c.n += int64(n)
	}
	return n, err
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

var errNoRange = errors.New("origin does not serve ranges")

// rest sends, from the origin, what is missing of a body that has begun at from and of
// which some is sent. It asks for that, too, because the origin may have another version by
// now. If it has, or fails, the player sees a body that breaks off.
func (g *Gateway) rest(w http.ResponseWriter, r *http.Request, e *entry, from, until int64, sent [][]byte) {
	err := func() error {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, e.resource.URL.String(), nil)
		if err != nil {
			return err
		}
		first := e.resource.Offset + from
		span := fmt.Sprintf("bytes=%d-", first)
		if until >= 0 {
			span += strconv.FormatInt(e.resource.Offset+until-1, 10)
		}
		req.Header.Set("Range", span)
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := g.client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusPartialContent:
			if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", first)) {
				return errNoRange
			}
		case http.StatusOK:
			if _, err := io.CopyN(io.Discard, resp.Body, first); err != nil {
				return err
			}
		default:
			return errNoRange
		}
		n, err := skip(resp.Body, sent)
		defer func() { e.playlist.show.viewer.CountOrigin(n) }()
		if err != nil {
			return err
		}
		var more int64
		if until >= 0 {
			more, err = io.CopyN(w, resp.Body, until-from-n)
		} else {
			more, err = io.Copy(w, resp.Body)
		}
		n += more
		return err
	}()
	if err != nil {
		g.log.Debug("the rest of a segment does not come", "path", r.URL.Path, "err", err)
		panic(http.ErrAbortHandler)
	}
}

// skip reads what was sent, and fails if it is other bytes.
func skip(from io.Reader, sent [][]byte) (n int64, err error) {
	for _, p := range sent {
		got := make([]byte, len(p))
		k, err := io.ReadFull(from, got)
		n += int64(k)
		if err != nil {
			return n, err
		}
		if !bytes.Equal(got, p) {
			return n, store.ErrChanged
		}
	}
	return n, nil
}

// parseRange reads a Range of one part of a body of size bytes, -1 if that is not
// known: then both ends must be given.
func parseRange(s string, size int64) (from, until int64, ok bool) {
	spec, ok := strings.CutPrefix(s, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, 0, false
	}
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	switch {
	case first != "" && last != "":
		from, until = a, b+1
	case size < 0:
		return 0, 0, false
	case first != "":
		from, until, errB = a, size, nil
	default:
		from, until, errA = max(0, size-b), size, nil
	}
	if size >= 0 {
		until = min(until, size)
	}
	return from, until, errA == nil && errB == nil && from >= 0 && from < until
}
