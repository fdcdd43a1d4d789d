package manifest

import (
	"strings"
	"time"
)

const (
	// maxSpans bounds how many date ranges of one playlist are followed.
	maxSpans = 1024
	// maxBreak is how long a break lasts at most that has no known end, so that what
	// comes behind it is not taken for ads for good.
	maxBreak = 10 * time.Minute
)

// adReader finds which segments of a media playlist are ads: those between
// CUE-OUT and CUE-IN (in the several spellings of packagers), those in an
// EXT-X-DATERANGE of SCTE 35 (RFC 8216, section 4.3.2.7.1), and those in a
// discontinuity of which a segment is on another host.
type adReader struct {
	host  string // of the playlist
	cue   bool
	left  time.Duration // of the break
	clock time.Time     // of the next segment, zero if not known
	spans map[string]*adSpan

	discontinuity int
	foreign       map[int]bool // discontinuities with segments of another host
}

// adSpan is the time of a date range. Its end is to, or else length behind from, as
// far as they are known.
type adSpan struct {
	from, to time.Time
	length   time.Duration
}

// tag takes a tag that the line reader has no use for.
func (a *adReader) tag(tag, value string) {
	switch tag {
	case "#EXT-X-CUE-OUT", "#EXT-X-CUE-OUT-CONT", "#EXT-OATCLS-SCTE35":
		if !a.cue {
			a.begin(cueLength(value))
		}
	case "#EXT-X-CUE-IN":
		a.cue = false
	case "#EXT-X-SCTE35":
		attrs := attributes(value)
		switch {
		case attrs["CUE-OUT"] == "YES" || attrs["CUE-OUT"] == "CONT":
			if !a.cue {
				a.begin(0)
			}
		case attrs["CUE-IN"] == "YES":
			a.cue = false
		}
	case "#EXT-X-DISCONTINUITY":
		a.discontinuity++
	case "#EXT-X-PROGRAM-DATE-TIME":
		a.clock, _ = parseDate(value)
	}
}

// begin begins a break; its length is 0 if it is not known.
func (a *adReader) begin(length time.Duration) {
	if length == 0 {
		length = maxBreak
	}
	a.cue, a.left = true, length
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

// interstitial is the class of a date range that names an ad of its own to be played
// over the programme, which is none (draft-pantos-hls-rfc8216bis, appendix D).
const interstitial = "com.apple.hls.interstitial"

// dateRange takes EXT-X-DATERANGE. One with a splice command that cannot be read is
// taken for the beginning of a break.
func (a *adReader) dateRange(attrs map[string]string) {
	if attrs["CLASS"] == interstitial {
		return
	}
	from, dated := parseDate(attrs["START-DATE"])
	span := a.spans[attrs["ID"]]
	for _, name := range [...]string{"SCTE35-CMD", "SCTE35-OUT", "SCTE35-IN"} {
		if attrs[name] == "" {
			continue
		}
		sp, ok := decodeSplice(attrs[name])
		begins := name == "SCTE35-OUT" || (name == "SCTE35-CMD" && (!ok || sp.begins))
		if begins && span == nil && len(a.spans) < maxSpans {
			span = &adSpan{}
			if a.spans == nil {
				a.spans = map[string]*adSpan{}
			}
			a.spans[attrs["ID"]] = span
		}
		if begins && span != nil && span.length == 0 {
			span.length = sp.length
		}
		if ends := name == "SCTE35-IN" || (name == "SCTE35-CMD" && sp.ends && !sp.begins); ends && dated {
			a.close(from)
		}
	}
	if span == nil {
		return
	}
	if dated && span.from.IsZero() {
		span.from = from
	}
	if to, ok := parseDate(attrs["END-DATE"]); ok {
		span.to = to
	}
	for _, name := range [...]string{"PLANNED-DURATION", "DURATION"} {
		if d := parseSeconds(attrs[name]); d > 0 {
			span.length = d
		}
	}
}

// close ends the spans that began before a time and have no end yet.
func (a *adReader) close(at time.Time) {
	for _, span := range a.spans {
		if span.to.IsZero() && span.from.Before(at) {
			span.to = at
		}
	}
}

// covers reports whether a span has a time in it. One that says neither where it ends
// nor how long it lasts is no longer than a break can be.
func (s *adSpan) covers(at time.Time) bool {
	to := s.to
	if to.IsZero() {
		length := s.length
		if length == 0 {
			length = maxBreak
		}
		to = s.from.Add(length)
	}
	return !s.from.IsZero() && !at.IsZero() && !at.Before(s.from) && at.Before(to)
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
	if a.left -= length; a.left < 50*time.Millisecond {
		a.cue = false
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
			e.Ad = e.Ad || span.covers(e.at)
		}
	}
}
