package caddymodule

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The values of Ads.
const (
	AdsOriginOnly = "origin_only"
	AdsShare      = "share"
)

// maxAds bounds how many ad segments of one playlist are remembered, to see
// whether viewers get different ones.
const maxAds = 1024

// adReader finds which segments of a media playlist are ads: those between
// CUE-OUT and CUE-IN (in the several spellings of packagers), those in an
// EXT-X-DATERANGE of SCTE 35 (RFC 8216, section 4.3.2.7.1) or of an interstitial,
// and those in a discontinuity of which a segment is on another host.
type adReader struct {
	cue   bool
	left  time.Duration // of the break, 0 if its length is not known
	clock time.Time     // of the next segment, zero if not known
	spans map[string]*adSpan

	discontinuity int
	foreign       map[int]bool // discontinuities with segments of another host
}

// adSpan is the time of a date range; to is zero while its end is not known.
type adSpan struct{ from, to time.Time }

// tag takes a tag that the line reader has no use for.
func (a *adReader) tag(tag, value string) {
	switch tag {
	case "#EXT-X-CUE-OUT", "#EXT-X-CUE-OUT-CONT", "#EXT-OATCLS-SCTE35":
		if !a.cue {
			a.cue, a.left = true, cueLength(value)
		}
	case "#EXT-X-CUE-IN":
		a.cue = false
	case "#EXT-X-SCTE35":
		attrs := attributes(value)
		switch {
		case attrs["CUE-OUT"] == "YES" || attrs["CUE-OUT"] == "CONT":
			if !a.cue {
				a.cue, a.left = true, 0
			}
		case attrs["CUE-IN"] == "YES":
			a.cue = false
		}
	case "#EXT-X-DISCONTINUITY":
		a.discontinuity++
	case "#EXT-X-PROGRAM-DATE-TIME":
		a.clock, _ = parseDate(value)
	case "#EXT-X-DATERANGE":
		a.dateRange(attributes(value))
	}
}

// cueLength reads the length of a break: "30", "30.5", or "DURATION=30" among
// others; "10/30" of a break under way gives what is left.
func cueLength(value string) time.Duration {
	if attrs := attributes(value); attrs["DURATION"] != "" || attrs["Duration"] != "" {
		value = attrs["DURATION"] + attrs["Duration"]
	}
	gone, whole, under := strings.Cut(value, "/")
	if !under {
		gone, whole = "0", value
	}
	return max(0, parseSeconds(whole)-parseSeconds(gone))
}

func parseSeconds(s string) time.Duration {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f >= 0 && f < 1e7) {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

// parseDate reads a date as playlists write it (ISO 8601).
func parseDate(s string) (time.Time, bool) {
	for _, form := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(form, strings.TrimSpace(s)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func (a *adReader) dateRange(attrs map[string]string) {
	span := a.spans[attrs["ID"]]
	if span == nil {
		if attrs["SCTE35-OUT"] == "" && attrs["SCTE35-CMD"] == "" && attrs["CLASS"] != "com.apple.hls.interstitial" || len(a.spans) >= maxAds {
			return
		}
		span = &adSpan{}
		if a.spans == nil {
			a.spans = map[string]*adSpan{}
		}
		a.spans[attrs["ID"]] = span
	}
	if from, ok := parseDate(attrs["START-DATE"]); ok && span.from.IsZero() {
		span.from = from
	}
	if to, ok := parseDate(attrs["END-DATE"]); ok {
		span.to = to
		return
	}
	for _, name := range [...]string{"DURATION", "PLANNED-DURATION"} {
		if d := parseSeconds(attrs[name]); d > 0 && span.to.IsZero() && !span.from.IsZero() {
			span.to = span.from.Add(d)
		}
	}
}

// mark says of a segment or part that is listed now what is known of it.
func (a *adReader) mark(r *resource) {
	r.ad, r.at, r.discontinuity = a.cue, a.clock, a.discontinuity
	if u, err := url.Parse(r.uri); err == nil && u.Host != "" && r.segment {
		if a.foreign == nil {
			a.foreign = map[int]bool{}
		}
		a.foreign[a.discontinuity] = true
	}
}

// pass moves on by the length of a segment.
func (a *adReader) pass(length time.Duration) {
	if !a.clock.IsZero() {
		a.clock = a.clock.Add(length)
	}
	if a.cue && a.left > 0 {
		if a.left -= length; a.left < 50*time.Millisecond {
			a.cue, a.left = false, 0
		}
	}
}

// finish marks what turned out to be an ad only later in the playlist.
func (a *adReader) finish(resources []resource) {
	if len(a.spans) == 0 && len(a.foreign) == 0 {
		return
	}
	for i := range resources {
		r := &resources[i]
		if a.foreign[r.discontinuity] && a.discontinuity > 0 {
			r.ad = true
		}
		for _, span := range a.spans {
			if !r.at.IsZero() && !span.from.IsZero() && !r.at.Before(span.from) && (span.to.IsZero() || r.at.Before(span.to)) {
				r.ad = true
			}
		}
	}
}

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
func noteAds(p *presentation, s *servedPlaylist, pl *playlist) {
	seq := pl.sequence
	for _, r := range pl.resources {
		if !r.segment {
			continue
		}
		if r.ad {
			uri, _, _ := strings.Cut(r.uri, "#")
			if before, ok := s.ads[seq]; ok && before != uri {
				p.adsDiffer.Store(true)
			}
			if s.ads == nil || len(s.ads) >= maxAds {
				s.ads = map[int64]string{}
			}
			s.ads[seq] = uri
		}
		seq++
	}
}
