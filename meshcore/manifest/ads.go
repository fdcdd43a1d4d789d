package manifest

import (
	"strings"
	"time"
)

// maxSpans bounds how many date ranges of one playlist are followed.
const maxSpans = 1024

// adReader finds which segments of a media playlist are ads: those between
// CUE-OUT and CUE-IN (in the several spellings of packagers), those in an
// EXT-X-DATERANGE of SCTE 35 (RFC 8216, section 4.3.2.7.1) or of an interstitial,
// and those in a discontinuity of which a segment is on another host.
type adReader struct {
	host  string // of the playlist
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

func (a *adReader) dateRange(attrs map[string]string) {
	span := a.spans[attrs["ID"]]
	if span == nil {
		if attrs["SCTE35-OUT"] == "" && attrs["SCTE35-CMD"] == "" && attrs["CLASS"] != "com.apple.hls.interstitial" || len(a.spans) >= maxSpans {
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

// mark notes of an entry that is listed now what is known of it.
func (a *adReader) mark(e *Entry) {
	e.Ad, e.at, e.discontinuity = a.cue, a.clock, a.discontinuity
	if e.Kind == KindSegment && !strings.EqualFold(e.URL.Host, a.host) {
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
func (a *adReader) finish(entries []Entry) {
	if len(a.spans) == 0 && len(a.foreign) == 0 {
		return
	}
	for i := range entries {
		e := &entries[i]
		if a.foreign[e.discontinuity] && a.discontinuity > 0 {
			e.Ad = true
		}
		for _, span := range a.spans {
			if !e.at.IsZero() && !span.from.IsZero() && !e.at.Before(span.from) && (span.to.IsZero() || e.at.Before(span.to)) {
				e.Ad = true
			}
		}
	}
}
