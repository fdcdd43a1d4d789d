package tokens

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// keyServer is a transport that answers with a JWKS, without a network.
type keyServer struct {
	mu     sync.Mutex
	body   string
	status int
	err    error
	asked  int
	hold   chan struct{} // when set, answers wait for it
	began  chan struct{} // gets one value for each request
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	body, status, err, hold := s.body, s.status, s.err, s.hold
	s.mu.Unlock()
	select {
	case s.began <- struct{}{}:
	default:
	}
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *keyServer) set(change func()) { s.mu.Lock(); defer s.mu.Unlock(); change() }

func (s *keyServer) count() int { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time          { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func newRemote(t *testing.T, body string) (*RemoteKeys, *keyServer, *clock) {
	t.Helper()
	server := &keyServer{body: body, status: 200, began: make(chan struct{}, 1)}
	now := &clock{now: unix(1_700_000_000)}
	k := must(NewRemoteKeys(RemoteKeysConfig{URL: "https://keys.example/jwks", Transport: server, Now: now.Now}))
	t.Cleanup(k.Close)
	return k, server, now
}

const (
	jwkOne = `{"kty":"OKP","crv":"Ed25519","kid":"one","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w"}`
	jwkTwo = `{"kty":"OKP","crv":"Ed25519","kid":"two","x":"gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q"}`
)

// settle waits for the fetch under way, if any.
func (k *RemoteKeys) settle() {
	k.mu.Lock()
	done := k.inFlight
	k.mu.Unlock()
	if done != nil {
		<-done
	}
}

func TestRemoteKeysAreCachedAndRefreshed(t *testing.T) {
	ctx := context.Background()
	k, server, now := newRemote(t, `{"keys":[`+jwkOne+`]}`)
	first := must(k.Keys(ctx, "one"))
	for range 100 {
		if set := must(k.Keys(ctx, "one")); set != first {
			t.Fatal("the set changed though the keys did not")
		}
	}
	if server.count() != 1 {
		t.Fatalf("asked %d times, want once", server.count())
	}

	// A refresh that brings the same keys leaves the pointer alone.
	now.advance(16 * time.Minute)
	must(k.Keys(ctx, "one"))
	k.settle()
	if set := must(k.Keys(ctx, "one")); set != first || server.count() != 2 {
		t.Errorf("after a refresh: the same %v, asked %d times", set == first, server.count())
	}

	// A new key id is looked for, no more often than the floor, by whoever asks.
	server.set(func() { server.body = `{"keys":[` + jwkTwo + `]}` })
	if set := must(k.Keys(ctx, "two")); set.has("two") || server.count() != 2 {
		t.Errorf("within the floor: asked %d times", server.count())
	}
	now.advance(31 * time.Second)
	if set := must(k.Keys(ctx, "two")); !set.has("two") || set.has("one") || server.count() != 3 {
		t.Errorf("past the floor: asked %d times", server.count())
	}
	for range 100 {
		must(k.Keys(ctx, "three"))
	}
	if server.count() != 3 {
		t.Errorf("made-up key ids cause %d fetches", server.count()-3)
	}
}

func TestRemoteKeysSurviveFailingFetches(t *testing.T) {
	ctx := context.Background()
	k, server, now := newRemote(t, `{"keys":[`+jwkOne+`]}`)
	must(k.Keys(ctx, "one"))
	for _, failure := range []func(){
		func() { server.err = errors.New("no route") },
		func() { server.err, server.status = nil, 500 },
		func() { server.status = 302 },
		func() { server.status, server.body = 200, "<html>" },
		func() { server.body = `{"keys":[]}` },
		func() { server.body = strings.Repeat(" ", maxKeySetSize+1) },
	} {
		server.set(failure)
		now.advance(20 * time.Minute)
		must(k.Keys(ctx, "one"))
		k.settle()
		if k.Err() == nil {
			t.Error("the failure is not told")
		}
		if set, err := k.Keys(ctx, "one"); err != nil || !set.has("one") {
			t.Errorf("keys are lost: %v", err)
		}
	}
	now.advance(24 * time.Hour)
	if _, err := k.Keys(ctx, "one"); !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("keys a day old are still used: %v", err)
	}
	server.set(func() { server.body = `{"keys":[` + jwkOne + `]}` })
	now.advance(time.Minute)
	if _, err := k.Keys(ctx, "one"); err != nil || k.Err() != nil {
		t.Errorf("the server is back: %v, %v", err, k.Err())
	}
}

func TestRemoteKeysMakeNoKnownViewerWait(t *testing.T) {
	k, server, now := newRemote(t, `{"keys":[`+jwkOne+`]}`)
	must(k.Keys(context.Background(), "one"))
	<-server.began
	hold := make(chan struct{})
	server.set(func() { server.hold = hold })
	now.advance(time.Hour)
	must(k.Keys(context.Background(), "one")) // begins the refresh and returns
	<-server.began
	must(k.Keys(context.Background(), "one"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := k.Keys(ctx, "new"); !errors.Is(err, ErrKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("a viewer that went away: %v", err)
	}
	if server.count() != 2 {
		t.Errorf("asked %d times, want 2", server.count())
	}
	k.Close() // ends the fetch that hangs
	if k.Err() == nil {
		t.Error("the fetch was not ended")
	}
	now.advance(time.Hour)
	if _, err := k.Keys(context.Background(), "one"); err != nil || server.count() != 2 {
		t.Errorf("after Close: %v, asked %d times", err, server.count())
	}
}

func TestRemoteKeysWithManyAtOnce(t *testing.T) {
	k, server, _ := newRemote(t, `{"keys":[`+jwkOne+`]}`)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := k.Keys(context.Background(), "one"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if server.count() != 1 {
		t.Errorf("asked %d times, want once", server.count())
	}
}

func TestRemoteKeysConfigIsChecked(t *testing.T) {
	good := RemoteKeysConfig{URL: "https://h/jwks", Transport: &keyServer{}, Now: time.Now}
	for name, change := range map[string]func(*RemoteKeysConfig){
		"no URL":       func(c *RemoteKeysConfig) { c.URL = "" },
		"relative":     func(c *RemoteKeysConfig) { c.URL = "/jwks" },
		"plain http":   func(c *RemoteKeysConfig) { c.URL = "http://h/jwks" },
		"other scheme": func(c *RemoteKeysConfig) { c.URL, c.AllowHTTP = "file://h/jwks", true },
		"no transport": func(c *RemoteKeysConfig) { c.Transport = nil },
		"no clock":     func(c *RemoteKeysConfig) { c.Now = nil },
		"negative":     func(c *RemoteKeysConfig) { c.Floor = -1 },
	} {
		config := good
		change(&config)
		if _, err := NewRemoteKeys(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good.URL, good.AllowHTTP = "http://h/jwks", true
	if _, err := NewRemoteKeys(good); err != nil {
		t.Error(err)
	}
}
