package caddymodule

import (
	"net/http"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// A low-latency playlist hints at the part that comes next (EXT-X-PRELOAD-HINT,
// draft-pantos-hls-rfc8216bis, section 4.4.5.3), and a player may ask for it before
// it is complete, and before any playlist lists it.

// noteHints adds the hints of a playlist to what it lists, and what is hinted at only
// behind it.
func noteHints(fresh *reading, m *manifest.Listing) {
	for _, r := range m.Hints {
		path, query, ok := manifest.Local(r.URL, fresh.presentation.host)
		if !ok {
			continue
		}
		l := fresh.entry(path, query)
		if which := (byteRange{r.Offset, r.Length}); l.hints == nil && l.query == query {
			if _, is := l.ranges[which]; !is {
				l.hints = map[byteRange]bool{which: true}
			}
		}
	}
}

// hinted deals with the response to a request that was made on a hint, before a
// playlist listed what it asks for. If one does by now, listed is true. If not, the
// body is digested, so that there is a statement once it is listed; until then
// nothing is said, because a hint does not say whether it is part of an ad.
func (s *segmentWriter) hinted(status int) (listed bool) {
	h := s.Header()
	offset, length, size, ok := bodyRange(status, h)
	if !ok || length > integrity.MaxSegment {
		return false
	}
	which := byteRange{offset, length}
	if status == http.StatusOK {
		which = byteRange{}
	}
	if !s.listed.hints[which] {
		return false
	}
	if now := s.handler.rt.catalog.segment(s.listed.presentation.host, s.listed.path); now != nil && now != s.listed {
		s.listed = now
		if _, ok := now.ranges[which]; ok {
			return true
		}
	}
	if _, ok := shareable(h); !ok {
		return false
	}
	s.version, s.resource, s.size, s.first, s.whole = validator(h), size, length, offset, true
	s.target = segmentKey{location{s.listed.presentation.host, s.listed.path}, which}
	s.digest()
	return false
}
