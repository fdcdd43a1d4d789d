// Package edge opens sessions at an edge and holds the signaling WebSocket, as
// Package meshcore/signal describes them.
package edge

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// HeaderBootstrap is on each manifest that the mesh can help with.
const HeaderBootstrap = "Mesh-Bootstrap"

const (
	openWait     = 10 * time.Second
	maxAnswer    = 256 << 10
	maxManifest  = 4 << 20
	clockLeeway  = 5 * time.Second // the Date header is as exact as that
	defaultRetry = 5 * time.Second
)

// Bootstrap is where to open a session, and in which swarm.
type Bootstrap struct {
	Session *url.URL
	Swarm   string
	// Manifest is the path and query, without viewer token, of the manifest, and From
	// is its URL.
	Manifest string
	From     *url.URL
	// Identity says what of URLs is the viewer's.
	Identity manifest.Identity
	// Token is the viewer token in the URL of the manifest, "" for none.
	Token string
}

// ParseBootstrap reads the Mesh-Bootstrap header, a Structured Field dictionary
// (RFC 9651), of a manifest that came from base; ok is false if there is none of
// a version that is known.
func ParseBootstrap(h http.Header, base *url.URL) (b Bootstrap, ok bool) {
	d, err := httpsfv.UnmarshalDictionary(h.Values(HeaderBootstrap))
	if err != nil {
		return b, false
	}
	value := func(name string) any {
		m, _ := d.Get(name)
		item, _ := m.(httpsfv.Item)
		return item.Value
	}
	session, _ := value("session").(string)
	b.Swarm, _ = value("swarm").(string)
	if v, _ := value("v").(int64); v != 1 || session == "" || b.Swarm == "" {
		return b, false
	}
	text := func(name string) string { s, _ := value(name).(string); return s }
	b.From = base
	names := strings.Fields(text("token"))
	b.Token, _ = tokens.CutURI(base.String(), names)
	_, b.Manifest = tokens.CutURI(base.RequestURI(), names)
	b.Identity = manifest.Identity{Params: strings.Fields(text("params")), Cut: func(uri string) string {
		_, without := tokens.CutURI(uri, names)
		return without
	}}
	if expression := text("path"); expression != "" {
		if b.Identity.Path, err = manifest.ParseViewerPath(expression); err != nil {
			return b, false
		}
	}
	b.Session, err = base.Parse(session)
	return b, err == nil
}

// Reload loads the manifest of a bootstrap again, past caches on the way, so that
// an edge that does not know its swarm learns it, and returns what it says now. The
// error is a *Refused for an answer other than 200, or without bootstrap.
func Reload(ctx context.Context, client *http.Client, b Bootstrap) (Bootstrap, error) {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.From.String(), nil)
	if err != nil {
		return b, fmt.Errorf("reload the manifest: %w", err)
	}
	req.Header.Set("Cache-Control", "no-cache")
	resp, err := client.Do(req)
	if err != nil {
		return b, fmt.Errorf("reload the manifest: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest)) // the edge learns from the whole of it
	if err != nil {
		return b, fmt.Errorf("reload the manifest: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return b, refused(resp, body)
	}
	again, ok := ParseBootstrap(resp.Header, b.From)
	if !ok {
		return b, &Refused{Status: resp.StatusCode, Detail: "the manifest names no swarm any more"}
	}
	return again, nil
}

// Refused is an edge's answer that opens no session. The viewer plays from the
// origin.
type Refused struct {
	Status int
	// RetryAfter is when to ask again, 0 for never (with this swarm).
	RetryAfter   time.Duration
	Code, Detail string
}

func (e *Refused) Error() string {
	text := fmt.Sprintf("edge opened no session: status %d", e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Session is an open session. It is not changed after it is made.
type Session struct {
	signal.SessionAnswer
	Swarm    string
	Verifier *tokens.Verifier
	// Key is the session key, whose public half is in the pass.
	Key ed25519.PrivateKey
	// Socket is the URL of the WebSocket.
	Socket *url.URL
	// Expires is when the pass expires, by the local clock.
	Expires    time.Time
	statements *url.URL
	// ahead is how far the edge's clock is ahead of the local one.
	ahead time.Duration
}

// Host is the edge's, with port.
func (s *Session) Host() string { return s.statements.Host }

// Statement is the URL at which the edge says what it does of the segment of a path, with
// its query and whatever viewer token is in them, or of a byte range of it if length is
// not 0.
func (s *Session) Statement(path string, offset, length int64) *url.URL {
	q := url.Values{"path": {path}}
	if length > 0 {
		q.Set("offset", strconv.FormatInt(offset, 10))
		q.Set("length", strconv.FormatInt(length, 10))
	}
	u := *s.statements
	u.RawQuery = q.Encode()
	return &u
}

// Now is the edge's time, which tokens are held against.
func (s *Session) Now() time.Time { return time.Now().Add(s.ahead) }

// Open opens a session, with a key of its own. The error is a *Refused if the edge says no.
func Open(ctx context.Context, client *http.Client, b Bootstrap, r signal.SessionRequest) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a session key: %w", err)
	}
	r.V, r.Swarm, r.Manifest, r.Key = 1, b.Swarm, b.Manifest, public
	request, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.Session.String(), bytes.NewReader(request))
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	asked := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp, body)
	}
	s := &Session{Swarm: b.Swarm, Key: private}
	if err := json.Unmarshal(body, &s.SessionAnswer); err != nil {
		return nil, fmt.Errorf("read the session: %w", err)
	}
	if s.V != 1 || s.Peer == 0 || s.Pass == "" || s.ExpiresMS <= 0 {
		return nil, errors.New("read the session: the answer lacks peer, pass or expires_ms; is the edge of this version?")
	}
	if s.Verifier, err = tokens.NewVerifier(s.Keys); err != nil {
		return nil, fmt.Errorf("read the session's keys: %w", err)
	}
	if s.Socket, err = b.Session.Parse(s.Signal); err != nil {
		return nil, fmt.Errorf("read the session: %w", err)
	}
	if s.statements, err = b.Session.Parse(s.Segment); err != nil {
		return nil, fmt.Errorf("read the session: %w", err)
	}
	s.Socket.Scheme = map[string]string{"https": "wss", "http": "ws"}[s.Socket.Scheme]
	s.Expires = asked.Add(time.Duration(s.ExpiresMS) * time.Millisecond)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if ahead := date.Sub(asked); ahead.Abs() > clockLeeway {
			s.ahead = ahead
		}
	}
	return s, nil
}

// refused reads an RFC 9457 problem.
func refused(resp *http.Response, body []byte) *Refused {
	e := &Refused{Status: resp.StatusCode}
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) == nil {
		e.Code, e.Detail = problem.Code, problem.Detail
	}
	switch resp.StatusCode {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout,
		http.StatusInternalServerError:
		e.RetryAfter = defaultRetry
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			e.RetryAfter = time.Duration(n) * time.Second
		}
	}
	return e
}
