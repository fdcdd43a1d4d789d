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

// partClock is a clock that knows parts of segments, too.
type partClock struct {
	clock
	part        time.Duration // as long as a part may be; 0 means that there are none
	ranges      bool          // parts are byte ranges of their segment
	parts       []int         // the number of parts of each segment of the loop
	partsBefore []int         // and of those before it; the last is that of the loop
}

// cut cuts the segments of all renditions into parts, and returns how long the longest is. A segment is then its
// parts one after another.
func (c *partClock) cut(renditions []*rendition) (longest time.Duration, err error) {
	if c.part <= 0 {
		return 0, nil
	}
	total := 0
	from := time.Duration(0)
	for _, end := range c.grid {
		c.partsBefore = append(c.partsBefore, total)
		c.parts = append(c.parts, int((end-from+c.part-1)/c.part))
		total += c.parts[len(c.parts)-1]
		from = end
	}
	c.partsBefore = append(c.partsBefore, total)
	for _, r := range renditions {
		if len(r.tracks) != 1 {
			return 0, fmt.Errorf("%w: %s has %d tracks; parts are cut from renditions of one", ErrMedia, r.Name, len(r.tracks))
		}
		for i, s := range r.segments {
			if err := r.cut(i, c.parts[i]); err != nil {
				return 0, fmt.Errorf("%s: segment %d: %w", r.Name, i, err)
			}
			for _, p := range s.parts {
				longest = max(longest, r.tracks[0].at(p.spans[0].end-p.spans[0].start))
			}
		}
	}
	return longest, nil
}

// place is a part of a segment.
type place struct {
	n    sequence
	part int
}

// partPublished is when a part appears. The last one does with its segment.
func (c *partClock) partPublished(at place) time.Time {
	turn, index := c.split(at.n)
	from := time.Duration(0)
	if index > 0 {
		from = c.grid[index-1]
	}
	end := from + (c.grid[index]-from)*time.Duration(at.part+1)/time.Duration(c.parts[index])
	return c.epoch.Add(time.Duration(turn)*c.loop() + end + c.delay)
}

// nextPart is the part that appears next.
func (c *partClock) nextPart(now time.Time) place {
	at := place{n: c.newest(now) + 1}
	for !c.partPublished(at).After(now) {
		at.part++
	}
	return at
}

// fragments is the number of movie fragments from the beginning of a turn up to a segment, and in a turn.
func (c *partClock) fragments(index int) (before, all int) {
	if c.part <= 0 {
		return index, len(c.grid)
	}
	return c.partsBefore[index], c.partsBefore[len(c.grid)]
}

// partName is the last element of a part's URL.
func partName(at place) string { return fmt.Sprintf("seg-%d.%d.m4s", at.n, at.part) }

// partOf reads the name of a part in its one spelling.
func (c *partClock) partOf(file string) (at place, ok bool) {
	n, part, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(file, "seg-"), ".m4s"), ".")
	at.n, _ = strconv.ParseInt(n, 10, 64)
	at.part, _ = strconv.Atoi(part)
	if !ok || c.part <= 0 || at.n < 0 || partName(at) != file {
		return at, false
	}
	_, index := c.split(at.n)
	return at, at.part >= 0 && at.part < c.parts[index]
}

// out reports whether a part can be served now. For the part that comes next it waits, because playlists hint at it.
func (c *partClock) out(ctx context.Context, at place, now time.Time) bool {
	if at == c.nextPart(now) {
		return c.wait(ctx, c.partPublished(at))
	}
	return at.n > c.newest(now)-2*sequence(c.window) && !c.partPublished(at).After(now)
}

// await is the directive of a blocking playlist reload (draft-pantos-hls-rfc8216bis, section 6.2.5.2): it waits
// until what q asks for is listed. A refusal is a status other than 200.
func (c *partClock) await(ctx context.Context, q url.Values) (status int) {
	if !q.Has("_HLS_msn") {
		if q.Has("_HLS_part") {
			return http.StatusBadRequest
		}
		return http.StatusOK
	}
	n, err := strconv.ParseInt(q.Get("_HLS_msn"), 10, 64)
	last := c.newest(c.now())
	if err != nil || n < 0 || n > last+2 {
		return http.StatusBadRequest
	}
	_, index := c.split(n)
	at := place{n, c.parts[index] - 1}
	if q.Has("_HLS_part") {
		part, err := strconv.Atoi(q.Get("_HLS_part"))
		switch {
		case err != nil || part < 0:
			return http.StatusBadRequest
		case part >= c.parts[index]:
			at = place{n: n + 1}
		default:
			at.part = part
		}
	}
	if !c.wait(ctx, c.partPublished(at)) {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// whole is the part of a place that is the segment.
const whole = -1

// splice returns a segment or a part as it is under its number.
func (c *partClock) splice(r *rendition, at place) *splicedReader {
	turn, index := c.split(at.n)
	before, all := c.fragments(index)
	number := sequence(turn)*sequence(all) + sequence(before)
	s := r.segments[index]
	if at.part != whole {
		s, number = s.parts[at.part], number+sequence(at.part)
	}
	out := s.spliced(turn, number, r.tracks)
	out.tag = s.tag + "-" + strconv.FormatInt(at.n, 10)
	return out
}

// partResource returns the URI of a part, and its place in what that names.
func (c *partClock) partResource(r *rendition, at place) (uri string, size, offset int) {
	_, index := c.split(at.n)
	parts := r.segments[index].parts
	if !c.ranges {
		return partName(at), len(parts[at.part].data), 0
	}
	for _, p := range parts[:at.part] {
		offset += len(p.data)
	}
	return segmentName(at.n), len(parts[at.part].data), offset
}

// ends is when a segment ends, counted from the epoch.
func (c *partClock) ends(r *rendition, n sequence) time.Duration {
	turn, index := c.split(n)
	return r.start(turn, index) + r.duration(index)
}
