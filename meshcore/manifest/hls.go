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

// Source is what a manifest is read against.
type Source struct {
	// URL is where the manifest came from, after redirects. Its host is the one whose
	// resources are the manifest's own; the scheme may be empty.
	URL *url.URL
	// Imports are the variables of the multivariant playlist that lists this one,
	// for EXT-X-DEFINE:IMPORT; nil for none.
	Imports map[string]string
}

// Playlist is an HLS playlist.
type Playlist struct {
	Listing
	// Multivariant is set if it lists other playlists, which Playlists has, and no
	// media.
	Multivariant bool
	Playlists    []*url.URL
	// Sequence is the media sequence number of the first segment that is listed: what
	// EXT-X-SKIP leaves out comes before.
	Sequence int64
	// Delta is set if EXT-X-SKIP leaves out what is old.
	Delta bool
	// Variables are those that EXT-X-DEFINE sets, nil for none.
	Variables map[string]string
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
	r := lineReader{p: p, base: from.URL, variables: variables{imports: from.Imports}, next: map[string]int64{}}
	for line := range bytes.Lines(body) {
		r.line(strings.TrimSpace(string(line)))
	}
	r.ads.finish(p.Entries)
	p.Variables = r.values
	if r.undefined {
		return nil, fmt.Errorf("%w: it uses a variable that has no value for all viewers", ErrPlaylist)
	}
	if p.Multivariant {
		return p, nil
	}
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

type lineReader struct {
	variables
	p    *Playlist
	base *url.URL

	keys      map[string]bool // KEYFORMATs with a METHOD other than NONE
	inf       bool            // EXTINF came, the next URI is a segment
	streamInf bool            // EXT-X-STREAM-INF came, the next URI is a rendition
	rangeLen  int64           // of EXT-X-BYTERANGE, 0 if none
	rangeOff  int64           // -1: after the range before it
	badRange  bool
	length    time.Duration // of EXTINF
	ads       adReader
	next      map[string]int64 // end of the last range, by URI
	segments  []librarySegment // as the library should see them; length -1 for a range that is none
}

func (r *lineReader) line(line string) {
	if line == "" {
		return
	}
	if line[0] != '#' {
		r.uri(line)
		return
	}
	tag, value, _ := strings.Cut(line, ":")
	if tag == "#EXT-X-DEFINE" {
		r.define(attributes(value))
		return
	}
	value = r.expand(value)
	switch tag {
	case "#EXTINF":
		length, _, _ := strings.Cut(value, ",")
		r.inf, r.length = true, parseSeconds(length)
	case "#EXT-X-MEDIA-SEQUENCE":
		r.p.Sequence, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	case "#EXT-X-BYTERANGE":
		r.rangeLen, r.rangeOff, r.badRange = parseByteRange(value)
	case "#EXT-X-KEY":
		r.key(attributes(value))
	case "#EXT-X-MAP":
		a := attributes(value)
		r.ranged(Other, a["URI"], a["BYTERANGE"])
	case "#EXT-X-PART":
		if a := attributes(value); a["GAP"] != "YES" {
			r.ranged(Part, a["URI"], a["BYTERANGE"])
		}
	case "#EXT-X-PRELOAD-HINT":
		r.hint(attributes(value))
	case "#EXT-X-SKIP":
		n, _ := strconv.ParseInt(attributes(value)["SKIPPED-SEGMENTS"], 10, 64)
		r.p.Sequence += max(0, n)
		r.p.Delta = true
	case "#EXT-X-ENDLIST":
		r.p.Ended = true
	case "#EXT-X-STREAM-INF":
		r.p.Multivariant, r.streamInf = true, true
	case "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF":
		r.p.Multivariant = true
		r.playlist(attributes(value)["URI"])
	case "#EXT-X-RENDITION-REPORT":
		r.forbid(attributes(value)["URI"])
	case "#EXT-X-SESSION-KEY", "#EXT-X-SESSION-DATA", "#EXT-X-CONTENT-STEERING":
		a := attributes(value)
		r.forbid(a["URI"])
		r.forbid(a["SERVER-URI"])
	default:
		r.ads.tag(tag, value)
	}
}

func (r *lineReader) uri(raw string) {
	uri := r.expand(raw)
	switch {
	case r.streamInf:
		r.playlist(uri)
	case r.inf:
		e := Entry{Kind: Segment, Sequence: r.p.Sequence + int64(len(r.segments)), Encrypted: len(r.keys) > 0}
		if r.badRange {
			// Keeps the order of the segments; an impossible range is never shared.
			r.segments = append(r.segments, librarySegment{raw, -1})
			break
		}
		r.segments = append(r.segments, librarySegment{raw, r.rangeLen})
		r.add(e, uri, r.rangeLen, r.rangeOff)
		r.ads.pass(r.length)
	}
	r.inf, r.streamInf, r.rangeLen, r.badRange = false, false, 0, false
}

// add lists a resource; an offset below 0 is where the range before it ended.
func (r *lineReader) add(e Entry, uri string, length, offset int64) {
	if length > 0 {
		if offset < 0 {
			offset = r.next[uri]
		}
		r.next[uri] = offset + length
		e.Length, e.Offset = length, offset
	}
	r.ads.mark(&e, uri)
	if e.URL = resolve(r.base, uri); e.URL != nil {
		r.p.Entries = append(r.p.Entries, e)
	}
}

// ranged lists an init section or a part.
func (r *lineReader) ranged(kind Kind, uri, byteRange string) {
	var length, offset int64
	if byteRange != "" {
		var bad bool
		if length, offset, bad = parseByteRange(byteRange); bad {
			return
		}
	}
	if uri != "" {
		r.add(Entry{Kind: kind, Encrypted: len(r.keys) > 0}, uri, length, offset)
	}
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

// hint takes EXT-X-PRELOAD-HINT (draft-pantos-hls-rfc8216bis, section 4.4.5.3). One
// for a range that has no end yet says nothing that a response could be held
// against.
func (r *lineReader) hint(a map[string]string) {
	var h Resource
	if start, ranged := a["BYTERANGE-START"]; ranged {
		var bad bool
		if h.Length, h.Offset, bad = parseByteRange(a["BYTERANGE-LENGTH"] + "@" + start); bad {
			return
		}
	}
	if a["URI"] == "" {
		return
	}
	if h.URL = resolve(r.base, a["URI"]); h.URL != nil {
		r.p.Hints = append(r.p.Hints, h)
	}
}

func (r *lineReader) playlist(uri string) {
	if u := resolve(r.base, uri); u != nil && uri != "" {
		r.p.Playlists = append(r.p.Playlists, u)
	}
}

func (r *lineReader) forbid(uri string) {
	if u := resolve(r.base, uri); u != nil && uri != "" {
		r.p.Forbidden = append(r.p.Forbidden, u)
	}
}
