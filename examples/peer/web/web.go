// Package web is the HTTP client of a peer, made for paths that break. A connection that
// died without a word is noticed within seconds and not after minutes: by the kernel
// (TCP_USER_TIMEOUT, RFC 5482), by HTTP/2 pings, and by each answer whose next byte does
// not come. What was under way then goes on over a fresh connection.
package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"sync"
	"time"
)

const (
	dialWait = 3 * time.Second
	// deadAfter is how long what was sent may lack an acknowledgement, by TCP or HTTP/2.
	deadAfter = 6 * time.Second
	// headWait is how long the head of an answer may take, twice as long with each try,
	// because a busy origin must not be asked more often.
	headWait = 5 * time.Second
	// bodyWait is how long the next byte of a body may take.
	bodyWait = 4 * time.Second
	// maxTries is how often one request is sent.
	maxTries = 3
)

// ErrStalled: an answer did not get on, nor did it over fresh connections.
var ErrStalled = errors.New("no byte came for some seconds")

// Options say what a client is like.
type Options struct {
	// CA is a file with certificates (PEM) of CAs to trust beside those that the machine
	// trusts; "" for none.
	CA string
	// Token is a viewer token, shown as Authorization: Bearer to the scheme and host of
	// For and to no other; "" for none.
	Token string
	For   *url.URL
}

// New returns a client. Bodies stay as the origin sends them; cookies are kept, because
// viewer tokens are renewed in them. Its Transport is a *Transport.
func New(o Options) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.MaxIdleConnsPerHost = 64
	t.ForceAttemptHTTP2 = true
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: deadAfter / 2, PingTimeout: deadAfter / 2}
	t.DialContext = (&net.Dialer{Timeout: dialWait, Control: control,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadAfter, Interval: deadAfter / 3, Count: 2}}).DialContext
	if o.CA != "" {
		roots, err := readCA(o.CA)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	jar, _ := cookiejar.New(nil) // no options, no error
	return &http.Client{Transport: &Transport{o: o, headWait: headWait, bodyWait: bodyWait, plan: t, t: t.Clone()}, Jar: jar}, nil
}

// readCA returns the machine's roots and those of a file.
func readCA(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the CA: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the CA: %s has no certificate; write one as -----BEGIN CERTIFICATE-----", file)
	}
	return roots, nil
}

// Transport sends the requests of one peer. It is safe for concurrent use.
type Transport struct {
	o                  Options
	headWait, bodyWait time.Duration
	plan               *http.Transport // never used, to be cloned

	mu sync.Mutex
	t  *http.Transport
}

// Underlying returns the *http.Transport that a client's requests end at, or nil.
func Underlying(c *http.Client) *http.Transport {
	t := c.Transport
	for w, ok := t.(interface{ Unwrap() http.RoundTripper }); ok; w, ok = t.(interface{ Unwrap() http.RoundTripper }) {
		t = w.Unwrap()
	}
	h, _ := t.(*http.Transport)
	return h
}

// Unwrap returns the transport that does the work now.
func (t *Transport) Unwrap() http.RoundTripper { return t.current() }

func (t *Transport) current() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.t
}

// Renew has all requests from now on sent over fresh connections, because those that are
// open may lead nowhere: the network has changed.
func (t *Transport) Renew() { t.renew(t.current()) }

// renew does so unless somebody else did since then.
func (t *Transport) renew(old *http.Transport) {
	t.mu.Lock()
	if t.t == old {
		t.t = t.plan.Clone()
	}
	t.mu.Unlock()
	old.CloseIdleConnections()
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.current().CloseIdleConnections() }

// RoundTrip sends a request, with the viewer token if it is for the token's host. A GET
// whose answer does not get on is sent again over a fresh connection.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if o := &t.o; o.Token != "" && r.URL.Scheme == o.For.Scheme && r.URL.Host == o.For.Host && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+o.Token)
	}
	if r.Method != http.MethodGet {
		resp, err := t.current().RoundTrip(r)
		return resp, explain(r, err)
	}
	wait := t.headWait
	for try := 1; ; try++ {
		resp, err := t.try(r, wait)
		if err == nil {
			resp.Body.(*body).tries = try
			return resp, nil
		}
		if try == maxTries || !errors.Is(err, ErrStalled) {
			return nil, explain(r, err)
		}
		wait *= 2
	}
}

// try sends a GET and waits for the head of the answer, whose Body is a *body.
func (t *Transport) try(r *http.Request, wait time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	var timer *time.Timer
	if !held(r) {
		timer = time.AfterFunc(wait, func() { cancel(ErrStalled) })
		defer timer.Stop()
	}
	over := t.current()
	resp, err := over.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stalled := errors.Is(context.Cause(ctx), ErrStalled)
		cancel(err)
		if stalled {
			t.renew(over)
			err = fmt.Errorf("%w: %w", ErrStalled, err)
		}
		return nil, err
	}
	resp.Request = r
	resp.Body = &body{ReadCloser: resp.Body, t: t, over: over, r: r, resp: resp, cancel: cancel, cause: func() error { return context.Cause(ctx) }}
	return resp, nil
}

type holdKey struct{}

// Hold lets a server hold back the answers to requests of ctx, as it does for a part that
// is not made yet: nothing is sent again for want of a head.
func Hold(ctx context.Context) context.Context { return context.WithValue(ctx, holdKey{}, true) }

// held reports whether a server may hold back the answer. It may for a playlist reload
// that blocks (draft-pantos-hls-rfc8216bis, section 6.2.5.2).
func held(r *http.Request) bool {
	return r.Context().Value(holdKey{}) != nil || r.URL.Query().Has("_HLS_msn")
}

// explain says of a CA that is not known what to do.
func explain(r *http.Request, err error) error {
	var unknown x509.UnknownAuthorityError
	if err == nil || !errors.As(err, &unknown) {
		return err
	}
	return fmt.Errorf("%w: this machine does not know the CA of %s; give the CA's certificate with --ca FILE "+
		"(of Caddy's own CA it is pki/authorities/local/root.crt in Caddy's data directory)", err, r.URL.Host)
}
