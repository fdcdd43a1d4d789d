package caddymodule

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// serveSession answers POST /mesh/session: it admits a viewer to the swarm of
// the presentation whose manifest it has got. 4xx and 503 all mean the same to
// the viewer: play from the origin.
func (h *Handler) serveSession(w http.ResponseWriter, r *http.Request, host string) error {
	rt := h.rt
	source := sourceOf(clientAddr(r))
	switch wait, ok := rt.sessions.allow(source, rt.now()); {
	case rt.isDraining():
		return refuseUntil(w, http.StatusServiceUnavailable, drainSpread, "draining", "no new sessions here; play from the origin")
	case h.full():
		return refuseUntil(w, http.StatusServiceUnavailable, 30*time.Second, "full", "too many sessions; play from the origin")
	case !ok:
		return refuseUntil(w, http.StatusTooManyRequests, wait, "too_many", "too many sessions from this address; play from the origin")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, signal.MaxSession+1))
	if err != nil {
		return refuse(w, http.StatusBadRequest, "bad_body", "the request could not be read")
	}
	req, err := signal.DecodeSession(body)
	if err != nil {
		return refuseRequest(w, err)
	}
	p := rt.catalog.bySwarm(req.Swarm)
	switch {
	case p == nil || p.host != host:
		return refuse(w, http.StatusForbidden, "unknown_swarm", "this edge has not given out that swarm; load the manifest again")
	case p.stopped.Load() != nil || h.Share == ShareNone:
		return refuse(w, http.StatusForbidden, "not_shared", "this presentation is not shared; play from the origin")
	}
	stands, renewal, refused, err := h.entitle(r, p, req.Token)
	if err != nil {
		return err
	}
	if refused != nil {
		return refuseViewer(w, refused)
	}
	if rt.bans.refuses(stands.viewer, rt.now()) {
		return refuse(w, http.StatusForbidden, banned.Code, banned.Detail)
	}
	if rt.bans.silences(stands.viewer, source, rt.now()) {
		req.Mode = "receive_only"
	}
	answer, err := h.admit(&req, p, turn.KnownBy(host, r), stands)
	var no *tokens.Refusal
	if errors.As(err, &no) {
		return refuseViewer(w, no)
	}
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	rt.sites.set(host, h.site)
	if renewal != nil {
		renew(w.Header(), renewal, "", http.StatusOK)
	}
	return writeJSON(w, "no-store", answer)
}

// refuseRequest says what is wrong with a session request.
func refuseRequest(w http.ResponseWriter, err error) error {
	var fe *signal.FieldError
	switch {
	case errors.As(err, &fe):
		return writeProblem(w, problem{Status: http.StatusBadRequest, Code: "bad_field", Field: fe.Field, Detail: fe.Error()})
	case errors.Is(err, signal.ErrTooLarge):
		return refuse(w, http.StatusRequestEntityTooLarge, "too_large", err.Error())
	}
	return refuse(w, http.StatusBadRequest, "bad_json", err.Error())
}

// admit makes the identity and the configuration of one viewer. The error wraps
// a *tokens.Refusal where its entitlement is not enough for a session.
func (h *Handler) admit(req *signal.SessionRequest, p *presentation, at turn.KnownAs, stands entitled) (*signal.SessionAnswer, error) {
	rt, st := h.rt, h.site
	app := rt.policy(h.app)
	keys := app.keys.Load()
	peer, err := newPeerID()
	if err != nil {
		return nil, err
	}
	now := rt.now()
	expires, scope, err := h.standOn(peer, p, stands, now)
	if err != nil {
		return nil, err
	}
	receiveOnly := req.Mode == "receive_only"
	pass, err := keys.SignPass(tokens.Pass{
		Peer: peer.String(), Swarm: req.Swarm, Scope: scope,
		ReceiveOnly: receiveOnly, Issued: now, Expires: expires,
	})
	if err != nil {
		return nil, err
	}
	public, err := keys.Public()
	if err != nil {
		return nil, err
	}
	limits := st.limits
	limits.ReceiveOnly = receiveOnly
	return &signal.SessionAnswer{
		V: 1, Peer: peer, Pass: pass, ExpiresMS: expires.Sub(now).Milliseconds(), Keys: public,
		ICEServers: app.relay.ICEServers(at, peer.String(), req.Swarm, expires), RelayOnly: st.relayOnly,
		Signal: h.Path + "/signal", Segment: h.Path + "/segment", Limits: limits,
		AnnounceMS: st.announce.Milliseconds(), ReportMS: st.report.Milliseconds(),
	}, nil
}

// newPeerID draws a peer id; zero is none.
func newPeerID() (wire.PeerID, error) {
	for {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("draw a peer id: %w", err)
		}
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return wire.PeerID(id), nil
		}
	}
}

// serveStatement answers GET /mesh/segment?path=PATH (and offset and length for
// a byte range) with what the headers of the segment would say. That nothing is
// said of a segment of a presentation is no error, which a browser would show in
// its console.
func (h *Handler) serveStatement(w http.ResponseWriter, r *http.Request, host string) error {
	path, which, err := statementQuery(r)
	if err != nil {
		return writeProblem(w, problem{Status: http.StatusBadRequest, Code: "bad_field", Field: err.Field, Detail: err.Error()})
	}
	rt := h.rt
	none := func(code, detail string) error {
		return writeJSON(w, "no-store", signal.SegmentStatement{Code: code, Detail: detail})
	}
	l := rt.catalog.segment(host, path)
	switch {
	case l == nil && !rt.catalog.within(host, path):
		return refuse(w, http.StatusNotFound, "not_listed", "no manifest that has passed here lists that path, nor a directory above it; load the manifest from this edge")
	case l == nil:
		return none(signal.NotShared, "no manifest that has passed here lists that segment as one that is the same for every viewer")
	case l.hints[which]:
		return none(signal.NotKnown, "no playlist has listed that segment yet; ask again soon")
	case !h.policyShares(asIfFor(r, path), l, which):
		return none(signal.NotShared, "that segment is not shared; play it from the origin")
	}
	token, hashes, ok := rt.statements.any(segmentKey{location{host, path}, which}, rt.keyring(h.app), rt.now())
	if !ok {
		return none(signal.NotKnown, "the digest of that segment is not known yet; take it from the origin once")
	}
	return writeJSON(w, "max-age=30", signal.SegmentStatement{Token: token, Hashes: hashes})
}
