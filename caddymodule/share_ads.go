package caddymodule

import "github.com/viewmesh/viewmesh/meshcore/manifest"

// The values of Ads.
const (
	AdsOriginOnly = "origin_only"
	AdsShare      = "share"
)

// maxAds bounds how many ad segments of one playlist are remembered, to see
// whether viewers get different ones.
const maxAds = 1024

// sharesAds says whether ads of p may travel: as the operator says, or else as
// long as all viewers got the same.
func (h *Handler) sharesAds(p *presentation) bool {
	switch h.Ads {
	case AdsOriginOnly:
		return false
	case AdsShare:
		return true
	}
	return !p.adsDiffer.Load()
}

// noteAds compares the ads that a playlist lists with those that it listed
// before, for another viewer: s.ads has them by sequence number. catalog.mu is
// held.
func noteAds(p *presentation, s *servedPlaylist, pl *manifest.Listing) {
	for i := range pl.Entries {
		e := &pl.Entries[i]
		if e.Kind != manifest.KindSegment || !e.Ad {
			continue
		}
		uri := *e.URL
		uri.Fragment, uri.RawFragment = "", ""
		is := uri.String()
		if before, ok := s.ads[e.Sequence]; ok && before != is {
			p.adsDiffer.Store(true)
		}
		if s.ads == nil || len(s.ads) >= maxAds {
			s.ads = map[int64]string{}
		}
		s.ads[e.Sequence] = is
	}
}
