package edge

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/edge/locator"
	"github.com/viewmesh/viewmesh/edge/response"
	"github.com/viewmesh/viewmesh/edge/signaling"
	"github.com/viewmesh/viewmesh/edge/torrent"
	"github.com/viewmesh/viewmesh/edge/uplink"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// Policy is what the configuration of a site allows. Its zero value is useful: all
// that is public is shared, and every viewer takes part.
type Policy = admission.Policy

// ViewerTokens says which viewers are entitled to a site's streams.
type ViewerTokens = admission.ViewerTokens

// ICERequest says for which session ICE servers are wanted.
type ICERequest = admission.ICERequest

// KnownAs is what a viewer knows the edge by.
type KnownAs = admission.KnownAs

// Config is what an Edge needs. Secret and Keys are required.
type Config struct {
	// Secret makes swarm ids unguessable: at least 16 random bytes. Edges with the
	// same secret hand out the same ids, so it should outlive a restart.
	Secret []byte
	// Keys returns the keys that sign passes and statements now. It is called for
	// each of them and must not block.
	Keys func() *tokens.Keyring
	// ICEServers returns the STUN and TURN servers of a session (RFC 7064, RFC
	// 7065). Default: none.
	ICEServers func(ICERequest) []signal.ICEServer
	// RelayShare returns how many bytes a second a viewer whose session begins now is to
	// take over the relay at most; 0 is no bound. Default: none.
	RelayShare func() int64
	// Current returns the policy of the site (Site.Policy) that a server whose configuration can change has now
	// where viewers know it so and Policy.Path is path; nil for none. known is false
	// if that cannot be told. Sessions follow its policy with their next renewal.
	// Default: they follow the policy under which the last session was opened there.
	Current func(at KnownAs, path string) (p *Policy, known bool)
	// Locate returns where the sender of a request is, whose address is addr; a
	// locator.Chain has it. Default: nobody knows, and peers are near by address alone.
	Locate func(r *http.Request, addr netip.Addr) locator.Place
	// Digests is a file in which digests of segments are kept over a restart, so that
	// statements are there at once. A process has it for itself. Default: they are kept
	// in memory alone.
	Digests string
	// History is a file in which figures are kept over a restart, for HistoryAge. A process
	// has it for itself. Default: the last hour is kept in memory alone.
	History string
	// HistoryAge is how old figures get, at most. Default: 90 days.
	HistoryAge time.Duration
	// Log is the log. Default: none.
	Log *zap.Logger
	// Server is how the web server sees a request. Default: net/http alone, without
	// trusted proxies.
	Server Server

	now func() time.Time
}

// Server is how the web server around the edge sees a request. Fields that are nil
// have the behaviour of net/http.
type Server struct {
	// ClientAddr returns the viewer's address, trusted proxies considered. Default:
	// the address of the connection.
	ClientAddr func(*http.Request) netip.Addr
	// HTTPS reports whether the viewer asked over HTTPS: its TLS ends here, or at a
	// trusted proxy that says so. Default: the connection has TLS.
	HTTPS func(*http.Request) bool
	// URL returns the URL as the viewer asked for it, before any rewrite. Default:
	// that of the request.
	URL func(*http.Request) *url.URL
	// Slice returns the size of the limited readers into which the server splits the
	// body of a response, in bytes; 0 for none. Default: none.
	Slice func(*http.Request) int64
	// Direct returns the writer below those that change the header of an answer when
	// it goes out. Default: the writer itself.
	Direct func(http.ResponseWriter) http.ResponseWriter
	// Prepare prepares a request that the edge makes itself, for the handlers behind
	// it, with the context of the viewer's request. Default: as it is.
	Prepare func(*http.Request, http.ResponseWriter) *http.Request
}

// Edge is the mesh of a web server: sessions, swarms, and what the manifests of
// its sites have listed. It is safe for concurrent use.
type Edge struct {
	config    Config
	catalog   *catalog.Catalog
	control   *admission.Control
	hub       *signaling.Hub
	tracker   *torrent.Hub
	digests   *digest.Store
	disk      *digest.Disk // nil for none
	segments  *response.Segments
	manifests *response.Manifests
	insight   *insight.Insight
	facts     *facts
	switches  switches
	uplink    uplink.Uplink
	recalls   singleflight.Group
	proxied   atomic.Bool // a trusted proxy has asked for a segment
}

// New makes an Edge. Close ends it.
func New(c Config) (*Edge, error) {
	if len(c.Secret) < 16 {
		return nil, errors.New("the secret of an edge needs at least 16 random bytes")
	}
	if c.Keys == nil {
		return nil, errors.New("an edge needs keys that sign passes and statements, such as tokens.NewKeyring makes")
	}
	c.setDefaults()
	e := &Edge{config: c, catalog: catalog.New(c.Secret)}
	e.insight = insight.New(insight.Config{Log: c.Log, Now: c.now, File: c.History, Age: c.HistoryAge, Sample: sampleEgress(e.catalog)})
	if c.Digests != "" {
		e.disk = digest.NewDisk(c.Digests, func(err error) {
			c.Log.Warn("digests are kept in memory alone: after a restart each segment has to pass from the origin once", zap.Error(err))
		})
	}
	e.digests = digest.NewStore(e.disk)
	e.control = admission.NewControl(admission.Config{
		Log: c.Log, Now: c.now, Catalog: e.catalog, Secret: c.Secret, Keys: c.Keys, ICEServers: c.ICEServers,
		RelayShare: c.RelayShare, Current: c.Current, Locate: c.Locate,
		Server: admission.Server{ClientAddr: c.Server.ClientAddr, HTTPS: c.Server.HTTPS},
	})
	e.facts = newFacts(e.control)
	e.hub = signaling.NewHub(signaling.Config{Log: c.Log, Now: c.now, Control: e.control, Meter: e.meter, Off: e.off, OriginWait: e.uplink.Wait})
	e.tracker = torrent.NewHub(torrent.Config{Log: c.Log, Now: c.now, Control: e.control, Catalog: e.catalog})
	e.segments = &response.Segments{
		Log: c.Log, Now: c.now, Catalog: e.catalog, Digests: e.digests, Keys: c.Keys, Slice: c.Server.Slice, Differ: e.stopSharing,
		Uplink: &e.uplink, Last: func(r *http.Request, p *Policy) bool { return goesLast(e, r, p) },
	}
	e.manifests = &response.Manifests{Log: c.Log, Now: c.now, Catalog: e.catalog}
	return e, nil
}

// Close ends all sessions: each peer is sent to open another one, at this server
// or elsewhere, after a time of its own within 10 seconds. It waits until their
// connections are closed, about two seconds at most. The handlers that Wrap
// returned may go on; they open no more sessions, and keep no more digests.
func (e *Edge) Close() {
	var tracker sync.WaitGroup
	tracker.Go(e.tracker.Close)
	e.hub.Close()
	tracker.Wait()
	e.disk.Close()
	e.insight.Close()
}

// Rekey has swarm ids made of another secret from now on, such as that of a storage
// that was unavailable. Sessions and ids that were handed out stay good.
func (e *Edge) Rekey(secret []byte) { e.catalog.Rekey(secret) }

// Ramps returns the shares of viewers that take part, by host, which can be set while the edge
// runs. Viewers whose sessions are open follow with their next announce.
func (e *Edge) Ramps() *admission.Ramps { return e.control.Ramps() }

// Relayed counts payload bytes that a relay carried for a session of a swarm, from
// (up) and to (down) its peer. first is set with the first bytes of a session.
func (e *Edge) Relayed(swarm string, up, down int64, first bool) {
	e.hub.Relayed(swarm, up, down, first)
	e.uplink.Spend(up + down)
}

// Stats sums up the swarms of a host, in lower case and with its port if that is
// not the default.
func (e *Edge) Stats(host string) Stats { return statsOf(e.hub, e.catalog, host, !e.proxied.Load()) }

// Numbers returns the numbers of now.
func (e *Edge) Numbers() Numbers {
	n := numbersOf(e.hub, e.tracker, e.segments, e.control, !e.proxied.Load())
	n.Stopped = len(e.catalog.Stopped())
	return n
}

// meter returns what counts the session of a member.
func (e *Edge) meter(m *admission.Member) *insight.Session { return e.insight.Open(e.facts.of(m)) }

// off reports whether the mesh is switched off for a member.
func (e *Edge) off(m *admission.Member) bool {
	if e.switches.none() {
		return false
	}
	f := e.facts.of(m)
	return e.switches.offFor(m.Presentation, &f)
}

// Insight returns the figures of all sites, and their history.
func (e *Edge) Insight() *insight.Insight { return e.insight }

// Link returns the key of a link that lets anybody read the figures of a host, in lower case and
// with its port if that is not the default, for a time of a month at most: PATH/dashboard#key=KEY.
func (e *Edge) Link(host string, life time.Duration) string {
	return insight.SignLink(e.config.Secret, host, e.config.now().Add(min(life, insight.MaxLink)))
}

// Switches returns what is switched off.
func (e *Edge) Switches() []Switch { return e.switches.list() }

// SwitchOff ends the sessions of a part of the mesh, and opens no more of them; it returns how
// many have ended. Their peers stop as soon as they have read that. The error wraps ErrSwitch.
func (e *Edge) SwitchOff(w Switch) (ended int, err error) {
	if err := e.switches.turnOff(w); err != nil {
		return 0, err
	}
	ended = e.hub.EndSwitchedOff()
	e.config.Log.Warn("the mesh is switched off", zap.String("of", w.Of), zap.String("value", w.Value), zap.Int("sessions", ended))
	return ended, nil
}

// SwitchOn takes SwitchOff back; false if that part was not off.
func (e *Edge) SwitchOn(w Switch) bool {
	was := e.switches.turnOn(w)
	if was {
		e.config.Log.Info("the mesh is switched on again", zap.String("of", w.Of), zap.String("value", w.Value))
	}
	return was
}

// Drain sends all peers to open another session, each after a time of its own within spread; it
// returns how many. New sessions are opened as before, here or at another edge.
func (e *Edge) Drain(spread time.Duration) int { return e.hub.Drain(spread) }

// Ban bans the viewer of the open session of a peer; false if there is none.
func (e *Edge) Ban(p wire.PeerID) bool { return e.hub.Ban(p) }

// Stopped returns why presentations are not shared any more, by their names, which are
// their host and the path of their manifest: viewers got different bytes at one URL.
func (e *Edge) Stopped() map[string]string {
	out := map[string]string{}
	for _, p := range e.catalog.Stopped() {
		out[p.Name()] = p.StoppedFor()
	}
	return out
}

// Resume has a presentation shared again that Stopped returns, and forgets the digests
// of its host; false if there is none of that name.
func (e *Edge) Resume(name string) bool {
	for _, p := range e.catalog.Stopped() {
		if p.Name() != name {
			continue
		}
		e.digests.Forget(p.Host)
		if p.Resume() {
			e.config.Log.Info("this presentation is shared again", zap.String("presentation", name))
			return true
		}
	}
	return false
}

// stopSharing ends the sharing of a presentation, and its sessions, until Resume.
func (e *Edge) stopSharing(p *catalog.Presentation, path, why string) {
	if !p.Stop(why) {
		return
	}
	e.config.Log.Warn("viewers get different bytes at one URL (watermark variants?): this presentation is no longer shared",
		zap.String("path", path), zap.String("presentation", p.Name()), zap.String("reason", why))
	e.hub.EndSwarms(p)
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.ICEServers == nil {
		c.ICEServers = func(ICERequest) []signal.ICEServer { return nil }
	}
	if c.RelayShare == nil {
		c.RelayShare = func() int64 { return 0 }
	}
	s := &c.Server
	if s.ClientAddr == nil {
		s.ClientAddr = func(r *http.Request) netip.Addr { return Addr(r.RemoteAddr) }
	}
	if s.HTTPS == nil {
		s.HTTPS = func(r *http.Request) bool { return r.TLS != nil }
	}
	if s.URL == nil {
		s.URL = func(r *http.Request) *url.URL { return r.URL }
	}
	if s.Direct == nil {
		s.Direct = func(w http.ResponseWriter) http.ResponseWriter { return w }
	}
	if s.Prepare == nil {
		s.Prepare = func(r *http.Request, _ http.ResponseWriter) *http.Request { return r }
	}
	if s.Slice == nil {
		s.Slice = func(*http.Request) int64 { return 0 }
	}
}

// settled returns the writer for an answer with the header that w has. One that a
// page of another host reads with its cookies goes out below whatever would replace
// its CORS header: no browser accepts it with Access-Control-Allow-Origin *.
func (s *Server) settled(w http.ResponseWriter) http.ResponseWriter {
	if w.Header().Get("Access-Control-Allow-Credentials") == "" {
		return w
	}
	return s.Direct(w)
}

// Addr reads an IP address, with or without a port, without its zone. It is the
// zero Addr if there is none.
func Addr(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	s, _, _ = strings.Cut(s, "%")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}
