package hls

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Part is one EXT-X-PART, a piece of a segment that is published before the
// segment is complete.
type Part struct {
	Resource
	Duration time.Duration
	// Independent says that playing can begin with it.
	Independent bool
	// Gap says that the origin does not have it.
	Gap bool
}

// LowLatency is what a playlist says for low latency.
type LowLatency struct {
	// PartTarget is the longest a part may be (EXT-X-PART-INF), 0 if there are no
	// parts.
	PartTarget time.Duration
	// Of EXT-X-SERVER-CONTROL: HoldBack and PartHoldBack are how far from the end to
	// play at least, with and without parts; defaults three target durations and
	// three part targets. With BlockReload the server keeps a request for what is
	// not there yet until it is. SkipUntil is how far from the end what is older may
	// be left out of an update, 0 for never.
	HoldBack, PartHoldBack time.Duration
	BlockReload            bool
	SkipUntil              time.Duration
	// Tail are the parts behind the last segment, of the one that is being made, and
	// TailInit their init section.
	Tail     []Part
	TailInit *Resource
	// Hint is the part that comes next (EXT-X-PRELOAD-HINT), nil for none. Its
	// Length is 0 if it is the whole resource, or if the end is not known yet:
	// then HintOpen is set, and it begins at Offset.
	Hint     *Resource
	HintOpen bool
	// Reports are the ends of other renditions (EXT-X-RENDITION-REPORT).
	Reports []Report
}

// Report is one EXT-X-RENDITION-REPORT: the last segment of another rendition and
// its last part, -1 if not said.
type Report struct {
	URL      *url.URL
	MSN      int64
	LastPart int64
}

// low gives what there is for low latency, to be filled.
func (r *reader) low() *LowLatency {
	if r.p.Low == nil {
		r.p.Low = &LowLatency{}
	}
	return r.p.Low
}

// lowLatency takes the tags of the second edition.
func (r *reader) lowLatency(tag, value string) error {
	a := attributes(value)
	var err error
	switch tag {
	case "#EXT-X-SERVER-CONTROL":
		l := r.low()
		l.BlockReload = a["CAN-BLOCK-RELOAD"] == "YES"
		for name, to := range map[string]*time.Duration{"HOLD-BACK": &l.HoldBack, "PART-HOLD-BACK": &l.PartHoldBack, "CAN-SKIP-UNTIL": &l.SkipUntil} {
			if s, ok := a[name]; ok && err == nil {
				*to, err = seconds(s)
			}
		}
	case "#EXT-X-PART-INF":
		r.low().PartTarget, err = seconds(a["PART-TARGET"])
	case "#EXT-X-PART":
		err = r.part(a)
	case "#EXT-X-PRELOAD-HINT":
		err = r.preload(a)
	case "#EXT-X-SKIP":
		return r.skip(a)
	case "#EXT-X-RENDITION-REPORT":
		err = r.report(a)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSyntax, tag, err)
	}
	return nil
}

func (r *reader) resource(a map[string]string) (*Resource, error) {
	if a["URI"] == "" {
		return nil, fmt.Errorf("there is no URI")
	}
	u, err := r.from.URL.Parse(a["URI"])
	if err != nil {
		return nil, err
	}
	return &Resource{URL: u}, nil
}

func (r *reader) part(a map[string]string) error {
	to, err := r.resource(a)
	if err != nil {
		return err
	}
	p := Part{Resource: *to, Independent: a["INDEPENDENT"] == "YES", Gap: a["GAP"] == "YES"}
	if p.Duration, err = seconds(a["DURATION"]); err != nil {
		return err
	}
	if s, ok := a["BYTERANGE"]; ok {
		var from bool
		if p.Length, p.Offset, from, err = byteRange(s); err != nil {
			return err
		}
		if n := len(r.segment.Parts); n > 0 && !from && r.segment.Parts[n-1].URL.String() == p.URL.String() {
			p.Offset = r.segment.Parts[n-1].Offset + r.segment.Parts[n-1].Length
		}
	}
	r.segment.Parts = append(r.segment.Parts, p)
	return nil
}

func (r *reader) preload(a map[string]string) error {
	if a["TYPE"] != "PART" {
		return nil
	}
	hint, err := r.resource(a)
	if err != nil {
		return err
	}
	l := r.low()
	for name, to := range map[string]*int64{"BYTERANGE-START": &hint.Offset, "BYTERANGE-LENGTH": &hint.Length} {
		if s, ok := a[name]; ok {
			if *to, err = strconv.ParseInt(s, 10, 64); err != nil || *to < 0 {
				return fmt.Errorf("%s %q is no number of bytes", name, s)
			}
		}
	}
	_, ranged := a["BYTERANGE-START"]
	l.Hint, l.HintOpen = hint, ranged && hint.Length == 0
	return nil
}

// skip takes EXT-X-SKIP: what it leaves out is as it was in the playlist before.
func (r *reader) skip(a map[string]string) error {
	n, err := strconv.ParseInt(a["SKIPPED-SEGMENTS"], 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%w: EXT-X-SKIP: SKIPPED-SEGMENTS %q is no number", ErrSyntax, a["SKIPPED-SEGMENTS"])
	}
	before := r.from.Before
	if n == 0 {
		return nil
	}
	if before == nil || len(r.p.Segments) > 0 || n > int64(len(before.Segments)) {
		return ErrSkipped
	}
	first := r.p.Sequence - before.Sequence
	if first < 0 || first+n > int64(len(before.Segments)) {
		return ErrSkipped
	}
	r.p.Segments = append(r.p.Segments, before.Segments[first:first+n]...)
	last := &r.p.Segments[n-1]
	if r.init == nil {
		r.init = last.Init
	}
	if r.at.IsZero() && !last.At.IsZero() {
		r.at = last.At.Add(last.Duration)
	}
	return nil
}

func (r *reader) report(a map[string]string) error {
	to, err := r.resource(a)
	if err != nil {
		return err
	}
	report := Report{URL: to.URL, MSN: -1, LastPart: -1}
	for name, to := range map[string]*int64{"LAST-MSN": &report.MSN, "LAST-PART": &report.LastPart} {
		if s, ok := a[name]; ok {
			if *to, err = strconv.ParseInt(s, 10, 64); err != nil || *to < 0 {
				return fmt.Errorf("%s %q is no number", name, s)
			}
		}
	}
	l := r.low()
	l.Reports = append(l.Reports, report)
	return nil
}

// finish puts what is left at the end of the playlist into its place.
func (r *reader) finish() {
	if len(r.segment.Parts) > 0 {
		r.low().Tail, r.low().TailInit = r.segment.Parts, r.init
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

// Update is the URL of the next version of a playlist that came from u. If the
// server can, the request waits there until the next part, or segment, is listed,
// and with delta leaves out what is old (sections 6.2.5.1 and 6.2.5.2). blocks
// says whether it waits.
func (p *Playlist) Update(u *url.URL, delta bool) (next *url.URL, blocks bool) {
	l := p.Low
	if l == nil || p.Ended {
		return u, false
	}
	var q []string // in this order, behind what the URL has already
	if l.BlockReload {
		q = append(q, fmt.Sprintf("_HLS_msn=%d", p.Sequence+int64(len(p.Segments))))
		if l.PartTarget > 0 {
			q = append(q, fmt.Sprintf("_HLS_part=%d", len(l.Tail)))
		}
	}
	if delta && l.SkipUntil > 0 {
		q = append(q, "_HLS_skip=YES")
	}
	out := *u
	if out.RawQuery != "" {
		q = append([]string{out.RawQuery}, q...)
	}
	out.RawQuery = strings.Join(q, "&")
	return &out, l.BlockReload
}
