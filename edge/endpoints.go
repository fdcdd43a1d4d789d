package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/edge/signaling"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// sessionWait is how long the body of a session request may take.
const sessionWait = 10 * time.Second

// endpoint is what answers requests below Policy.Path.
type endpoint struct {
	method string
	serve  func(*Site, http.ResponseWriter, *http.Request, string, Next) error
}

var endpoints = map[string]endpoint{
	"session": {http.MethodPost, (*Site).serveSession},
	"signal":  {http.MethodGet, (*Site).serveSignal},
	"segment": {http.MethodGet, (*Site).serveStatement},
	"stats":   {http.MethodGet, (*Site).serveStats},
	"tracker": {http.MethodGet, (*Site).serveTracker},
}

// serveEndpoint answers a request below Policy.Path; handled is false if there is
// no such endpoint.
func (s *Site) serveEndpoint(w http.ResponseWriter, r *http.Request, host, name string, next Next) (handled bool, err error) {
	if handled, err := serveFigures(s.edge, s.policy.Dashboard, w, r, host, name); handled {
		return true, err
	}
	end, ok := endpoints[name]
	if !ok || (name == "stats" && !s.policy.Stats) || (name == "tracker" && !s.policy.Tracks()) {
		return serveScript(w, r, s.policy, s.edge.config.Server.settled, name)
	}
	if !s.policy.CORS(w, r) {
		return true, reply.Refuse(w, http.StatusForbidden, "origin", "this Origin is not among the site's origins")
	}
	w = s.edge.config.Server.settled(w)
	methods := end.method + ", OPTIONS"
	switch r.Method {
	case end.method:
		return true, end.serve(s, w, r, host, next)
	case http.MethodOptions:
		hd := w.Header()
		hd.Set("Access-Control-Allow-Methods", methods)
		hd.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
		hd.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return true, nil
	}
	w.Header().Set("Allow", methods)
	return true, reply.Refuse(w, http.StatusMethodNotAllowed, "method", "use "+end.method)
}

// busy refuses a session that the edge has no room for. ok is true if it has.
func (s *Site) busy(w http.ResponseWriter, r *http.Request) (ok bool, err error) {
	switch hub := s.edge.hub; {
	case hub.Draining():
		return false, reply.RefuseUntil(w, http.StatusServiceUnavailable, signaling.DrainSpread, "draining", "no new sessions here; play from the origin")
	case hub.Connections()+s.edge.tracker.Connections() >= int64(s.policy.MaxSessions):
		return false, reply.RefuseUntil(w, http.StatusServiceUnavailable, 30*time.Second, "full", "too many sessions; play from the origin")
	}
	on := s.edge.control.Connection(r, s.policy)
	if s.edge.hub.Crowded(on.Network(), s.policy.MaxSessions) {
		return false, reply.RefuseUntil(w, http.StatusTooManyRequests, 30*time.Second, "too_many", "too many sessions from this network; play from the origin")
	}
	if wait, ok := s.edge.control.Allow(r); !ok {
		return false, reply.RefuseUntil(w, http.StatusTooManyRequests, wait, "too_many", "too many sessions from this address; play from the origin")
	}
	return true, nil
}

// serveSession answers POST /mesh/session: it admits a viewer to the swarm of
// the presentation whose manifest it has got. 4xx and 503 all mean the same to
// the viewer: play from the origin.
func (s *Site) serveSession(w http.ResponseWriter, r *http.Request, host string, next Next) error {
	if ok, err := s.busy(w, r); !ok {
		return err
	}
	body, err := readSession(w, r)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		return reply.Refuse(w, http.StatusRequestTimeout, "timeout", fmt.Sprintf("the request did not come within %s", sessionWait))
	case err != nil:
		return reply.Refuse(w, http.StatusBadRequest, "bad_body", "the request could not be read")
	}
	req, err := signal.DecodeSession(body)
	if err != nil {
		return refuseRequest(w, err)
	}
	p := presentationOf(s, r, host, &req, next)
	switch {
	case p == nil || p.Host != host:
		return reply.Refuse(w, http.StatusForbidden, "unknown_swarm", "this edge has not handed out that swarm; load the manifest again")
	case p.Stopped() || s.policy.Share == admission.ShareNone || s.edge.switches.any(Switch{Of: SwitchAll}, Switch{SwitchHost, host},
		Switch{SwitchPresentation, p.Name()}, Switch{SwitchDevice, req.Device.Kind}):
		return reply.Refuse(w, http.StatusForbidden, "not_shared", "this presentation is not shared; play from the origin")
	}
	if ok, err := carries(s, w); !ok {
		return err
	}
	answer, renewal, err := s.edge.control.Open(r, s.policy, p, &req)
	if err != nil {
		return refuse(w, fmt.Errorf("open session: %w", err))
	}
	s.edge.facts.devices.Add(answer.Peer, req.Device)
	s.edge.uplink.Join(s.policy.Capacity)
	answer.OriginWaitMS = s.edge.uplink.Wait().Milliseconds()
	if renewal != nil {
		admission.RenewSession(w.Header(), renewal)
	}
	return reply.JSON(w, "no-store", answer)
}

// readSession reads the body of a session request within sessionWait, if the server
// has deadlines.
func readSession(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	server := http.NewResponseController(w)
	_ = server.SetReadDeadline(time.Now().Add(sessionWait))
	defer func() { _ = server.SetReadDeadline(time.Time{}) }()
	return io.ReadAll(io.LimitReader(r.Body, signal.MaxSession+1))
}

// refuseRequest answers what is wrong with a session request.
func refuseRequest(w http.ResponseWriter, err error) error {
	var fe *signal.FieldError
	switch {
	case errors.As(err, &fe):
		return reply.WriteProblem(w, reply.Problem{Status: http.StatusBadRequest, Code: "bad_field", Field: fe.Field, Detail: fe.Error()})
	case errors.Is(err, signal.ErrTooLarge):
		return reply.Refuse(w, http.StatusRequestEntityTooLarge, "too_large", err.Error())
	}
	return reply.Refuse(w, http.StatusBadRequest, "bad_json", err.Error())
}

// serveSignal answers GET /mesh/signal: it hands the connection to the hub and
// returns, so that a reload of the server does not see it.
func (s *Site) serveSignal(w http.ResponseWriter, r *http.Request, host string, _ Next) error {
	if ok, err := upgrades(w, r, "the signaling WebSocket"); !ok {
		return err
	}
	if ok, err := s.busy(w, r); !ok {
		return err
	}
	s.edge.hub.Accept(w, r, s.edge.control.Connection(r, s.policy))
	return nil
}

// upgrades refuses a request that is not for a WebSocket. ok is true if it is.
func upgrades(w http.ResponseWriter, r *http.Request, what string) (ok bool, err error) {
	if signaling.IsUpgrade(r) {
		return true, nil
	}
	if r.ProtoMajor == 1 { // HTTP/2 and HTTP/3 know no such fields (RFC 9113, section 8.2.2)
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
	}
	return false, reply.Refuse(w, http.StatusUpgradeRequired, "upgrade_required", "this is "+what+"; open it with ws: or wss:")
}

// refuse answers a viewer that is not admitted, or returns an err that says no such thing.
func refuse(w http.ResponseWriter, err error) error {
	var refused *tokens.Refusal
	switch {
	case errors.As(err, &refused):
		return admission.RefuseViewer(w, refused)
	case errors.Is(err, admission.ErrBanned):
		return reply.Refuse(w, http.StatusForbidden, "banned", admission.ErrBanned.Error())
	case errors.Is(err, admission.ErrOutside):
		return reply.Refuse(w, http.StatusForbidden, "outside", admission.ErrOutside.Error())
	}
	return err
}

// serveTracker answers GET /mesh/tracker: it hands the connection of a client of another kind
// to the tracker and returns.
func (s *Site) serveTracker(w http.ResponseWriter, r *http.Request, _ string, _ Next) error {
	if ok, err := upgrades(w, r, "a WebTorrent tracker"); !ok {
		return err
	}
	if ok, err := s.busy(w, r); !ok {
		return err
	}
	g, err := s.edge.control.Admit(r, s.policy)
	if err != nil {
		return refuse(w, fmt.Errorf("admit to the tracker: %w", err))
	}
	if s.edge.tracker.Full(g, s.policy.MaxSessions) {
		return reply.RefuseUntil(w, http.StatusTooManyRequests, 30*time.Second, "too_many", "too many connections of this network or viewer; play from the origin")
	}
	s.edge.tracker.Accept(w, r, s.policy, g)
	return nil
}

// serveStatement answers GET /mesh/segment?path=PATH (the escaped path of the segment, with its
// query; and offset and length for a byte range) with what the headers of the segment would
// state. It needs the viewer token where segments do; one that is in URLs stands in PATH.
// That nothing is stated of a segment of a presentation is no error, which a browser would
// show in its console.
func (s *Site) serveStatement(w http.ResponseWriter, r *http.Request, host string, _ Next) error {
	path, which, bad := statementQuery(r)
	if bad != nil {
		return reply.WriteProblem(w, reply.Problem{Status: http.StatusBadRequest, Code: "bad_field", Field: bad.Field, Detail: bad.Error()})
	}
	refused, err := s.edge.control.Entitled(r, s.policy, path)
	switch {
	case err != nil:
		return err
	case refused != nil:
		return admission.RefuseViewer(w, refused)
	}
	none := func(code, detail string) error {
		return reply.JSON(w, "no-store", signal.SegmentStatement{Code: code, Detail: detail})
	}
	e := s.edge
	n := s.policy.Identity().Of(path)
	l := e.catalog.Segment(host, n)
	switch {
	case l == nil && !e.catalog.Has(host):
		return reply.Refuse(w, http.StatusNotFound, "not_listed", "no manifest of this host has passed here; load the manifest from this edge")
	case l == nil || !l.Is(n):
		return none(signal.NotShared, "no manifest that has passed here lists that segment as one that is the same for every viewer")
	case l.Hints[which]:
		return none(signal.NotKnown, "no playlist has listed that segment yet; ask again soon")
	case !s.policy.Shares(asIfFor(r, n), l, which):
		return none(signal.NotShared, "that segment is not shared; play it from the origin")
	}
	key := digest.Key{Host: host, Name: l.Name, Offset: which.Offset, Length: which.Length}
	token, hashes, ok := e.digests.Newest(key, e.config.Keys(), e.config.now())
	if !ok {
		return none(signal.NotKnown, "the digest of that segment is unknown yet; take it from the origin once")
	}
	cached := "max-age=30"
	if s.policy.Enforced() {
		cached = "private, " + cached
	}
	return reply.JSON(w, cached, signal.SegmentStatement{Token: token, Hashes: hashes})
}

// serveStats answers GET /mesh/stats.
func (s *Site) serveStats(w http.ResponseWriter, _ *http.Request, host string, _ Next) error {
	return reply.JSON(w, "no-store", s.edge.Stats(host))
}

// statementQuery reads the query of GET /mesh/segment.
func statementQuery(r *http.Request) (path *url.URL, which catalog.Range, bad *signal.FieldError) {
	q := r.URL.Query()
	path, err := url.ParseRequestURI(q.Get("path"))
	if err != nil || path.IsAbs() || !strings.HasPrefix(path.Path, "/") {
		return nil, which, &signal.FieldError{Field: "path", Detail: "must be the escaped path of a segment, from the first slash, with its query"}
	}
	for _, f := range []struct {
		name string
		to   *int64
	}{{"offset", &which.Offset}, {"length", &which.Length}} {
		s := q.Get(f.name)
		if s == "" {
			continue
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return nil, which, &signal.FieldError{Field: f.name, Detail: "must be a number of bytes"}
		}
		*f.to = n
	}
	return path, which, nil
}

// asIfFor returns r as it would be were it for a resource, so that Policy.Exclude can look
// at it.
func asIfFor(r *http.Request, n manifest.Name) *http.Request {
	u, err := url.ParseRequestURI(n.String())
	if err != nil {
		return r
	}
	c := *r
	c.URL, c.RequestURI, c.Method = u, u.RequestURI(), http.MethodGet
	return &c
}
