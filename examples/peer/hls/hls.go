// Package hls reads as much of HLS playlists (RFC 8216, and its second edition
// draft-pantos-hls-rfc8216bis for low latency) as a viewer needs that plays,
// hashes and shares segments but decodes nothing. It reads line by line, passes
// over tags that it does not know, and writes no playlist.
package hls

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Errors of Parse.
var (
	// ErrNotPlaylist: the text does not begin with #EXTM3U.
	ErrNotPlaylist = errors.New("not an HLS playlist")
	// ErrSyntax: a tag that a player depends on cannot be read.
	ErrSyntax = errors.New("playlist tag cannot be read")
	// ErrSkipped: a delta update leaves out segments that Context.Before does not
	// have; load the playlist in full.
	ErrSkipped = errors.New("playlist leaves out segments that were not seen before")
)

// Playlist is a multivariant playlist (Variants is not empty) or a media
// playlist.
type Playlist struct {
	Variants   []Variant
	Renditions []Rendition

	// Target is EXT-X-TARGETDURATION.
	Target time.Duration
	// Sequence is EXT-X-MEDIA-SEQUENCE.
	Sequence int64
	// Ended says that no segment will be added (EXT-X-ENDLIST, or of type VOD).
	Ended    bool
	Segments []Segment
	// Low is what the playlist says for low latency, nil if nothing.
	Low *LowLatency
	// Variables are those that EXT-X-DEFINE sets, nil for none.
	Variables map[string]string
}

// Multivariant says whether the playlist lists other playlists.
func (p *Playlist) Multivariant() bool { return len(p.Variants) > 0 }

// Variant is one EXT-X-STREAM-INF.
type Variant struct {
	URL       *url.URL
	Bandwidth int64  // bit/s, 0 if not said
	Audio     string // GROUP-ID of its audio renditions, empty for none
}

// Rendition is one EXT-X-MEDIA.
type Rendition struct {
	Type, Group, Name string
	Default           bool
	// URL is nil where the rendition is part of the variant's own segments.
	URL *url.URL
}

// Resource is what one request fetches: a URL, or a byte range of it where
// Length is not 0.
type Resource struct {
	URL            *url.URL
	Offset, Length int64
}

// Segment is one media segment.
type Segment struct {
	Resource
	Sequence int64
	Duration time.Duration
	// At is when it was made (EXT-X-PROGRAM-DATE-TIME), carried on from segment to
	// segment; the zero time if the playlist does not say.
	At            time.Time
	Discontinuity bool
	// Gap says that the origin does not have it (EXT-X-GAP).
	Gap bool
	// Init is its init section (EXT-X-MAP), nil for none.
	Init *Resource
	// Parts are its parts in order (EXT-X-PART), as far as they are listed.
	Parts []Part
}

// Context is what a playlist is read against.
type Context struct {
	// URL is where it came from; needed.
	URL *url.URL
	// Imports are the variables of the multivariant playlist that lists it.
	Imports map[string]string
	// Before is the playlist as it was read last, for delta updates.
	Before *Playlist
}

// Parse reads a playlist that came from base, without anything known before.
func Parse(text []byte, base *url.URL) (*Playlist, error) { return Context{URL: base}.Parse(text) }

// Parse reads a playlist. Errors wrap ErrNotPlaylist, ErrSyntax or ErrSkipped.
func (c Context) Parse(text []byte) (*Playlist, error) {
	r := reader{p: &Playlist{}, from: c}
	first := true
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n \t")
		if first {
			if !strings.HasPrefix(line, "#EXTM3U") {
				return nil, ErrNotPlaylist
			}
			first = false
			continue
		}
		if err := r.line(line); err != nil {
			return nil, err
		}
	}
	if first {
		return nil, ErrNotPlaylist
	}
	r.finish()
	if !r.p.Multivariant() && r.p.Target == 0 {
		for _, s := range r.p.Segments {
			r.p.Target = max(r.p.Target, s.Duration.Round(time.Second))
		}
	}
	return r.p, nil
}

// reader holds what tags say of the lines to come.
type reader struct {
	p    *Playlist
	from Context

	variant *Variant // of the next URI
	segment Segment  // the next
	timed   bool     // EXTINF of the next was read
	ranged  bool     // EXT-X-BYTERANGE of the next was read
	offset  bool     // with an offset
	init    *Resource
	at      time.Time // of the next segment, if carried on
}

func (r *reader) line(line string) error {
	if line == "" {
		return nil
	}
	if line[0] != '#' {
		return r.uri(line)
	}
	tag, value, _ := strings.Cut(line, ":")
	if tag == "#EXT-X-DEFINE" {
		return r.define(attributes(value))
	}
	value, err := r.expand(value)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSyntax, tag, err)
	}
	switch tag {
	case "#EXT-X-STREAM-INF":
		a := attributes(value)
		bandwidth, _ := strconv.ParseInt(a["BANDWIDTH"], 10, 64)
		r.variant = &Variant{Bandwidth: bandwidth, Audio: a["AUDIO"]}
	case "#EXT-X-MEDIA":
		return r.media(attributes(value))
	case "#EXT-X-TARGETDURATION":
		d, err := seconds(value)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSyntax, tag, err)
		}
		r.p.Target = d
	case "#EXT-X-MEDIA-SEQUENCE":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: %s %q is no number", ErrSyntax, tag, value)
		}
		r.p.Sequence = n
	case "#EXT-X-ENDLIST":
		r.p.Ended = true
	case "#EXT-X-PLAYLIST-TYPE":
		r.p.Ended = r.p.Ended || value == "VOD"
	case "#EXTINF":
		text, _, _ := strings.Cut(value, ",")
		d, err := seconds(text)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSyntax, tag, err)
		}
		r.segment.Duration, r.timed = d, true
	case "#EXT-X-BYTERANGE":
		length, offset, from, err := byteRange(value)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSyntax, tag, err)
		}
		r.segment.Length, r.segment.Offset, r.ranged, r.offset = length, offset, true, from
	case "#EXT-X-DISCONTINUITY":
		r.segment.Discontinuity = true
		r.at = time.Time{}
	case "#EXT-X-GAP":
		r.segment.Gap = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		if t, ok := dateTime(value); ok {
			r.at = t
		}
	case "#EXT-X-MAP":
		return r.initSection(attributes(value))
	default:
		return r.lowLatency(tag, value)
	}
	return nil
}

func (r *reader) uri(line string) error {
	line, err := r.expand(line)
	if err != nil {
		return fmt.Errorf("%w: URI: %w", ErrSyntax, err)
	}
	u, err := r.from.URL.Parse(line)
	if err != nil {
		return fmt.Errorf("%w: URI: %w", ErrSyntax, err)
	}
	if r.variant != nil {
		r.variant.URL = u
		r.p.Variants = append(r.p.Variants, *r.variant)
		r.variant = nil
		return nil
	}
	if !r.timed {
		return nil // RFC 8216 wants an EXTINF before each segment
	}
	s := r.segment
	s.URL, s.Sequence, s.Init, s.At = u, r.sequence(), r.init, r.at
	if r.ranged && !r.offset {
		// Section 4.3.2.2: it begins where the range before it ended.
		if n := len(r.p.Segments); n > 0 && r.p.Segments[n-1].URL.String() == u.String() {
			s.Offset = r.p.Segments[n-1].Offset + r.p.Segments[n-1].Length
		}
	}
	r.p.Segments = append(r.p.Segments, s)
	if !r.at.IsZero() {
		r.at = r.at.Add(s.Duration)
	}
	r.segment, r.timed, r.ranged, r.offset = Segment{}, false, false, false
	return nil
}

// sequence is the media sequence number of the next segment.
func (r *reader) sequence() int64 { return r.p.Sequence + int64(len(r.p.Segments)) }

func (r *reader) media(a map[string]string) error {
	m := Rendition{Type: a["TYPE"], Group: a["GROUP-ID"], Name: a["NAME"], Default: a["DEFAULT"] == "YES"}
	if uri := a["URI"]; uri != "" {
		u, err := r.from.URL.Parse(uri)
		if err != nil {
			return fmt.Errorf("%w: EXT-X-MEDIA: %w", ErrSyntax, err)
		}
		m.URL = u
	}
	r.p.Renditions = append(r.p.Renditions, m)
	return nil
}

func (r *reader) initSection(a map[string]string) error {
	u, err := r.from.URL.Parse(a["URI"])
	if err != nil || a["URI"] == "" {
		return fmt.Errorf("%w: EXT-X-MAP has no URI that can be read", ErrSyntax)
	}
	r.init = &Resource{URL: u}
	if s, ok := a["BYTERANGE"]; ok {
		r.init.Length, r.init.Offset, _, err = byteRange(s)
		if err != nil {
			return fmt.Errorf("%w: EXT-X-MAP: %w", ErrSyntax, err)
		}
	}
	return nil
}

// attributes reads an attribute list (section 4.2). Quotes are taken off.
func attributes(s string) map[string]string {
	a := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, _ = strings.Cut(rest[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		a[strings.TrimSpace(name)] = strings.TrimSpace(value)
		s = rest
	}
	return a
}

func seconds(s string) (time.Duration, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f >= 0 && f < 1e6) {
		return 0, fmt.Errorf("%q is no duration in seconds", s)
	}
	return time.Duration(f * float64(time.Second)), nil
}

// byteRange reads n[@o].
func byteRange(s string) (length, offset int64, from bool, err error) {
	n, o, from := strings.Cut(s, "@")
	length, err = strconv.ParseInt(n, 10, 64)
	if err == nil && from {
		offset, err = strconv.ParseInt(o, 10, 64)
	}
	if err != nil || length <= 0 || offset < 0 {
		return 0, 0, false, fmt.Errorf("%q is no byte range", s)
	}
	return length, offset, from, nil
}

// dateTime reads ISO 8601 as encoders write it.
func dateTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
