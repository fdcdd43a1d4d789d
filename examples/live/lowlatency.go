package live

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// cutParts cuts the segments of all renditions into parts of at most Config.Part. A segment is then its parts one
// after another.
func (o *Origin) cutParts(renditions []*rendition) error {
	if o.part <= 0 {
		return nil
	}
	total := 0
	from := time.Duration(0)
	for _, end := range o.grid {
		o.partsBefore = append(o.partsBefore, total)
		o.parts = append(o.parts, int((end-from+o.part-1)/o.part))
		total += o.parts[len(o.parts)-1]
		from = end
	}
	o.partsBefore = append(o.partsBefore, total)
	for _, r := range renditions {
		if len(r.tracks) != 1 {
			return fmt.Errorf("%w: %s has %d tracks; parts are cut from renditions of one", ErrMedia, r.Name, len(r.tracks))
		}
		for i, s := range r.segments {
			if err := r.cut(i, o.parts[i]); err != nil {
				return fmt.Errorf("%s: segment %d: %w", r.Name, i, err)
			}
			for _, p := range s.parts {
				o.partTarget = max(o.partTarget, r.tracks[0].at(p.spans[0].end-p.spans[0].start))
			}
		}
	}
	o.partTarget = (o.partTarget + time.Millisecond - 1).Truncate(time.Millisecond)
	o.partHoldBack = max(o.partHoldBack, 3*o.partTarget)
	return nil
}

// cut cuts a segment that chain has put on the timeline.
func (r *rendition) cut(index, count int) error {
	s := r.segments[index]
	// The timeline of the parts is that of the loop already.
	placed := s.spliced(0, 0, r.tracks)
	parts, err := cut(append(placed.head, placed.tail...), r.tracks[0], count)
	if err != nil {
		return err
	}
	var all []byte
	for _, data := range parts {
		p, err := parseSegment(data, r.tracks)
		if err != nil {
			return err
		}
		p.tag = s.tag + "-p" + strconv.Itoa(len(s.parts))
		s.parts = append(s.parts, p)
		all = append(all, data...)
	}
	whole, err := parseSegment(all, r.tracks)
	if err != nil {
		return err
	}
	s.data, s.sequences, s.times, s.patched = whole.data, whole.sequences, whole.times, whole.patched
	return nil
}

// place is a part of a segment.
type place struct {
	n    sequence
	part int
}

// partPublished is when a part appears. The last one does with its segment.
func (o *Origin) partPublished(at place) time.Time {
	turn, index := o.split(at.n)
	from := time.Duration(0)
	if index > 0 {
		from = o.grid[index-1]
	}
	end := from + (o.grid[index]-from)*time.Duration(at.part+1)/time.Duration(o.parts[index])
	return o.epoch.Add(time.Duration(turn)*o.loop() + end + o.delay)
}

// nextPart is the part that appears next.
func (o *Origin) nextPart(now time.Time) place {
	at := place{n: o.newest(now) + 1}
	for !o.partPublished(at).After(now) {
		at.part++
	}
	return at
}

// fragments is the number of movie fragments from the beginning of a turn up to a segment, and in a turn.
func (o *Origin) fragments(index int) (before, all int) {
	if o.part <= 0 {
		return index, len(o.grid)
	}
	return o.partsBefore[index], o.partsBefore[len(o.grid)]
}

// partName is the last element of a part's URL.
func partName(at place) string { return fmt.Sprintf("seg-%d.%d.m4s", at.n, at.part) }

// partOf reads the name of a part in its one spelling.
func (o *Origin) partOf(file string) (at place, ok bool) {
	n, part, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(file, "seg-"), ".m4s"), ".")
	at.n, _ = strconv.ParseInt(n, 10, 64)
	at.part, _ = strconv.Atoi(part)
	if !ok || o.part <= 0 || at.n < 0 || partName(at) != file {
		return at, false
	}
	_, index := o.split(at.n)
	return at, at.part >= 0 && at.part < o.parts[index]
}

// out says whether a part can be served now. For the one that comes next it waits, because playlists hint at it.
func (o *Origin) out(ctx context.Context, at place, now time.Time) bool {
	if at == o.nextPart(now) {
		return o.wait(ctx, o.partPublished(at))
	}
	return at.n > o.newest(now)-2*sequence(o.window) && !o.partPublished(at).After(now)
}

// wait waits until the clock shows a time; it returns false if ctx ends before.
func (o *Origin) wait(ctx context.Context, until time.Time) bool {
	for {
		left := until.Sub(o.now())
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// await is the directive of a blocking playlist reload (draft-pantos-hls-rfc8216bis, section 6.2.5.2): it waits
// until what q asks for is listed. A refusal is a status other than 200.
func (o *Origin) await(ctx context.Context, q url.Values) (status int) {
	if !q.Has("_HLS_msn") {
		if q.Has("_HLS_part") {
			return http.StatusBadRequest
		}
		return http.StatusOK
	}
	n, err := strconv.ParseInt(q.Get("_HLS_msn"), 10, 64)
	last := o.newest(o.now())
	if err != nil || n < 0 || n > last+2 {
		return http.StatusBadRequest
	}
	_, index := o.split(n)
	at := place{n, o.parts[index] - 1}
	if q.Has("_HLS_part") {
		part, err := strconv.Atoi(q.Get("_HLS_part"))
		switch {
		case err != nil || part < 0:
			return http.StatusBadRequest
		case part >= o.parts[index]:
			at = place{n: n + 1}
		default:
			at.part = part
		}
	}
	if !o.wait(ctx, o.partPublished(at)) {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// skipUntil is the CAN-SKIP-UNTIL of the playlists.
func (o *Origin) skipUntil(r *rendition) time.Duration {
	return 6 * time.Duration(r.target) * time.Second
}

// lowLatencyPlaylist is mediaPlaylist with parts for the last three target durations, those of the segment that is
// being made, and a hint at the next. With delta what is older than skipUntil is left out.
func (o *Origin) lowLatencyPlaylist(r *rendition, now time.Time, first, last sequence, delta bool) string {
	var b strings.Builder
	next := o.nextPart(now)
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:%d\n", r.target)
	fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%.3f,CAN-SKIP-UNTIL=%.1f\n",
		o.partHoldBack.Seconds(), o.skipUntil(r).Seconds())
	fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%.3f\n#EXT-X-MEDIA-SEQUENCE:%d\n", o.partTarget.Seconds(), first)
	fmt.Fprintf(&b, "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=%q\n", initName)
	end := o.ends(r, last)
	from := first
	if delta {
		for from < last && o.ends(r, from) <= end-o.skipUntil(r) {
			from++
		}
		if from > first {
			fmt.Fprintf(&b, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%d\n", from-first)
		}
	}
	turn, index := o.split(from)
	fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", o.epoch.Add(r.start(turn, index)).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	for n := from; n <= last; n++ {
		_, index := o.split(n)
		if o.ends(r, n) > end-3*time.Duration(r.target)*time.Second {
			o.writeParts(&b, r, place{n, o.parts[index]})
		}
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n%s\n", r.duration(index).Seconds(), segmentName(n))
	}
	o.writeParts(&b, r, next)
	uri, size, offset := o.partResource(r, next)
	fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=%q", uri)
	if o.ranges {
		fmt.Fprintf(&b, ",BYTERANGE-START=%d,BYTERANGE-LENGTH=%d", offset, size)
	}
	b.WriteString("\n")
	lastPart := place{next.n, next.part - 1}
	if next.part == 0 {
		_, index := o.split(last)
		lastPart = place{last, o.parts[index] - 1}
	}
	for _, other := range o.ordered {
		if other != r {
			fmt.Fprintf(&b, "#EXT-X-RENDITION-REPORT:URI=\"../%s\",LAST-MSN=%d,LAST-PART=%d\n", other.Playlist, lastPart.n, lastPart.part)
		}
	}
	return b.String()
}

// writeParts lists the parts of a segment before one.
func (o *Origin) writeParts(b *strings.Builder, r *rendition, until place) {
	_, index := o.split(until.n)
	for i, p := range r.segments[index].parts[:until.part] {
		uri, size, offset := o.partResource(r, place{until.n, i})
		fmt.Fprintf(b, "#EXT-X-PART:DURATION=%.6f,URI=%q", r.tracks[0].at(p.spans[0].end-p.spans[0].start).Seconds(), uri)
		if o.ranges {
			fmt.Fprintf(b, ",BYTERANGE=\"%d@%d\"", size, offset)
		}
		if i == 0 || r.Audio {
			b.WriteString(",INDEPENDENT=YES") // segments begin with a key frame
		}
		b.WriteString("\n")
	}
}

// partResource is where a part is to be had.
func (o *Origin) partResource(r *rendition, at place) (uri string, size, offset int) {
	_, index := o.split(at.n)
	parts := r.segments[index].parts
	if !o.ranges {
		return partName(at), len(parts[at.part].data), 0
	}
	for _, p := range parts[:at.part] {
		offset += len(p.data)
	}
	return segmentName(at.n), len(parts[at.part].data), offset
}

// ends is when a segment ends, counted from the epoch.
func (o *Origin) ends(r *rendition, n sequence) time.Duration {
	turn, index := o.split(n)
	return r.start(turn, index) + r.duration(index)
}

// serveGrowing answers a range of the segment that is being made: one part, whole, which may be the next. The size
// of the segment is not known yet.
func (o *Origin) serveGrowing(w http.ResponseWriter, r *http.Request, rendition *rendition, n sequence, now time.Time) bool {
	_, index := o.split(n)
	s := rendition.segments[index]
	for i := range s.parts {
		at := place{n, i}
		_, size, offset := o.partResource(rendition, at)
		if r.Header.Get("Range") != fmt.Sprintf("bytes=%d-%d", offset, offset+size-1) {
			continue
		}
		if !o.out(r.Context(), at, now) {
			return false
		}
		h := w.Header()
		h.Set("Content-Type", typeSegment)
		h.Set("Cache-Control", cacheSegment)
		h.Set("ETag", `"`+s.tag+"-"+strconv.FormatInt(n, 10)+`"`)
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", offset, offset+size-1))
		h.Set("Content-Length", strconv.Itoa(size))
		w.WriteHeader(http.StatusPartialContent)
		if r.Method == http.MethodGet {
			_, _ = o.splice(rendition, at).WriteTo(w) // the player has gone
		}
		return true
	}
	return false
}
