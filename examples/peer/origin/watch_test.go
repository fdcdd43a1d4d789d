package origin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// timing is what a sink was told of an answer.
type timing struct {
	bytes        int64
	within, took time.Duration
}

// link answers each request after 50 ms, and its bytes come at a rate. It breaks off
// after so many, if that is not 0.
type link struct {
	rate  int64 // bytes/s
	limit int
}

func (l link) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(50 * time.Millisecond)
	if r.URL.Path == "/mesh/segment" {
		return &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(bytes.NewReader([]byte("no")))}, nil
	}
	from, until, status := 0, len(data), http.StatusOK
	h := http.Header{}
	if s := r.Header.Get("Range"); s != "" {
		if _, err := fmt.Sscanf(s, "bytes=%d-%d", &from, &until); err != nil {
			return nil, err
		}
		until++
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, until-1, len(data)))
	}
	body := data[from:until]
	if l.limit > 0 {
		body = body[:l.limit]
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: int64(until - from), Body: &trickle{body, l.rate}}, nil
}

// trickle is a body of which every kilobyte takes its time.
type trickle struct {
	left []byte
	rate int64
}

func (b *trickle) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1000)], b.left)
	b.left = b.left[n:]
	time.Sleep(time.Duration(n) * time.Second / time.Duration(b.rate))
	return n, nil
}

func (b *trickle) Close() error { return nil }

// TestTimed: how long the origin took is told once, as soon as the bytes are over.
func TestTimed(t *testing.T) {
	layout, hashes := digest(t, data)
	proof := &Proof{Layout: layout, Hashes: hashes}
	u := &url.URL{Scheme: "http", Host: "origin", Path: "/seg.m4s"}
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		req   Request
		limit int
		want  timing
	}{
		{"a whole segment", Request{URL: u}, 0, timing{80_000, 50 * ms, 800 * ms}},
		{"with a proof", Request{URL: u, Proof: proof}, 0, timing{80_000, 50 * ms, 800 * ms}},
		{"before it asks for a statement", Request{URL: u, Statement: u.JoinPath("/../mesh/segment")}, 0, timing{80_000, 50 * ms, 800 * ms}},
		{"two chunks at once", Request{URL: u, Chunks: 0b101, Proof: proof}, 0, timing{2 * 16 << 10, 50 * ms, 163840 * time.Microsecond}},
		{"broken off", Request{URL: u}, 20_000, timing{20_000, 50 * ms, 200 * ms}},
		{"a byte range", Request{URL: u, Offset: 5, Length: 10_000}, 0, timing{10_000, 50 * ms, 100 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := Client{HTTP: &http.Client{Transport: link{100_000, c.limit}}}
				to := &catch{}
				_, err := client.Fetch(context.Background(), c.req, to)
				if (err != nil) != (c.limit > 0) {
					t.Error(err)
				}
				if !slices.Equal(to.timed, []timing{c.want}) {
					t.Errorf("told %v, want %v", to.timed, c.want)
				}
			})
		})
	}
}
