package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ErrPlaylist is wrapped by the errors of ReadHLS: nothing in the playlist can be
// shared.
var ErrPlaylist = errors.New("playlist cannot be read")

// Source is what a playlist is read against.
type Source struct {
	// URL is where the playlist came from, after redirects. Its host is the one whose
	// resources are the playlist's own; the scheme may be empty.
	URL *url.URL
	// Imports are the variables of the multivariant playlist that lists this one,
	// for EXT-X-DEFINE:IMPORT; nil for none.
	Imports map[string]string
	// Before is the playlist as it was read last, for delta updates; nil for none.
	Before *Playlist
}

// ReadHLS reads a playlist. Lines that it does not understand it passes over: what
// is not listed is not shared.
//
// Media playlists are read twice: by the m3u8 library, which knows segments, and
// by the line reader, which knows keys, maps, parts and ranges, too. A playlist in
// which both do not find the same segments in the same order is refused, so that
// nothing is shared that only one of them takes for a segment. So is one that uses
// a variable without a value. The error wraps ErrPlaylist.
func ReadHLS(body []byte, from Source) (*Playlist, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if !bytes.HasPrefix(body, []byte("#EXTM3U")) {
		return nil, fmt.Errorf("%w: it does not begin with #EXTM3U", ErrPlaylist)
	}
	p := &Playlist{}
	r := lineReader{p: p, from: from, variables: variables{imports: from.Imports}, next: map[string]int64{}}
	for line := range bytes.Lines(body) {
		if line := strings.TrimSpace(string(line)); line != "" && !r.line(line) {
			return nil, fmt.Errorf("%w: it uses a variable that has no value for all viewers", ErrPlaylist)
		}
	}
	r.ads.finish(p.Entries)
	p.Variables = r.values
	if p.Multivariant {
		return p, nil
	}
	r.finish()
	if err := r.compare(body); err != nil {
		return nil, err
	}
	return p, nil
}

// compare reads the playlist again with the library.
func (r *lineReader) compare(body []byte) error {
	theirs, err := librarySegments(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPlaylist, err)
	}
	if len(r.segments) != len(theirs) {
		return fmt.Errorf("%w: the library finds %d segments, the line reader %d", ErrPlaylist, len(theirs), len(r.segments))
	}
	for i, s := range r.segments {
		if theirs[i].line != s.line || (s.length >= 0 && theirs[i].length != s.length) {
			return fmt.Errorf("%w: segment %d is not the same to both readers", ErrPlaylist, i)
		}
	}
	return nil
}

// lineReader holds what tags say of the lines to come.
type lineReader struct {
	variables
	p    *Playlist
	from Source

	keys      map[string]bool // KEYFORMATs with a METHOD other than NONE
	inf       bool            // EXTINF came, the next URI is a segment
	variant   *Variant        // EXT-X-STREAM-INF came, the next URI is a rendition
	segment   Segment         // the next
	byteRange string          // of EXT-X-BYTERANGE
	init      *Resource
	at        time.Time // of the next segment, if carried on
	ads       adReader
	next      map[string]int64 // end of the last range, by URI
	segments  []librarySegment // as the library should see them; length -1 for a range that is none
}

// line takes a line that is not empty. ok is false if it uses a variable that has
// no value.
func (r *lineReader) line(line string) (ok bool) {
	if line[0] != '#' {
		return r.uri(line)
	}
	tag, value, _ := strings.Cut(line, ":")
	switch tag {
	case "#EXT-X-DEFINE":
		r.define(attributes(value))
		return true
	case "#EXTINF":
		length, _, _ := strings.Cut(value, ",")
		r.inf, r.segment.Duration = true, parseSeconds(length)
		return true
	}
	value, ok = r.expand(value)
	switch tag {
	case "#EXT-X-TARGETDURATION":
		r.p.Target = parseSeconds(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		// Section 4.3.3.2: before the first segment.
		if n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64); len(r.p.Segments) == 0 {
			r.p.Sequence = min(max(0, n), 1<<60)
		}
	case "#EXT-X-BYTERANGE":
		r.byteRange = value
	case "#EXT-X-ENDLIST":
		r.p.Ended = true
	case "#EXT-X-PLAYLIST-TYPE":
		r.p.Ended = r.p.Ended || value == "VOD"
	case "#EXT-X-GAP":
		r.segment.Gap = true
	case "#EXT-X-DISCONTINUITY":
		r.segment.Discontinuity, r.at = true, time.Time{}
		r.ads.tag(tag, value)
	case "#EXT-X-PROGRAM-DATE-TIME":
		if t, ok := parseDate(value); ok {
			r.at = t
		}
		r.ads.tag(tag, value)
	default:
		if a := attributes(value); !r.attributed(tag, a) && !r.lowLatency(tag, a) {
			r.ads.tag(tag, value)
		}
	}
	return ok
}

// attributed takes tags with an attribute list. known is false for other tags.
func (r *lineReader) attributed(tag string, a map[string]string) (known bool) {
	switch tag {
	case "#EXT-X-KEY":
		r.key(a)
	case "#EXT-X-MAP":
		if init, ok := r.resource(a["URI"], a["BYTERANGE"]); ok {
			r.init = &init
			r.list(Entry{Resource: init}, a["URI"])
		}
	case "#EXT-X-STREAM-INF":
		bandwidth, _ := strconv.ParseInt(a["BANDWIDTH"], 10, 64)
		r.p.Multivariant, r.variant = true, &Variant{Bandwidth: bandwidth, Audio: a["AUDIO"]}
	case "#EXT-X-MEDIA":
		r.p.Multivariant = true
		m := Rendition{Type: a["TYPE"], Group: a["GROUP-ID"], Name: a["NAME"], Default: a["DEFAULT"] == "YES", URL: r.playlist(a["URI"])}
		r.p.Renditions = append(r.p.Renditions, m)
	case "#EXT-X-I-FRAME-STREAM-INF":
		r.p.Multivariant = true
		r.playlist(a["URI"])
	case "#EXT-X-SESSION-KEY", "#EXT-X-SESSION-DATA", "#EXT-X-CONTENT-STEERING":
		r.forbid(a["URI"])
		r.forbid(a["SERVER-URI"])
	default:
		return false
	}
	return true
}

// uri takes a line that is no tag.
func (r *lineReader) uri(raw string) (ok bool) {
	uri, ok := r.expand(raw)
	switch {
	case r.variant != nil:
		if r.variant.URL = r.playlist(uri); r.variant.URL != nil {
			r.p.Variants = append(r.p.Variants, *r.variant)
		}
	case r.inf:
		s := &r.segment
		s.Sequence, s.Init, s.At = r.p.Sequence+int64(len(r.p.Segments)), r.init, r.at
		var readable bool
		s.Resource, readable = r.resource(uri, r.byteRange)
		length := s.Length
		if readable {
			r.list(Entry{Resource: s.Resource, Kind: KindSegment, Sequence: s.Sequence}, uri)
			r.ads.pass(s.Duration)
		} else {
			s.Gap = true
			if s.URL != nil {
				length = -1
			}
		}
		r.segments = append(r.segments, librarySegment{raw, length})
		r.p.Segments = append(r.p.Segments, *s)
		if !r.at.IsZero() {
			r.at = r.at.Add(s.Duration)
		}
		r.segment = Segment{}
	}
	r.inf, r.variant, r.byteRange = false, nil, ""
	return ok
}

// resource is what a URI and a byte range mean: one without offset begins where the
// range before it ended. ok is false if either cannot be read.
func (r *lineReader) resource(uri, byteRange string) (res Resource, ok bool) {
	if uri == "" {
		return res, false
	}
	if byteRange != "" {
		var bad bool
		if res.Length, res.Offset, bad = parseByteRange(byteRange); bad {
			return Resource{URL: resolve(r.from.URL, uri)}, false
		}
		if res.Offset < 0 {
			res.Offset = r.next[uri]
		}
		r.next[uri] = res.Offset + res.Length
	}
	res.URL = resolve(r.from.URL, uri)
	return res, res.URL != nil
}

// list lists a resource that stands in the playlist as uri.
func (r *lineReader) list(e Entry, uri string) {
	e.Encrypted = len(r.keys) > 0
	r.ads.mark(&e, uri)
	r.p.Entries = append(r.p.Entries, e)
}

// key takes EXT-X-KEY: several may be in force at once, one for each KEYFORMAT.
func (r *lineReader) key(a map[string]string) {
	r.forbid(a["URI"])
	if m := a["METHOD"]; m == "NONE" || m == "" {
		r.keys = nil
		return
	}
	format := a["KEYFORMAT"]
	if format == "" {
		format = "identity"
	}
	if r.keys == nil {
		r.keys = map[string]bool{}
	}
	r.keys[format] = true
}

// playlist lists another playlist. It returns nil where there is none.
func (r *lineReader) playlist(uri string) *url.URL {
	if uri == "" {
		return nil
	}
	u := resolve(r.from.URL, uri)
	if u != nil {
		r.p.Playlists = append(r.p.Playlists, u)
	}
	return u
}

func (r *lineReader) forbid(uri string) {
	if u := resolve(r.from.URL, uri); u != nil && uri != "" {
		r.p.Forbidden = append(r.p.Forbidden, u)
	}
}
