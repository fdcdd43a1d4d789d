package live

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// initName is the last element of the URL of an init section.
const initName = "init.mp4"

// stream is what playlists list: renditions by a clock.
type stream struct {
	partClock
	renditions []*rendition // in the order of the presentation
	dash       string       // the MPD, but for the attributes that depend on the clock
	// For low latency.
	partTarget, partHoldBack time.Duration
}

// mediaPlaylist is the sliding window of a rendition (RFC 8216, section 6.2.2). There is no discontinuity: the
// timeline goes on over the end of the loop.
func (s *stream) mediaPlaylist(r *rendition, first, last sequence) string {
	var b strings.Builder
	b.Grow(256 + int(last-first+1)*48)
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n", r.target, first)
	fmt.Fprintf(&b, "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=%q\n", initName)
	turn, index := s.split(first)
	fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", s.epoch.Add(r.start(turn, index)).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	for n := first; n <= last; n++ {
		_, index := s.split(n)
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n%s\n", r.duration(index).Seconds(), segmentName(n))
	}
	return b.String()
}

// dashManifest is a live MPD (ISO/IEC 23009-1) over the same segments. A player computes what is available from
// the wall clock, so it carries the server's.
func (s *stream) dashManifest(now time.Time) string {
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic"
  availabilityStartTime="%s" publishTime="%s" minimumUpdatePeriod="PT60S"
  timeShiftBufferDepth="%s" suggestedPresentationDelay="%s" minBufferTime="%s">
%s  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="%s"/>
</MPD>
`, stamp(s.epoch.Add(s.delay)), stamp(s.epoch), xmlDuration(s.span(s.window)), xmlDuration(s.span(3)), xmlDuration(s.span(1)),
		s.dash, stamp(now))
}

// dashBody is the part of the MPD that does not depend on the clock.
func dashBody(renditions []*rendition, grid []time.Duration) string {
	var sets [2]strings.Builder // video, audio
	for _, r := range renditions {
		peak := 0
		for i, s := range r.segments {
			peak = max(peak, int(float64(len(s.data)*8)/r.duration(i).Seconds()))
		}
		set, extra := &sets[0], ""
		if r.Audio {
			set, extra = &sets[1], fmt.Sprintf(` audioSamplingRate="%d"`, r.tracks[0].timescale)
		} else if width, height, ok := strings.Cut(r.Attributes["RESOLUTION"], "x"); ok {
			extra = attribute("width", width) + attribute("height", height)
		}
		fmt.Fprintf(set, "      <Representation%s bandwidth=\"%d\"%s%s/>\n",
			attribute("id", r.Name), peak, attribute("codecs", codecs(r, renditions)), extra)
	}
	var b strings.Builder
	b.WriteString("  <Period id=\"0\" start=\"PT0S\">\n")
	for i, kind := range []string{"video", "audio"} {
		if sets[i].Len() == 0 {
			continue
		}
		// The grid is even to within what the number template allows, and exact over each turn of the loop.
		fmt.Fprintf(&b, `    <AdaptationSet id="%d" contentType="%s" mimeType="%s/mp4" segmentAlignment="true" startWithSAP="1">
      <SegmentTemplate timescale="1000000" duration="%d" startNumber="0" initialization="$RepresentationID$/%s" media="$RepresentationID$/seg-$Number$.m4s"/>
%s    </AdaptationSet>
`, i, kind, kind, grid[len(grid)-1].Microseconds()/int64(len(grid)), initName, sets[i].String())
	}
	b.WriteString("  </Period>\n")
	return b.String()
}

// codecs is what the CODECS of the variants say about one rendition. A variant with an audio group lists its own
// codec first and that of the group after it.
func codecs(r *rendition, renditions []*rendition) string {
	if !r.Audio && r.Attributes["AUDIO"] == "" {
		return r.Attributes["CODECS"] // sound, if any, is in the same segments
	}
	for _, variant := range renditions {
		own, group, _ := strings.Cut(variant.Attributes["CODECS"], ",")
		switch {
		case variant == r && !r.Audio:
			return own
		case r.Audio && !variant.Audio && variant.Attributes["AUDIO"] == r.Attributes["GROUP-ID"]:
			return strings.TrimSpace(group)
		}
	}
	return ""
}

// attribute writes an XML attribute, or nothing where there is no value.
func attribute(name, value string) string {
	if value == "" {
		return ""
	}
	return " " + name + `="` + html.EscapeString(value) + `"`
}

// xmlDuration writes a duration as XML Schema has it, in seconds.
func xmlDuration(d time.Duration) string { return fmt.Sprintf("PT%gS", d.Seconds()) }
