package manifest

import (
	"strconv"
)

// low is what the playlist says for low latency, to be filled.
func (r *lineReader) low() *LowLatency {
	if r.p.Low == nil {
		r.p.Low = &LowLatency{}
	}
	return r.p.Low
}

// lowLatency takes the tags of the second edition of RFC 8216. known is false for
// other tags.
func (r *lineReader) lowLatency(tag string, a map[string]string) (known bool) {
	switch tag {
	case "#EXT-X-SERVER-CONTROL":
		l := r.low()
		l.BlockReload = a["CAN-BLOCK-RELOAD"] == "YES"
		l.HoldBack, l.PartHoldBack = parseSeconds(a["HOLD-BACK"]), parseSeconds(a["PART-HOLD-BACK"])
		l.SkipUntil = parseSeconds(a["CAN-SKIP-UNTIL"])
	case "#EXT-X-PART-INF":
		r.low().PartTarget = parseSeconds(a["PART-TARGET"])
	case "#EXT-X-PART":
		r.part(a)
	case "#EXT-X-PRELOAD-HINT":
		r.hint(a)
	case "#EXT-X-SKIP":
		r.skip(a)
	case "#EXT-X-RENDITION-REPORT":
		r.forbid(a["URI"])
	default:
		return false
	}
	return true
}

func (r *lineReader) part(a map[string]string) {
	p := Part{Duration: parseSeconds(a["DURATION"]), Independent: a["INDEPENDENT"] == "YES", Gap: a["GAP"] == "YES"}
	var omit string
	if p.Resource, omit = r.resource(a["URI"], a["BYTERANGE"], r.partEnds); omit == "" && !p.Gap {
		r.list(Entry{Resource: p.Resource, Kind: KindPart})
	} else if omit != "" {
		p.Gap = true
		if a["URI"] != "" {
			r.p.omit(omit, a["URI"])
		}
	}
	r.segment.Parts = append(r.segment.Parts, p)
}

// hint takes EXT-X-PRELOAD-HINT (draft-pantos-hls-rfc8216bis, section 4.4.5.3). A
// range that has no end yet says nothing that a response could be held against, so
// that Hints does not have it.
func (r *lineReader) hint(a map[string]string) {
	if a["URI"] == "" {
		return
	}
	h := Resource{URL: resolve(r.from.URL, a["URI"])}
	if h.URL == nil {
		return
	}
	start, ranged := a["BYTERANGE-START"]
	open := false
	if length, said := a["BYTERANGE-LENGTH"]; ranged && !said {
		n, err := strconv.ParseInt(start, 10, 64)
		if err != nil || n < 0 {
			return
		}
		h.Offset, open = n, true
	} else if ranged || said {
		if start == "" {
			start = "0"
		}
		var bad bool
		if h.Length, h.Offset, bad = parseByteRange(length + "@" + start); bad {
			return
		}
	}
	if !open {
		r.p.Hints = append(r.p.Hints, h)
	}
	if a["TYPE"] == "PART" {
		r.low().Hint, r.low().HintOpen = &h, open
	}
}

// skip takes EXT-X-SKIP (draft-pantos-hls-rfc8216bis, section 4.4.5.2): what it
// leaves out is as it was in the playlist before.
func (r *lineReader) skip(a map[string]string) {
	n, err := strconv.ParseInt(a["SKIPPED-SEGMENTS"], 10, 64)
	if err != nil || n < 0 {
		n = 1 // some
	}
	if len(r.p.Segments) > 0 { // not where it may stand
		r.p.Skipped++
		return
	}
	if n = min(n, 1<<40); n == 0 {
		return
	}
	before := r.from.Before
	first := int64(-1)
	if before != nil {
		first = r.p.Sequence - before.Sequence
	}
	if first < 0 || n > int64(len(before.Segments))-first {
		r.p.Skipped += n
		r.p.Sequence += n
		return
	}
	r.p.Segments = append(r.p.Segments, before.Segments[first:first+n]...)
	for _, s := range r.p.Segments {
		s.end(r.segmentEnds)
		for _, p := range s.Parts {
			p.end(r.partEnds)
		}
	}
	last := &r.p.Segments[n-1]
	if r.init == nil {
		r.init = last.Init
	}
	if r.at.IsZero() && !last.At.IsZero() {
		r.at = last.At.Add(last.Duration)
	}
}

// finish puts what is left at the end of the playlist into its place.
func (r *lineReader) finish() {
	if len(r.segment.Parts) > 0 {
		r.low().Tail, r.low().TailInit = r.segment.Parts, r.init
	}
	if r.p.Target == 0 {
		for _, s := range r.p.Segments {
			r.p.Target = max(r.p.Target, s.Duration.Round(1e9))
		}
	}
	l := r.p.Low
	if l == nil {
		return
	}
	if l.HoldBack == 0 {
		l.HoldBack = 3 * r.p.Target
	}
	if l.PartHoldBack == 0 {
		l.PartHoldBack = 3 * l.PartTarget
	}
}
