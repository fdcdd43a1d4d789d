// Package gateway lets any player play through a viewer: it serves the paths of
// an origin, and takes the segments of the playlists that the player loads from
// the mesh. Playlists pass byte for byte, but for absolute URLs of the origin's
// host. What the mesh does not bring in time, and everything else, comes straight
// from the origin, with its status and its errors.
//
// # Where the playhead is
//
// A player does not say where it plays. The gateway takes the start of the first
// segment that it asks for as the playhead, and lets it run from then on. It is
// set back to a segment that is asked for behind it (the player stalled or
// paused), set to one that is asked for out of the row (it was moved), and stands
// still at the end of the last segment that was asked for.
package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

const (
	maxPlaylist = 16 << 20
	// patienceLive and patienceVOD are how long the next byte of a segment is
	// waited for before the origin is asked directly. That of a part is twice its
	// length, and at least patiencePart.
	patiencePart = 500 * time.Millisecond
	patienceLive = 3 * time.Second
	patienceVOD  = 6 * time.Second
	// idle is how long after the last request a presentation is let go.
	idle = 5 * time.Minute
)

// Config says what to serve. Origin is needed.
type Config struct {
	// Origin is scheme and host of the origin.
	Origin *url.URL
	// Viewer is what the viewers are like that take part in the mesh.
	Viewer viewer.Config
}

// Gateway is an http.Handler. Close must be called in the end.
type Gateway struct {
	cfg    Config
	log    *slog.Logger
	client *http.Client
	proxy  *httputil.ReverseProxy

	mu        sync.Mutex
	playlists map[string]*playlist // by path of the origin
	segments  map[string][]*entry  // by path and query
	shows     map[*show]struct{}
	past      signal.Report // of shows that were let go
	closed    bool
	work      sync.WaitGroup
}

// New makes a gateway.
func New(cfg Config) *Gateway {
	g := &Gateway{cfg: cfg, log: cfg.Viewer.Log, client: cfg.Viewer.HTTP,
		playlists: map[string]*playlist{}, segments: map[string][]*entry{}, shows: map[*show]struct{}{}}
	if g.log == nil {
		g.log = slog.Default()
	}
	if g.client == nil {
		g.client = http.DefaultClient
	}
	g.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = cfg.Origin.Scheme, cfg.Origin.Host
			r.Out.Host = cfg.Origin.Host
			if isPlaylistPath(r.In.URL.Path) {
				r.Out.Header.Set("Accept-Encoding", "identity")
			}
		},
		Transport:      g.client.Transport,
		FlushInterval:  -1,
		ModifyResponse: g.passed,
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	return g
}

// ServeHTTP answers a request of the player.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(context.WithValue(r.Context(), hostKey{}, r.Host))
	if r.Method == http.MethodGet {
		switch e, how := g.find(r); how {
		case fromMesh, fromMeshRange:
			g.serveSegment(w, r, e, how == fromMeshRange)
			return
		case fromOrigin:
			g.direct(w, r, e)
			return
		}
	}
	g.proxy.ServeHTTP(w, r)
}

// Close ends all viewers.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	for s := range g.shows {
		g.letGo(s)
	}
	g.mu.Unlock()
	g.work.Wait()
}

// Stats gives the sums over all presentations that were played.
func (g *Gateway) Stats() viewer.Stats {
	g.mu.Lock()
	sum := viewer.Stats{Report: g.past}
	shows := make([]*show, 0, len(g.shows))
	for s := range g.shows {
		shows = append(shows, s)
	}
	g.mu.Unlock()
	for _, s := range shows {
		st := s.viewer.Stats()
		sum.Report.Add(&st.Report)
		sum.Report.Neighbors += st.Report.Neighbors
		sum.Joined = sum.Joined || st.Joined
		sum.Peer = st.Peer
		sum.Paths = append(sum.Paths, st.Paths...)
	}
	return sum
}

// passed looks at a response that goes to the player: it learns from playlists,
// and names this gateway where the origin names itself.
func (g *Gateway) passed(resp *http.Response) error {
	here := "http://" + inHost(resp.Request)
	there := g.cfg.Origin.Scheme + "://" + g.cfg.Origin.Host
	if l := resp.Header.Get("Location"); strings.HasPrefix(l, there+"/") {
		resp.Header.Set("Location", here+l[len(there):])
	}
	u := resp.Request.URL
	if resp.Request.Method != http.MethodGet || !complete(resp) || resp.Header.Get("Content-Encoding") != "" ||
		(!isPlaylistPath(u.Path) && !isPlaylistType(resp.Header.Get("Content-Type"))) {
		return nil
	}
	// Of a body that breaks off the player gets just what came.
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPlaylist+1))
	rest := resp.Body
	if err != nil || len(text) > maxPlaylist {
		resp.Body = joined{io.MultiReader(bytes.NewReader(text), failing{err}, rest), rest}
		return nil
	}
	g.learn(u, resp.Header, text)
	if named := bytes.ReplaceAll(text, []byte(there+"/"), []byte(here+"/")); len(named) != len(text) || !bytes.Equal(named, text) {
		text = named
		resp.ContentLength = int64(len(text))
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
		if resp.StatusCode == http.StatusPartialContent {
			resp.Header.Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(text)-1, len(text)))
		}
	}
	resp.Body = joined{bytes.NewReader(text), rest}
	return nil
}

// complete says whether a response has all of a resource: some players ask for
// everything with "Range: bytes=0-", and get a 206.
func complete(resp *http.Response) bool {
	n := resp.ContentLength
	return resp.StatusCode == http.StatusOK || (resp.StatusCode == http.StatusPartialContent && n > 0 &&
		resp.Header.Get("Content-Range") == fmt.Sprintf("bytes 0-%d/%d", n-1, n))
}

// inHost is the host by which the player knows the gateway.
func inHost(out *http.Request) string {
	if host, ok := out.Context().Value(hostKey{}).(string); ok {
		return host
	}
	return out.Host
}

type hostKey struct{}

type joined struct {
	io.Reader
	io.Closer
}

// failing gives an error, or nothing if that is nil.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func isPlaylistPath(p string) bool { return strings.HasSuffix(strings.ToLower(p), ".m3u8") }

func isPlaylistType(t string) bool {
	t, _, _ = strings.Cut(t, ";")
	switch strings.ToLower(strings.TrimSpace(t)) {
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
		return true
	}
	return false
}
