package origin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catch is a Sink that keeps all.
type catch struct {
	trusts   bool // statements are good
	proof    Proof
	headers  int
	chunks   map[int][]byte
	raw      []byte
	started  bool
	size     int64
	finished bool
	adopted  bool
	timed    []timing
}

func (c *catch) Header(http.Header) { c.headers++ }
func (c *catch) Verify(s Statement) (Proof, bool) {
	if !c.trusts || s.Token != "token" {
		return Proof{}, false
	}
	c.proof.Hashes = s.Hashes
	return c.proof, true
}
func (c *catch) Chunk(i int, data []byte) {
	if c.chunks == nil {
		c.chunks = map[int][]byte{}
	}
	c.chunks[i] = data
}
func (c *catch) StartRaw(size int64) { c.started, c.size, c.raw = true, size, nil }
func (c *catch) Raw(data []byte)     { c.raw = append(c.raw, data...) }
func (c *catch) FinishRaw()          { c.finished = true }
func (c *catch) Timed(bytes int64, within, took time.Duration) {
	c.timed = append(c.timed, timing{bytes, within, took})
}
func (c *catch) Adopt() int64 { c.adopted = true; return int64(len(c.raw)) }

func (c *catch) all() []byte {
	var b []byte
	for i := range len(c.chunks) {
		b = append(b, c.chunks[i]...)
	}
	return b
}

// digest gives the layout and the hashes of bytes.
func digest(t *testing.T, data []byte) (integrity.Layout, []byte) {
	t.Helper()
	d, err := integrity.NewDigester(int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = d.Write(data)
	hashes, _, _ := d.Sum()
	return d.Layout(), hashes
}

func serve(t *testing.T, h http.HandlerFunc) (*Client, *url.URL) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/seg.m4s")
	if err != nil {
		t.Fatal(err)
	}
	return &Client{HTTP: s.Client()}, u
}

func content(data []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

func statement(hashes []byte) []string {
	return []string{HeaderSegment, "token", HeaderDigests, ":" + base64.StdEncoding.EncodeToString(hashes) + ":"}
}

var data = bytes.Repeat([]byte("segment!"), 10_000) // 80,000 bytes, 5 chunks

func TestWhole(t *testing.T) {
	layout, hashes := digest(t, data)
	c, u := serve(t, content(data, statement(hashes)...))
	to := &catch{trusts: true, proof: Proof{Layout: layout}}
	res, err := c.Fetch(context.Background(), Request{URL: u}, to)
	if err != nil || !bytes.Equal(to.all(), data) || to.started || res != (Result{Bytes: 80_000}) {
		t.Errorf("verified: %v, %+v, %d bytes in chunks, raw %v", err, res, len(to.all()), to.started)
	}

	to = &catch{}
	res, err = c.Fetch(context.Background(), Request{URL: u}, to)
	if err != nil || !bytes.Equal(to.raw, data) || !to.finished || to.size != 80_000 || res != (Result{Bytes: 80_000, Loose: 80_000}) {
		t.Errorf("without trust: %v, %+v, %d raw bytes", err, res, len(to.raw))
	}

	to = &catch{}
	_, err = c.Fetch(context.Background(), Request{URL: u, Offset: 8, Length: 16}, to)
	if err != nil || !bytes.Equal(to.raw, data[8:24]) {
		t.Errorf("a byte range: %v %q", err, to.raw)
	}
}

// TestLateStatement: where the header says nothing the edge is asked, again while
// it does not know.
func TestLateStatement(t *testing.T) {
	layout, hashes := digest(t, data)
	var asked atomic.Int32
	c, u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mesh/segment" {
			content(data)(w, r)
			return
		}
		if asked.Add(1) < 3 {
			_ = json.NewEncoder(w).Encode(signal.SegmentStatement{Code: signal.NotKnown})
			return
		}
		_ = json.NewEncoder(w).Encode(signal.SegmentStatement{Token: "token", Hashes: hashes})
	})
	to := &catch{trusts: true, proof: Proof{Layout: layout}}
	res, err := c.Fetch(context.Background(), Request{URL: u, Statement: u.JoinPath("/../mesh/segment")}, to)
	if err != nil || !to.adopted || res.Loose != 0 || res.Bytes != 80_000 || asked.Load() != 3 {
		t.Errorf("%v, %+v, adopted %v, asked %d times", err, res, to.adopted, asked.Load())
	}
}

// TestNoStatement: what the edge refuses to vouch for is played, and not asked for
// again; nor at all if the header of the segment says so.
func TestNoStatement(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		header []string
		asked  int32
	}{
		"not shared":        {200, `{"code":"not_shared"}`, nil, 1},
		"not listed":        {404, `{"code":"not_listed"}`, nil, 1},
		"by the header":     {200, `{"code":"not_known"}`, []string{HeaderDigests, "?0"}, 0},
		"never known":       {200, `{"code":"not_known"}`, nil, 4},
		"no statement JSON": {200, `<html>`, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			client, u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/mesh/segment" {
					content(data, c.header...)(w, r)
					return
				}
				asked.Add(1)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			to := &catch{trusts: true}
			res, err := client.Fetch(context.Background(), Request{URL: u, Statement: u.JoinPath("/../mesh/segment")}, to)
			if err != nil || to.adopted || !to.finished || res.Loose != 80_000 || asked.Load() != c.asked {
				t.Errorf("%v, %+v, adopted %v, asked %d times, want %d", err, res, to.adopted, asked.Load(), c.asked)
			}
		})
	}
}

func TestChunks(t *testing.T) {
	layout, hashes := digest(t, data)
	var ranges atomic.Int32
	c, u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ranges.Add(1)
		content(data)(w, r)
	})
	to := &catch{}
	req := Request{URL: u, Chunks: 0b11010, Proof: &Proof{Layout: layout, Hashes: hashes}}
	res, err := c.Fetch(context.Background(), req, to)
	if err != nil || len(to.chunks) != 3 || ranges.Load() != 2 || res.Loose != 0 || res.Bytes != 16<<10+16<<10+80_000-4*16<<10 {
		t.Errorf("%v, %+v, %d chunks with %d requests", err, res, len(to.chunks), ranges.Load())
	}
	for i, b := range to.chunks {
		if layout.Check(hashes, i, b) != nil {
			t.Errorf("chunk %d is wrong", i)
		}
	}

	// An origin that does no ranges sends all, and it is taken out of that.
	c, u = serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(data) })
	req.URL, to = u, &catch{}
	if _, err = c.Fetch(context.Background(), req, to); err != nil || len(to.chunks) != 3 {
		t.Errorf("without ranges: %v, %d chunks", err, len(to.chunks))
	}
}

// TestMismatch: bytes that were not signed for are given raw when all is fetched,
// and are an error when single chunks are.
func TestMismatch(t *testing.T) {
	layout, hashes := digest(t, data)
	other := bytes.Clone(data)
	other[40_000] ^= 1
	c, u := serve(t, content(other, statement(hashes)...))
	to := &catch{trusts: true, proof: Proof{Layout: layout}}
	res, err := c.Fetch(context.Background(), Request{URL: u}, to)
	if err != nil || !res.Mismatch || !bytes.Equal(to.raw, other) || !to.finished || len(to.chunks) != 2 {
		t.Errorf("whole: %v, %+v, %d raw bytes, %d chunks", err, res, len(to.raw), len(to.chunks))
	}
	to = &catch{}
	_, err = c.Fetch(context.Background(), Request{URL: u, Chunks: 0b100, Proof: &Proof{Layout: layout, Hashes: hashes}}, to)
	if !errors.Is(err, ErrMismatch) || len(to.chunks) != 0 {
		t.Errorf("a chunk: %v, %d chunks", err, len(to.chunks))
	}
}

func TestFailures(t *testing.T) {
	layout, hashes := digest(t, data)
	proof := &Proof{Layout: layout, Hashes: hashes}
	for _, status := range []int{403, 404, 416, 500, 503} {
		c, u := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
		for _, req := range []Request{{URL: u}, {URL: u, Chunks: 1, Proof: proof}} {
			to := &catch{}
			_, err := c.Fetch(context.Background(), req, to)
			var no *StatusError
			if !errors.As(err, &no) || no.Status != status || to.headers != 0 || to.started {
				t.Errorf("status %d: %v", status, err)
			}
		}
	}
	c, u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:20_000])
		panic(http.ErrAbortHandler)
	})
	to := &catch{}
	res, err := c.Fetch(context.Background(), Request{URL: u}, to)
	if !errors.Is(err, io.ErrUnexpectedEOF) || to.finished || res.Loose != 20_000 {
		t.Errorf("short: %v, finished %v, %+v", err, to.finished, res)
	}
	to = &catch{}
	res, err = c.Fetch(context.Background(), Request{URL: u, Proof: proof}, to)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(to.chunks) != 1 || res.Loose != 20_000-16<<10 {
		t.Errorf("short with a proof: %v, %d chunks, %+v", err, len(to.chunks), res)
	}
	c, u = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-99/80000")
		w.WriteHeader(http.StatusPartialContent)
	})
	if _, err := c.Fetch(context.Background(), Request{URL: u, Chunks: 2, Proof: proof}, &catch{}); err == nil || !strings.Contains(err.Error(), "range") {
		t.Errorf("another range than was asked for: %v", err)
	}
}

// TestSlow: what has come is given before the rest comes, and cancelling ends it.
func TestSlow(t *testing.T) {
	c, u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:1000])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	to := &first{catch: &catch{}, then: cancel}
	res, err := c.Fetch(ctx, Request{URL: u}, to)
	if !errors.Is(err, context.Canceled) || res.Loose != 1000 || to.finished {
		t.Errorf("%v, %+v", err, res)
	}
}

// first calls then when raw bytes come.
type first struct {
	*catch
	then func()
}

func (f *first) Raw(p []byte) { f.catch.Raw(p); f.then() }
