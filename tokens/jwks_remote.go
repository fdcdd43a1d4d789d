package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// RemoteKeysConfig says where a JWKS is and how often it may be fetched.
type RemoteKeysConfig struct {
	// URL of the JWKS, https. Required.
	URL string
	// AllowHTTP permits an http URL. Whoever sits on that way can then make
	// tokens.
	AllowHTTP bool
	// Transport makes the requests. Redirects are not followed. Required.
	Transport http.RoundTripper
	// Now gives the time. Required.
	Now func() time.Time
	// Refresh is the age at which keys are fetched again. Default 15 minutes.
	Refresh time.Duration
	// Floor is the least time between two fetches, whatever key ids viewers come
	// with and however often the fetch fails. Default 30 seconds.
	Floor time.Duration
	// MaxStale is the age beyond which keys that could not be refreshed are no
	// longer used. Default 24 hours.
	MaxStale time.Duration
	// Timeout bounds one fetch. Default 5 seconds.
	Timeout time.Duration
}

// RemoteKeys is a KeySource that follows a JWKS URL. Keys that are known answer
// at once, and are refreshed beside the request; only a request with an unknown
// key id, or before the first fetch, waits for one. Failing fetches leave the
// last keys in use. Call Close when done.
type RemoteKeys struct {
	config RemoteKeysConfig
	stop   context.CancelFunc
	ctx    context.Context

	mu       sync.Mutex
	raw      []byte // what set was read from
	set      *KeySet
	fetched  time.Time     // when set was confirmed last
	tried    time.Time     // when a fetch was begun last
	inFlight chan struct{} // closed when the fetch under way is over; nil for none
	err      error         // of the last fetch
	closed   bool
}

// NewRemoteKeys checks a configuration. It fetches nothing yet.
func NewRemoteKeys(config RemoteKeysConfig) (*RemoteKeys, error) {
	u, err := url.Parse(config.URL)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("jwks url: want an absolute https URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !config.AllowHTTP):
		return nil, errors.New("jwks url: use https, or allow http if the way to it can be trusted")
	case config.Transport == nil || config.Now == nil:
		return nil, errors.New("jwks url: set Transport and Now")
	case config.Refresh < 0 || config.Floor < 0 || config.MaxStale < 0 || config.Timeout < 0:
		return nil, errors.New("jwks url: durations must not be negative")
	}
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&config.Refresh, 15 * time.Minute}, {&config.Floor, 30 * time.Second},
		{&config.MaxStale, 24 * time.Hour}, {&config.Timeout, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	return &RemoteKeys{config: config, ctx: ctx, stop: stop}, nil
}

// Keys implements KeySource.
func (k *RemoteKeys) Keys(ctx context.Context, kid string) (*KeySet, error) {
	k.mu.Lock()
	now := k.config.Now()
	set, err := k.usable(now)
	wait := set == nil || kid != "" && !set.has(kid)
	if k.inFlight == nil && !k.closed && (wait || now.Sub(k.fetched) >= k.config.Refresh) && k.mayTry(now) {
		k.tried = now
		k.inFlight = make(chan struct{})
		go k.fetch(k.inFlight, now)
	}
	done := k.inFlight
	k.mu.Unlock()
	if !wait || done == nil {
		return set, err
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, context.Cause(ctx))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.usable(now)
}

// usable gives the set unless it is missing or too old.
func (k *RemoteKeys) usable(now time.Time) (*KeySet, error) {
	if k.set != nil && now.Sub(k.fetched) <= k.config.MaxStale {
		return k.set, nil
	}
	if k.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, k.err)
	}
	return nil, ErrKeysUnavailable
}

// mayTry holds fetches apart by the floor. A clock set back does not stop them.
func (k *RemoteKeys) mayTry(now time.Time) bool {
	since := now.Sub(k.tried)
	return k.tried.IsZero() || since >= k.config.Floor || since < 0
}

// Err gives the error of the last fetch, nil if it went well. It is for logs:
// viewers see ErrKeysUnavailable only when no keys are left.
func (k *RemoteKeys) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Close ends a fetch under way and waits for it. Keys that are there stay
// usable; no more are fetched.
func (k *RemoteKeys) Close() {
	k.mu.Lock()
	k.closed = true
	done := k.inFlight
	k.mu.Unlock()
	k.stop()
	if done != nil {
		<-done
	}
}

func (k *RemoteKeys) fetch(done chan struct{}, now time.Time) {
	raw, err := k.get()
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(done)
	k.inFlight = nil
	if err == nil && !bytes.Equal(raw, k.raw) {
		var set *KeySet
		if set, err = ParseKeySet(raw); err == nil {
			k.raw, k.set = raw, set
		}
	}
	if k.err = err; err == nil {
		k.fetched = now
	}
}

func (k *RemoteKeys) get() ([]byte, error) {
	ctx, cancel := context.WithTimeout(k.ctx, k.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.config.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch jwks: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := k.config.Transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("fetch jwks: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch jwks: the server answered %d, want 200 without a redirect", response.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxKeySetSize+1))
	if err != nil {
		return nil, fmt.Errorf("fetch jwks: %w", err)
	}
	return raw, nil
}

var (
	_ KeySource = (*RemoteKeys)(nil)
	_ KeySource = (*KeySet)(nil)
)
