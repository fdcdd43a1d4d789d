package live

import (
	"fmt"
	"strings"
	"time"
)

// skipUntil is the CAN-SKIP-UNTIL of the playlists.
func (s *stream) skipUntil(r *rendition) time.Duration {
	return 6 * time.Duration(r.target) * time.Second
}

// lowLatencyPlaylist is mediaPlaylist with parts for the last three target durations, those of the segment that is
// being made, and a hint at the next. With delta what is older than skipUntil is left out.
func (s *stream) lowLatencyPlaylist(r *rendition, now time.Time, first, last sequence, delta bool) string {
	var b strings.Builder
	next := s.nextPart(now)
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:%d\n", r.target)
	fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%.3f,CAN-SKIP-UNTIL=%.1f\n",
		s.partHoldBack.Seconds(), s.skipUntil(r).Seconds())
	fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%.3f\n#EXT-X-MEDIA-SEQUENCE:%d\n", s.partTarget.Seconds(), first)
	fmt.Fprintf(&b, "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=%q\n", initName)
	end := s.ends(r, last)
	from := first
	if delta {
		for from < last && s.ends(r, from) <= end-s.skipUntil(r) {
			from++
		}
		if from > first {
			fmt.Fprintf(&b, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%d\n", from-first)
		}
	}
	turn, index := s.split(from)
	fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", s.epoch.Add(r.start(turn, index)).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	for n := from; n <= last; n++ {
		_, index := s.split(n)
		if s.ends(r, n) > end-3*time.Duration(r.target)*time.Second {
			s.writeParts(&b, r, place{n, s.parts[index]})
		}
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n%s\n", r.duration(index).Seconds(), segmentName(n))
	}
	s.writeParts(&b, r, next)
	uri, size, offset := s.partResource(r, next)
	fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=%q", uri)
	if s.ranges {
		fmt.Fprintf(&b, ",BYTERANGE-START=%d,BYTERANGE-LENGTH=%d", offset, size)
	}
	b.WriteString("\n")
	lastPart := place{next.n, next.part - 1}
	if next.part == 0 {
		_, index := s.split(last)
		lastPart = place{last, s.parts[index] - 1}
	}
	for _, other := range s.renditions {
		if other != r {
			fmt.Fprintf(&b, "#EXT-X-RENDITION-REPORT:URI=\"../%s\",LAST-MSN=%d,LAST-PART=%d\n", other.Playlist, lastPart.n, lastPart.part)
		}
	}
	return b.String()
}

// writeParts lists the parts of a segment before one.
func (s *stream) writeParts(b *strings.Builder, r *rendition, until place) {
	_, index := s.split(until.n)
	for i, p := range r.segments[index].parts[:until.part] {
		uri, size, offset := s.partResource(r, place{until.n, i})
		fmt.Fprintf(b, "#EXT-X-PART:DURATION=%.6f,URI=%q", r.tracks[0].at(p.spans[0].end-p.spans[0].start).Seconds(), uri)
		if s.ranges {
			fmt.Fprintf(b, ",BYTERANGE=\"%d@%d\"", size, offset)
		}
		if i == 0 || r.Audio {
			b.WriteString(",INDEPENDENT=YES") // segments begin with a key frame
		}
		b.WriteString("\n")
	}
}
