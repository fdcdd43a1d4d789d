package catalog

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// Presentation is one stream at one host.
type Presentation struct {
	// Host is in lower case, with the port if it is not the default.
	Host string
	// Path is the canonical path of its manifest: the multivariant playlist, the MPD,
	// or a media playlist that no multivariant playlist has named.
	Path string

	egress    atomic.Int64
	held      atomic.Int64
	stopped   atomic.Pointer[string]
	used      atomic.Int64 // when it was used last, in Unix seconds
	adsDiffer atomic.Bool
	crowded   atomic.Bool
	bootstrap atomic.Pointer[marshalled]

	// The rest is under the lock of the catalog.
	known     bool              // it is in the catalog
	scopes    []string          // directories of what it lists
	variables map[string]string // of the multivariant playlist
	playlists map[manifest.Name]*playlist
	forbidden map[manifest.Name]bool // what is never shared
	listed    int                    // weight of its segments
	params    params                 // what is known of query parameters
	// templateDirs are the directories that have templates of it.
	templateDirs []string
	swarms       []string // swarm ids that were handed out, newest last
	epoch        int64    // of the newest
}

// playlist is what one playlist of a presentation has listed.
type playlist struct {
	sum      [32]byte     // of the body last read; zero for none
	readAt   atomic.Int64 // when that was, in Unix nanoseconds; 0 for never
	listedAt time.Time    // when the last was read that was not the same
	tail     *tail        // of that body, nil if the next is to be read in full
	queue    []*Listed    // in the order of their last listing, for live
	ended    bool
	ads      map[int64]string // URLs of ads by sequence number
	full     bool             // it was read in full once
	hasAd    bool             // it had an ad once
	ad       bool             // all that it lists is ads: an interstitial's
	streams  []string         // of a multivariant playlist, as clients of the tracker name them
}

// forget has a playlist read in full the next time. The catalog's lock is held.
func (s *playlist) forget() { s.sum, s.tail = [32]byte{}, nil }

// Name names the presentation among all, and for people.
func (p *Presentation) Name() string { return p.Host + p.Path }

// Params returns names of query parameters and those that p has learned.
func (p *Presentation) Params(names []string) []string {
	learned := p.params.learned.Load()
	if learned == nil || len(*learned) == 0 {
		return names
	}
	return slices.Concat(names, *learned)
}

// Stop ends the sharing of p until Resume; it reports whether this call did.
func (p *Presentation) Stop(why string) bool { return p.stopped.CompareAndSwap(nil, &why) }

// Stopped reports whether sharing of p has ended.
func (p *Presentation) Stopped() bool { return p.stopped.Load() != nil }

// StoppedFor returns why sharing of p has ended, "" if it has not.
func (p *Presentation) StoppedFor() string {
	if why := p.stopped.Load(); why != nil {
		return *why
	}
	return ""
}

// Resume has p shared again; it reports whether it was not.
func (p *Presentation) Resume() bool { return p.stopped.Swap(nil) != nil }

// Hold keeps p in the catalog until Release: it has a live session.
func (p *Presentation) Hold() { p.held.Add(1) }

// Release ends a Hold.
func (p *Presentation) Release() { p.held.Add(-1) }

// Crowded notes that p lists more than is kept; it reports whether it did not before.
func (p *Presentation) Crowded() bool { return !p.crowded.Swap(true) }

// AddEgress counts bytes of segment bodies that the edge sent.
func (p *Presentation) AddEgress(n int64) { p.egress.Add(n) }

// Egress returns the bytes of segment bodies that the edge sent.
func (p *Presentation) Egress() int64 { return p.egress.Load() }

// AdsDiffer reports whether viewers got different ads in one playlist.
func (p *Presentation) AdsDiffer() bool { return p.adsDiffer.Load() }

// forbids reports whether a resource, or what an upstream may take it for, is never
// shared. The catalog's lock is held.
func (p *Presentation) forbids(n manifest.Name) bool {
	return p.forbidden[n] || p.forbidden[manifest.Name{Path: manifest.SingleSlashes(n.Path), Query: n.Query}]
}

// names returns the names of at most limit playlists of p of which want is true, by
// the length of their paths. The catalog's lock is held.
func (p *Presentation) names(limit int, want func(*playlist) bool) []manifest.Name {
	names := make([]manifest.Name, 0, len(p.playlists))
	for n, s := range p.playlists {
		if want(s) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b manifest.Name) int {
		return cmp.Or(len(a.Path)-len(b.Path), strings.Compare(a.Path, b.Path), strings.Compare(a.Query, b.Query))
	})
	return names[:min(len(names), limit)]
}

// hasPlaylist reports whether a playlist of p lies at a path. The catalog's lock is
// held.
func (p *Presentation) hasPlaylist(path string) bool {
	for n := range p.playlists {
		if n.Path == path {
			return true
		}
	}
	return false
}

// widen notes that p lists something in a directory. Of too many it notes that it may
// lie anywhere. The catalog's lock is held.
func (p *Presentation) widen(dir string) {
	switch {
	case slices.ContainsFunc(p.scopes, func(s string) bool { return tokens.CoversPath(s, dir) }):
	case len(p.scopes) < maxScopes:
		p.scopes = append(p.scopes, dir)
	default:
		p.scopes = []string{"/"}
	}
}

// compareAds compares the ads that a playlist lists with those that it listed
// before, for another viewer. The catalog's lock is held.
func (p *Presentation) compareAds(s *playlist, m *manifest.Listing) {
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Kind != manifest.KindSegment || !e.Ad {
			continue
		}
		uri, _, _ := strings.Cut(e.URL.String(), "#")
		if before, ok := s.ads[e.Sequence]; ok && before != uri {
			p.adsDiffer.Store(true)
		}
		if s.ads == nil || len(s.ads) >= maxAds {
			s.ads = map[int64]string{}
		}
		s.ads[e.Sequence] = uri
	}
}
