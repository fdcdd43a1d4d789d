package caddymodule

import (
	"bytes"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// playlist is what the line reader finds in an HLS playlist (RFC 8216 and its
// second edition, draft-pantos-hls-rfc8216bis).
type playlist struct {
	multivariant bool
	ended        bool              // EXT-X-ENDLIST: nothing will be added
	sequence     int64             // EXT-X-MEDIA-SEQUENCE
	renditions   []string          // URIs of playlists that this one names
	resources    []resource        // what may be shared, in order
	forbidden    []string          // URIs of keys and session data: never shared
	hints        []resource        // EXT-X-PRELOAD-HINT: what may come next, not listed yet
	delta        bool              // EXT-X-SKIP: what is old is left out
	variables    map[string]string // EXT-X-DEFINE
	undefined    bool              // a variable is used that has no value
}

// resource is a segment, a part or an init section as a playlist lists it.
type resource struct {
	uri       string
	offset    int64  // of the byte range
	length    int64  // of the byte range, 0 for the whole resource
	encrypted bool   // EXT-X-KEY other than NONE is in force
	segment   bool   // a media segment with EXTINF, which the library must confirm
	raw       string // its line, before variables have their values

	ad            bool      // part of an advertisement
	at            time.Time // its date, zero if not known
	discontinuity int       // how many EXT-X-DISCONTINUITY came before it
}

// readPlaylist reads the lines of a playlist; imports are the variables of the
// multivariant one. ok is false if it is none. It never fails on a line it does not understand: what is not listed is not
// shared.
func readPlaylist(body []byte, imports map[string]string) (p playlist, ok bool) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !bytes.HasPrefix(body, []byte("#EXTM3U")) {
		return p, false
	}
	r := lineReader{p: &p, imports: imports, next: map[string]int64{}}
	for line := range bytes.Lines(body) {
		r.line(strings.TrimSpace(string(line)))
	}
	r.ads.finish(p.resources)
	return p, true
}

type lineReader struct {
	p         *playlist
	imports   map[string]string
	keys      map[string]bool // KEYFORMATs with a METHOD other than NONE
	inf       bool            // EXTINF came, the next URI is a segment
	streamInf bool            // EXT-X-STREAM-INF came, the next URI is a rendition
	rangeLen  int64           // of EXT-X-BYTERANGE, 0 if none
	rangeOff  int64           // -1: after the range before it
	badRange  bool
	length    time.Duration // of EXTINF
	ads       adReader
	next      map[string]int64 // end of the last range, by URI
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
		r.p.sequence, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	case "#EXT-X-BYTERANGE":
		r.rangeLen, r.rangeOff, r.badRange = parseByteRange(value)
	case "#EXT-X-KEY":
		r.key(value)
	case "#EXT-X-MAP":
		r.mapped(attributes(value))
	case "#EXT-X-PART":
		a := attributes(value)
		if a["GAP"] != "YES" {
			r.ranged(a["URI"], a["BYTERANGE"])
		}
	case "#EXT-X-PRELOAD-HINT":
		r.hint(attributes(value))
	case "#EXT-X-SKIP":
		n, _ := strconv.ParseInt(attributes(value)["SKIPPED-SEGMENTS"], 10, 64)
		r.p.sequence += max(0, n)
		r.p.delta = true
	case "#EXT-X-ENDLIST":
		r.p.ended = true
	case "#EXT-X-STREAM-INF":
		r.p.multivariant, r.streamInf = true, true
	case "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF":
		r.p.multivariant = true
		if uri := attributes(value)["URI"]; uri != "" {
			r.p.renditions = append(r.p.renditions, uri)
		}
	case "#EXT-X-RENDITION-REPORT":
		if uri := attributes(value)["URI"]; uri != "" {
			r.p.forbidden = append(r.p.forbidden, uri)
		}
	case "#EXT-X-SESSION-KEY", "#EXT-X-SESSION-DATA", "#EXT-X-CONTENT-STEERING":
		a := attributes(value)
		for _, name := range [...]string{"URI", "SERVER-URI"} {
			if a[name] != "" {
				r.p.forbidden = append(r.p.forbidden, a[name])
			}
		}
	default:
		r.ads.tag(tag, value)
	}
}

func (r *lineReader) uri(raw string) {
	uri := r.expand(raw)
	switch {
	case r.streamInf:
		r.p.renditions = append(r.p.renditions, uri)
	case r.inf && !r.badRange:
		res := resource{uri: uri, raw: raw, encrypted: len(r.keys) > 0, segment: true}
		if r.rangeLen > 0 {
			res.length, res.offset = r.rangeLen, r.rangeOff
			if res.offset < 0 {
				res.offset = r.next[uri]
			}
			r.next[uri] = res.offset + res.length
		}
		r.ads.mark(&res)
		r.p.resources = append(r.p.resources, res)
		r.ads.pass(r.length)
	case r.inf:
		// Keeps the order of the segments; an impossible range is never shared.
		r.p.resources = append(r.p.resources, resource{uri: uri, raw: raw, length: -1, segment: true})
	}
	r.inf, r.streamInf, r.rangeLen, r.badRange = false, false, 0, false
}

// key takes EXT-X-KEY: several may be in force at once, one for each KEYFORMAT.
func (r *lineReader) key(value string) {
	a := attributes(value)
	if a["URI"] != "" {
		r.p.forbidden = append(r.p.forbidden, a["URI"])
	}
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

func (r *lineReader) mapped(a map[string]string) { r.ranged(a["URI"], a["BYTERANGE"]) }

func (r *lineReader) ranged(uri, byteRange string) {
	if uri == "" {
		return
	}
	res := resource{uri: uri, encrypted: len(r.keys) > 0}
	if byteRange != "" {
		var bad bool
		if res.length, res.offset, bad = parseByteRange(byteRange); bad {
			return
		}
		if res.offset < 0 {
			res.offset = r.next[uri]
		}
		r.next[uri] = res.offset + res.length
	}
	r.ads.mark(&res)
	r.p.resources = append(r.p.resources, res)
}

// parseByteRange reads "length" or "length@offset"; offset is -1 if absent.
func parseByteRange(s string) (length, offset int64, bad bool) {
	l, o, at := strings.Cut(strings.TrimSpace(s), "@")
	length, err := strconv.ParseInt(l, 10, 64)
	offset = -1
	if err == nil && at {
		offset, err = strconv.ParseInt(o, 10, 64)
		if offset < 0 {
			return 0, 0, true
		}
	}
	if err != nil || length <= 0 || length > math.MaxInt64/4 || offset > math.MaxInt64/4 {
		return 0, 0, true
	}
	return length, offset, false
}

// attributes reads an attribute list (RFC 8216, section 4.2); the first of two
// attributes of one name counts.
func attributes(s string) map[string]string {
	a := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, ok = strings.Cut(rest[1:], `"`)
			if !ok {
				break
			}
			_, s, _ = strings.Cut(rest, ",")
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		name = strings.TrimSpace(name)
		if _, twice := a[name]; !twice {
			a[name] = strings.TrimSpace(value)
		}
	}
	return a
}

// resolve gives the escaped path and the query of a URI that a playlist at base
// lists. ok is false if it lies on another host or is no http URL.
func resolve(base *url.URL, host, ref string) (path, query string, ok bool) {
	u, err := url.Parse(ref)
	if err != nil || u.Opaque != "" {
		return "", "", false
	}
	u = base.ResolveReference(u)
	switch u.Scheme {
	case "", "http", "https":
	default:
		return "", "", false
	}
	if u.Host != "" && !strings.EqualFold(u.Host, host) {
		return "", "", false
	}
	return u.EscapedPath(), u.RawQuery, true
}
