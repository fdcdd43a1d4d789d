package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
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

// ReadHLS reads a playlist. What it does not understand it passes over: media that
// cannot be read is left out and counted in Omissions, and the rest is listed. The
// error, if the text is no playlist at all, wraps ErrPlaylist.
//
// The segments are compared with those that the m3u8 library finds. Where it reads
// the playlist and finds as many, one that it reads in another way is left out.
func ReadHLS(body []byte, from Source) (*Playlist, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if !bytes.HasPrefix(body, []byte("#EXTM3U")) {
		return nil, fmt.Errorf("%w: it does not begin with #EXTM3U", ErrPlaylist)
	}
	p := &Playlist{}
	r := lineReader{p: p, from: from, segmentEnds: map[string]int64{}, partEnds: map[string]int64{}}
	r.variables.from, r.ads.host = &r.from, from.URL.Host
	for line := range bytes.Lines(body) {
		if line := strings.Trim(string(line), " \t\r\n"); line != "" {
			r.line(line)
		}
	}
	p.Variables = r.values
	if p.Multivariant {
		p.Entries, p.Segments = nil, nil
		return p, nil
	}
	r.finish()
	r.ads.finish(p.Entries)
	r.compare(body)
	return p, nil
}

// compare takes out the segments that the library reads in another way.
func (r *lineReader) compare(body []byte) {
	theirs, err := librarySegments(body)
	if err != nil || len(r.segments) != len(theirs) {
		return // it has no say
	}
	disputed := map[int64]bool{}
	for i, s := range r.segments {
		if s.listed && (theirs[i].line != s.line || (theirs[i].length > 0 && theirs[i].length != s.length)) {
			disputed[s.sequence] = true
			r.p.omit(OmitDisputed, s.line)
		}
	}
	if len(disputed) > 0 {
		r.p.Entries = slices.DeleteFunc(r.p.Entries, func(e Entry) bool { return e.Kind == KindSegment && disputed[e.Sequence] })
	}
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
	// Where the last range of a URL ended; those of parts are counted apart.
	segmentEnds, partEnds map[string]int64
	segments              []compared
}

// compared is a segment as the library should see it.
type compared struct {
	librarySegment
	sequence int64
	listed   bool
}

// line takes a line that is not empty.
func (r *lineReader) line(line string) {
	if line[0] != '#' {
		r.uri(line)
		return
	}
	tag, value, _ := strings.Cut(line, ":")
	value = strings.TrimLeft(value, " \t")
	switch tag {
	case "#EXT-X-DEFINE":
		r.define(attributes(value))
	case "#EXTINF":
		length, _, _ := strings.Cut(value, ",")
		r.inf, r.segment.Duration = true, parseSeconds(length)
	case "#EXT-X-TARGETDURATION":
		r.p.Target = parseSeconds(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		// Section 4.3.3.2: before the first segment.
		if n, _ := strconv.ParseInt(value, 10, 64); len(r.p.Segments) == 0 {
			r.p.Sequence = min(max(0, n), 1<<53)
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
		a, undefined := r.attributes(value)
		if !r.attributed(tag, a) && !r.lowLatency(tag, a) {
			r.ads.tag(tag, value)
		} else if undefined != "" && tag != "#EXT-X-DATERANGE" {
			r.p.omit(OmitVariable, undefined)
		}
	}
}

// attributed takes tags with an attribute list. known is false for other tags.
func (r *lineReader) attributed(tag string, a map[string]string) (known bool) {
	switch tag {
	case "#EXT-X-KEY":
		r.key(a)
	case "#EXT-X-MAP":
		if init, omit := r.resource(a["URI"], a["BYTERANGE"], nil); omit == "" {
			r.init = &init
			r.list(Entry{Resource: init})
		} else if a["URI"] != "" {
			r.p.omit(omit, a["URI"])
		}
	case "#EXT-X-STREAM-INF":
		bandwidth, _ := strconv.ParseInt(a["BANDWIDTH"], 10, 64)
		r.p.Multivariant, r.variant = true, &Variant{Bandwidth: bandwidth, Audio: a["AUDIO"], Attributes: a}
	case "#EXT-X-MEDIA":
		r.p.Multivariant = true
		m := Rendition{Type: a["TYPE"], Group: a["GROUP-ID"], Name: a["NAME"], Default: a["DEFAULT"] == "YES", URL: r.playlist(a["URI"]), Attributes: a}
		r.p.Renditions = append(r.p.Renditions, m)
	case "#EXT-X-I-FRAME-STREAM-INF":
		r.p.Multivariant = true
		r.playlist(a["URI"])
	case "#EXT-X-DATERANGE":
		r.ads.dateRange(a)
		for _, name := range [...]string{"X-ASSET-URI", "X-ASSET-LIST"} {
			if u := resolve(r.from.URL, a[name]); u != nil && a[name] != "" {
				r.p.Interstitials = append(r.p.Interstitials, u)
			}
		}
	case "#EXT-X-SESSION-KEY", "#EXT-X-SESSION-DATA", "#EXT-X-CONTENT-STEERING":
		r.forbid(a["URI"])
		r.forbid(a["SERVER-URI"])
	default:
		return false
	}
	return true
}

// uri takes a line that is no tag.
func (r *lineReader) uri(raw string) {
	uri, defined := r.expand(raw)
	switch {
	case r.variant != nil && !defined:
		r.p.omit(OmitVariable, raw)
	case r.variant != nil:
		if r.variant.URL = r.playlist(uri); r.variant.URL != nil {
			r.p.Variants = append(r.p.Variants, *r.variant)
		}
	case r.inf:
		s := &r.segment
		s.Sequence, s.Init, s.At = r.p.Sequence+int64(len(r.p.Segments)), r.init, r.at
		omit := OmitVariable
		if defined {
			s.Resource, omit = r.resource(uri, r.byteRange, r.segmentEnds)
		}
		listed := omit == "" && !s.Gap
		if listed {
			r.list(Entry{Resource: s.Resource, Kind: KindSegment, Sequence: s.Sequence})
		} else if omit != "" {
			s.Gap = true
			r.p.omit(omit, raw)
		}
		r.ads.pass(s.Duration)
		r.segments = append(r.segments, compared{librarySegment{raw, s.Length}, s.Sequence, listed})
		r.p.Segments = append(r.p.Segments, *s)
		if !r.at.IsZero() {
			r.at = r.at.Add(s.Duration)
		}
		r.segment = Segment{}
	}
	r.inf, r.variant, r.byteRange = false, nil, ""
}

// resource is what a URI and a byte range mean, "" for no range. A range without offset
// begins where the range before it ended in the same resource: ends has that for
// segments, or for parts (draft-pantos-hls-rfc8216bis, sections 4.4.4.2 and 4.4.4.9),
// and is nil for init sections, where it begins at 0. omit is why it cannot be listed.
func (r *lineReader) resource(uri, byteRange string, ends map[string]int64) (res Resource, omit string) {
	u := resolve(r.from.URL, uri)
	if u == nil || uri == "" {
		return Resource{}, OmitURL
	}
	res.URL = u
	if byteRange == "" {
		return res, ""
	}
	var bad bool
	if res.Length, res.Offset, bad = parseByteRange(byteRange); bad {
		return Resource{URL: u}, OmitRange
	}
	if res.Offset < 0 {
		end, known := ends[u.String()]
		if !known && ends != nil && r.p.Skipped > 0 {
			return Resource{URL: u}, OmitRange // it may have been left out
		}
		res.Offset = end
	}
	res.end(ends)
	return res, ""
}

// end notes where a range ends.
func (res *Resource) end(ends map[string]int64) {
	if res.Length > 0 && ends != nil {
		ends[res.URL.String()] = res.Offset + res.Length
	}
}

// list lists a resource.
func (r *lineReader) list(e Entry) {
	e.Encrypted = len(r.keys) > 0
	r.ads.mark(&e)
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
