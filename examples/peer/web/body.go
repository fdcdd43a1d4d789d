package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// body is the body of an answer to a GET. When its next byte does not come, or the
// connection breaks, it asks for the rest over a fresh connection: with If-Range (RFC
// 9110, section 13.1.5), so that nothing of another version is appended.
type body struct {
	io.ReadCloser
	t      *Transport
	over   *http.Transport
	r      *http.Request
	resp   *http.Response // the first
	cancel context.CancelCauseFunc
	cause  func() error
	n      int64 // bytes read
	tries  int
	timer  *time.Timer
}

func (b *body) Read(p []byte) (int, error) {
	for {
		n, err := b.read(p)
		b.n += int64(n)
		if n > 0 || err == nil || errors.Is(err, io.EOF) {
			if n > 0 && err != nil && !errors.Is(err, io.EOF) {
				err = nil // it comes again
			}
			return n, err
		}
		if b.r.Context().Err() != nil || b.tries >= maxTries || !b.goOn() {
			return 0, err
		}
	}
}

// read reads what comes in time.
func (b *body) read(p []byte) (int, error) {
	if b.timer == nil {
		cancel := b.cancel
		b.timer = time.AfterFunc(b.t.bodyWait, func() { cancel(ErrStalled) })
	} else {
		b.timer.Reset(b.t.bodyWait)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && errors.Is(b.cause(), ErrStalled) {
		err = fmt.Errorf("%w: %w", ErrStalled, err)
	}
	return n, err
}

// goOn asks for the rest, and reports whether it comes.
func (b *body) goOn() bool {
	b.tries++
	if errors.Is(b.cause(), ErrStalled) {
		b.t.renew(b.over)
	}
	from, last, validator := rest(b.resp, b.n)
	if validator == "" {
		return false
	}
	r := b.r.Clone(b.r.Context())
	r.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-"+last)
	r.Header.Set("If-Range", validator)
	resp, err := b.t.try(r, b.t.headWait)
	if err != nil {
		return false
	}
	next := resp.Body.(*body)
	if resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
		_ = next.Close()
		return false
	}
	_ = b.ReadCloser.Close()
	b.cancel(nil)
	b.ReadCloser, b.over, b.cancel, b.cause, b.timer = next.ReadCloser, next.over, next.cancel, next.cause, nil
	return true
}

// rest returns the first and the last position of what is missing of an answer after n
// bytes, and what its version is known by, "" if it cannot be asked for.
func rest(resp *http.Response, n int64) (from int64, last, validator string) {
	switch resp.StatusCode {
	case http.StatusOK:
		from = n
	case http.StatusPartialContent:
		of, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
		first, end, dash := strings.Cut(of, "-")
		last, _, _ = strings.Cut(end, "/")
		f, err := strconv.ParseInt(first, 10, 64)
		if !ok || !dash || err != nil {
			return 0, "", ""
		}
		from = f + n
	default:
		return 0, "", ""
	}
	if tag := resp.Header.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return from, last, tag
	}
	return from, last, resp.Header.Get("Last-Modified")
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
