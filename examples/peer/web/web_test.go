package web

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a server whose first answers stall.
type stage struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
	over  chan struct{}
}

// serve starts a server. answer gets the number of each request, from 1 on.
func serve(t *testing.T, h2 bool, answer func(n int, w http.ResponseWriter, r *http.Request, over <-chan struct{})) (*stage, *http.Client) {
	t.Helper()
	s := &stage{over: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r)
		n := len(s.asked)
		s.mu.Unlock()
		answer(n, w, r, s.over)
	}))
	s.EnableHTTP2 = h2
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	tr := c.Transport.(*Transport)
	tr.headWait, tr.bodyWait = 200*time.Millisecond, 200*time.Millisecond
	t.Cleanup(func() {
		close(s.over)
		c.CloseIdleConnections()
		s.Close()
	})
	return s, c
}

// requests returns what was asked so far.
func (s *stage) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

var film = bytes.Repeat([]byte("0123456789"), 20_000)

// stallHalfway answers with a body of which half comes.
func stallHalfway(w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
	w.Header().Set("Content-Length", "200000")
	_, _ = w.Write(film[:len(film)/2])
	_ = http.NewResponseController(w).Flush()
	select {
	case <-over:
	case <-r.Context().Done():
	}
}

// TestBodyGoesOn: a body that stalls goes on over a fresh connection, from where it was.
func TestBodyGoesOn(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s, c := serve(t, h2, func(n int, w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
				w.Header().Set("Etag", `"v1"`)
				if n == 1 {
					stallHalfway(w, r, over)
					return
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(film))
			})
			resp, err := c.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(b, film) {
				t.Fatalf("%d bytes of %d came: %v", len(b), len(film), err)
			}
			if resp.Proto != name && name == "HTTP/1.1" || h2 && resp.ProtoMajor != 2 {
				t.Errorf("spoken was %s", resp.Proto)
			}
			asked := s.requests()
			if len(asked) != 2 || asked[1].Header.Get("Range") != "bytes=100000-" || asked[1].Header.Get("If-Range") != `"v1"` {
				t.Fatalf("asked %d times, the last for %v", len(asked), asked[len(asked)-1].Header)
			}
			if asked[0].RemoteAddr == asked[1].RemoteAddr {
				t.Error("it was asked again over the connection that had stalled")
			}
		})
	}
}

// TestBodyOfAnotherVersion: what has changed in the meantime is not appended.
func TestBodyOfAnotherVersion(t *testing.T) {
	s, c := serve(t, false, func(n int, w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
		if w.Header().Set("Etag", `"v1"`); n == 1 {
			stallHalfway(w, r, over)
			return
		}
		w.Header().Set("Etag", `"v2"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(film))
	})
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, ErrStalled) || len(b) != len(film)/2 {
		t.Errorf("%d bytes came: %v", len(b), err)
	}
}

// TestHeadStalls: a head that does not come is asked for again over a fresh connection,
// unless the server may hold it back.
func TestHeadStalls(t *testing.T) {
	s, c := serve(t, false, func(n int, w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
		if strings.Contains(r.URL.RawQuery, "_HLS_msn") {
			time.Sleep(500 * time.Millisecond)
		} else if n == 1 {
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		}
		_, _ = w.Write(film)
	})
	for _, query := range []string{"", "?_HLS_msn=7"} {
		before := len(s.requests())
		resp, err := c.Get(s.URL + query)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := before + 2 - len(query)/len("?_HLS_msn=7"); err != nil || len(b) != len(film) || len(s.requests()) != want {
			t.Errorf("%q: %d bytes, asked %d times, want %d: %v", query, len(b), len(s.requests()), want, err)
		}
	}
}

// TestNothingComes: where nothing helps there is an error in the end.
func TestNothingComes(t *testing.T) {
	s, c := serve(t, false, func(_ int, _ http.ResponseWriter, r *http.Request, over <-chan struct{}) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	if _, err := c.Get(s.URL); !errors.Is(err, ErrStalled) || len(s.requests()) != maxTries {
		t.Errorf("asked %d times: %v", len(s.requests()), err)
	}
}

// TestUnknownCA: the error says what to do, and a file without certificates is one.
func TestUnknownCA(t *testing.T) {
	s, _ := serve(t, false, func(_ int, w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {})
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	var unknown *tls.CertificateVerificationError
	if _, err := c.Get(s.URL); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "--ca FILE") {
		t.Errorf("the error is %v", err)
	}
	if _, err := New(Options{CA: "web.go"}); err == nil || !strings.Contains(err.Error(), "BEGIN CERTIFICATE") {
		t.Errorf("a file without certificates: %v", err)
	}
}
