package viewer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"net/url"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/origin"
	"github.com/viewmesh/viewmesh/examples/peer/store"
	"github.com/viewmesh/viewmesh/examples/peer/web"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// tell gives the engine what came of a fetch.
func (v *Viewer) tell(f *fetch, in peer.Input) {
	if f != nil && f.early {
		f.held = append(f.held, in)
	} else {
		v.input(in)
	}
}

var errNoSession = errors.New("there is no session whose keys could check it")

// verify checks a segment token and its hashes for a segment.
func (v *Viewer) verify(id wire.SegmentID, token string, hashes []byte) (store.Proof, error) {
	s := v.session.Load()
	if s == nil {
		return store.Proof{}, errNoSession
	}
	t, err := s.Verifier.VerifySegment(token, s.Now())
	if err != nil {
		return store.Proof{}, err
	}
	if integrity.ID(t.Name(), 0, 0) != id && integrity.ID(t.Name(), t.Offset, t.Size) != id {
		return store.Proof{}, fmt.Errorf("the token is for %s, another segment", t.Name())
	}
	layout, err := integrity.NewLayout(t.Size, t.ChunkSize)
	if err != nil {
		return store.Proof{}, err
	}
	if err := layout.Verify(hashes, t.Root); err != nil {
		return store.Proof{}, err
	}
	return store.Proof{Path: t.Path, Token: token, Hashes: hashes, Layout: layout, Root: t.Root, Issued: t.Issued, Expires: t.Expires}, nil
}

// stated fills in what the engine is to know of a proof.
func stated(in peer.Input, p *store.Proof) peer.Input {
	in.OK, in.Layout, in.Root = true, p.Layout, binary.BigEndian.Uint32(p.Root[:])
	if !p.Issued.IsZero() {
		in.Issued = p.Issued.Unix()
	}
	return in
}

// fetch takes chunks of a segment from the origin, all of it for 0.
func (v *Viewer) fetch(id wire.SegmentID, chunks uint64) {
	for f := range v.fetches {
		if f.orphan && f.id == id && (f.chunks == 0 || (chunks != 0 && f.chunks&chunks == chunks)) {
			f.orphan = false // the engine before had asked for the same
			return
		}
	}
	r, ok := v.resources[id]
	if !ok {
		v.input(peer.Input{Kind: peer.OriginDone, Segment: id})
		return
	}
	g := v.store.Segment(id)
	req := origin.Request{URL: r.URL, Offset: r.Offset, Length: r.Length}
	if p := g.Proof(); p != nil && chunks != 0 {
		req.Chunks, req.Proof = chunks, &origin.Proof{Layout: p.Layout, Hashes: p.Hashes}
	}
	req.Statement = v.statement(r)
	g.Begin(nil)
	v.begin(&fetch{id: id, chunks: req.Chunks}, g, req)
}

// begin carries out a fetch.
func (v *Viewer) begin(f *fetch, g *store.Segment, req origin.Request) {
	ctx, cancel := context.WithCancel(v.ctx)
	f.cancel = cancel
	if f.hinted {
		ctx = web.Hold(ctx) // until the part is made
	}
	v.fetches[f] = struct{}{}
	v.work.Add(1)
	go func() {
		defer v.work.Done()
		defer cancel()
		v.runFetch(ctx, f, g, req)
	}()
}

// statement is where to ask for the statement about a resource, nil for nowhere. It names
// the resource as the viewer fetches it, with the viewer token if that is in the URL.
func (v *Viewer) statement(r manifest.Resource) *url.URL {
	if s := v.session.Load(); s != nil && s.Host() == r.URL.Host {
		return s.Statement(r.URL.RequestURI(), r.Offset, r.Length)
	}
	return nil
}

// runFetch fetches and tells the engine how it ended.
func (v *Viewer) runFetch(ctx context.Context, f *fetch, g *store.Segment, req origin.Request) {
	to := &sink{v: v, g: g, f: f}
	res, err := v.origin.Fetch(ctx, req, to)
	if errors.Is(err, origin.ErrMismatch) {
		// They may be newer, and have a newer statement. They are what the player gets,
		// whatever was signed.
		to.newer = true
		var again origin.Result
		again, err = v.origin.Fetch(ctx, origin.Request{URL: req.URL, Offset: req.Offset, Length: req.Length}, to)
		again.Loose += res.Loose
		res = again
		if err == nil && !to.replaced {
			v.log.Warn("the origin's bytes are not those that the edge signed; playing them, and sharing none", "path", v.name(req.URL.EscapedPath(), ""))
		}
	}
	if err != nil && ctx.Err() == nil {
		v.log.Debug("the origin did not deliver", "path", v.name(req.URL.EscapedPath(), ""), "err", err)
	}
	v.post(func() {
		f.over, f.bytes = true, res.Bytes
		if f.gone {
			v.forget(f)
			return
		}
		current := v.store.Lookup(f.id) == to.g // else a newer statement has come meanwhile
		v.tell(f, peer.Input{Kind: peer.OriginDone, Segment: f.id, OK: err == nil && current, Bytes: res.Loose})
		if f.early {
			return
		}
		delete(v.fetches, f)
		if err != nil && !v.fetching(f.id) {
			to.g.Stop(err)
		}
	})
}

// fetching says whether a fetch of a segment is under way.
func (v *Viewer) fetching(id wire.SegmentID) bool {
	for f := range v.fetches {
		if f.id == id {
			return true
		}
	}
	return false
}

func (v *Viewer) cancelFetches(id wire.SegmentID) {
	for f := range v.fetches {
		if f.id == id {
			f.cancel()
		}
	}
}

// vouch asks the edge for the statement about a segment that came before there
// was a session, so that it can be shared.
func (v *Viewer) vouch(id wire.SegmentID, g *store.Segment) {
	r, ok := v.resources[id]
	if !ok {
		return
	}
	u := v.statement(r)
	if u == nil {
		return
	}
	v.work.Add(1)
	go func() {
		defer v.work.Done()
		to := &sink{v: v, g: g, late: true}
		statement, err := v.origin.Statement(v.ctx, u)
		if err != nil {
			return
		}
		if _, ok := to.Verify(statement); ok {
			to.Adopt()
		}
	}()
}

// sink brings what comes from the origin into the store and to the engine.
type sink struct {
	v       *Viewer
	g       *store.Segment
	f       *fetch // nil where there is none
	private bool   // nothing is to be verified
	newer   bool   // only a newer statement counts: the bytes are not those of the one in use
	late    bool   // the bytes were counted before

	replaced bool // a newer statement has come with the bytes
}

func (s *sink) Header(h http.Header) {
	s.g.Begin(h)
	if !s.private {
		s.v.header.Store(&h)
	}
}

func (s *sink) Verify(st origin.Statement) (origin.Proof, bool) {
	if s.private {
		return origin.Proof{}, false
	}
	p, err := s.v.verify(s.g.ID, st.Token, st.Hashes)
	if err != nil {
		s.v.log.Debug("the edge's statement is not good", "segment", s.g.ID, "err", err)
		return origin.Proof{}, false
	}
	if old := s.g.Proof(); s.newer && old != nil && old.Root == p.Root {
		return origin.Proof{}, false
	}
	g, ok := s.v.store.Prove(s.g.ID, p)
	if !ok {
		return origin.Proof{}, false // neighbors have shown a newer one
	}
	if g != s.g {
		g.Begin(s.g.Header())
		s.g, s.replaced = g, true
	}
	s.v.post(func() { s.v.tell(s.f, stated(peer.Input{Kind: peer.OriginProof, Segment: g.ID}, &p)) })
	return origin.Proof{Layout: p.Layout, Hashes: p.Hashes}, true
}

func (s *sink) Chunk(i int, data []byte) {
	bytes := int64(len(data))
	if err := s.g.PutChunk(i, data); err != nil {
		s.v.log.Debug("a chunk of the origin was not stored", "err", err) // it was checked before
		return
	}
	s.chunk(i, bytes)
}

func (s *sink) chunk(i int, bytes int64) {
	if s.late {
		bytes = 0
	}
	g := s.g
	s.v.post(func() {
		if s.v.store.Lookup(g.ID) != g { // a newer statement has come meanwhile
			s.v.base.OriginBytes += bytes
			return
		}
		s.v.tell(s.f, peer.Input{Kind: peer.OriginChunk, Segment: s.g.ID, Chunk: uint8(i), OK: true, Bytes: bytes})
	})
}

func (s *sink) StartRaw(size int64) { s.g.StartRaw(size) }
func (s *sink) Raw(data []byte)     { s.g.AppendRaw(data) }
func (s *sink) FinishRaw()          { s.g.FinishRaw() }

func (s *sink) Adopt() int64 {
	var bytes int64
	taken := s.g.AdoptRaw()
	p := s.g.Proof()
	ones(taken, func(i int) {
		from, until := p.Layout.Range(i)
		bytes += until - from
		s.chunk(i, until-from)
	})
	return bytes
}

// Resource fetches what is no segment, an init section, and counts its bytes.
func (v *Viewer) Resource(ctx context.Context, r manifest.Resource) ([]byte, error) {
	g := store.New(nil).Segment(v.ID(r))
	res, err := v.origin.Fetch(ctx, origin.Request{URL: r.URL, Offset: r.Offset, Length: r.Length}, &sink{v: v, g: g, private: true})
	v.CountOrigin(res.Bytes)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", v.name(r.URL.EscapedPath(), ""), err)
	}
	return g.Bytes(), nil
}

// Timed tells the engine. The origin may hold back the answer to a fetch on a hint, so
// that it says nothing of how fast it is.
func (s *sink) Timed(bytes int64, within, took time.Duration) {
	s.v.post(func() {
		if s.f == nil || !s.f.hinted {
			s.v.input(peer.Input{Kind: peer.OriginTimed, Bytes: bytes, Within: within, Took: took})
		}
	})
}

var _ origin.Sink = (*sink)(nil)

// A playlist may hint at the part that comes next (EXT-X-PRELOAD-HINT), so that a
// player asks for it before it is complete, and the origin answers when it is. If
// all did so there would be nothing left for peers to give. Whoever is to fetch it
// anyway, by the engine's word, does it on the hint; the engine hears of
// it when the part is listed, as if it had come just then.

// hinted begins to fetch those of the hints that are this viewer's to fetch, and
// gives up what was fetched on a hint that came to nothing.
func (v *Viewer) hinted(hints []Segment, listed func(wire.SegmentID) bool) {
	still := map[wire.SegmentID]bool{}
	for _, h := range hints {
		id := v.ID(h.Resource)
		still[id] = true
		if !v.engine.Fetches(h.Sequence) || v.foreign(h.Resource) || listed(id) || v.fetching(id) || v.store.Lookup(id) != nil {
			continue
		}
		req := origin.Request{URL: h.URL, Offset: h.Offset, Length: h.Length, Statement: v.statement(h.Resource)}
		v.begin(&fetch{id: id, early: true, hinted: true}, v.store.Segment(id), req)
	}
	for f := range v.fetches {
		switch {
		case !f.early || f.gone || still[f.id]:
		case listed(f.id):
			v.handIn(f)
		default:
			v.giveUp(f)
		}
	}
}

// handIn tells the engine, which knows the manifest that lists it by now, what has
// come on a hint. What has not is as if an engine before had asked for it.
func (v *Viewer) handIn(f *fetch) {
	f.early, f.orphan = false, true
	if f.over {
		delete(v.fetches, f)
		if last := f.held[len(f.held)-1]; !last.OK { // the engine asks anew if it wants to
			f.held = f.held[:len(f.held)-1]
			v.base.OriginBytes += last.Bytes
		}
	}
	v.pending = append(v.pending, f.held...)
	f.held = nil
}

// giveUp ends a fetch that the engine will never hear of.
func (v *Viewer) giveUp(f *fetch) {
	f.cancel()
	f.gone = true
	v.store.Evict(f.id)
	if f.over {
		v.forget(f)
	}
}

// forget counts what a fetch brought that was given up.
func (v *Viewer) forget(f *fetch) {
	delete(v.fetches, f)
	v.base.OriginBytes += f.bytes
}

// ones calls f with each bit of a mask.
func ones(mask uint64, f func(i int)) {
	for ; mask != 0; mask &= mask - 1 {
		f(bits.TrailingZeros64(mask))
	}
}
