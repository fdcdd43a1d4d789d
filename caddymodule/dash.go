package caddymodule

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

var errMPD = errors.New("MPD cannot be read")

// Bounds of an MPD. What is beyond is not shared.
const (
	maxMPDDepth    = 32
	maxMPDElements = 1 << 17
	maxTemplates   = 512 // of one MPD
)

// maxTemplateDepth is how many directories may follow the number of a template.
const maxTemplateDepth = 4

// template is a SegmentTemplate with a number or time in its path: prefix,
// digits, suffix.
type template struct {
	prefix, suffix string // escaped path before and after the digits
	query          string
	width          int // digits at least
	encrypted      bool
}

// mpd is what a DASH manifest (ISO/IEC 23009-1) lists.
type mpd struct {
	playlist  // what is listed one by one
	templates []template
}

// parseMPD reads an MPD that came from base at host. Only what is understood is
// listed, in any number of Periods:
//
//   - SegmentTemplate with one $Number$ or $Time$, in the name of the file or of a
//     directory, and its initialization. Not with $SubNumber$ or with several
//     numbers, which would match more than the MPD means.
//   - SegmentList, whole files and byte ranges.
//   - Initialization with a byte range.
//   - A Representation that is one file, such as subtitles. Not one with a
//     SegmentBase: its players take byte ranges which the file's index names and the
//     MPD does not, so that there is nothing to vouch for but all of a film.
//
// Of several BaseURLs of an element the first counts, as viewers take it; what they
// take by another one is not listed. Documents that xlink brings in are not read.
// The error wraps errMPD.
func parseMPD(body []byte, base *url.URL, host string) (mpd, error) {
	r := mpdReader{host: host, levels: []mpdLevel{{base: base}}}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Entity = nil
	for elements := 0; ; elements++ {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return mpd{}, fmt.Errorf("%w: %w", errMPD, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if len(r.levels) > maxMPDDepth || elements > maxMPDElements {
				return mpd{}, fmt.Errorf("%w: it is larger than an MPD can be", errMPD)
			}
			if len(r.levels) == 1 && (t.Name.Local != "MPD" || r.root) {
				return mpd{}, fmt.Errorf("%w: its root is no MPD", errMPD)
			}
			if !r.root {
				r.root = true
				r.out.ended = true
				for _, a := range t.Attr {
					if a.Name.Local == "type" && a.Value == "dynamic" {
						r.out.ended = false
					}
				}
			}
			r.open(t)
		case xml.EndElement:
			r.close(t.Name.Local)
		case xml.CharData:
			if at := &r.levels[len(r.levels)-1]; len(at.text)+len(t) < 16<<10 {
				at.text = append(at.text, t...)
			}
		case xml.Directive: // a DTD has no place here
			return mpd{}, fmt.Errorf("%w: it has a DTD", errMPD)
		}
	}
	if !r.root {
		return mpd{}, fmt.Errorf("%w: it is empty", errMPD)
	}
	return r.out, nil
}

// mpdLevel is an open element with what it inherits.
type mpdLevel struct {
	base      *url.URL
	hasBase   bool
	encrypted *bool // of the AdaptationSet or Representation it is in
	template  map[string]string
	rep       map[string]string // attributes of the Representation
	list      bool              // in a SegmentList
	single    bool              // there is a SegmentBase: the file is indexed by itself
	listed    *int              // number of segments that the Representation has listed
	protected bool              // in a ContentProtection
	text      []byte
}

type mpdReader struct {
	host   string
	root   bool
	levels []mpdLevel
	out    mpd
}

func (r *mpdReader) open(t xml.StartElement) {
	up := &r.levels[len(r.levels)-1]
	l := mpdLevel{base: up.base, encrypted: up.encrypted, template: up.template, rep: up.rep, list: up.list, single: up.single, listed: up.listed,
		protected: up.protected}
	attrs := map[string]string{}
	for _, a := range t.Attr {
		attrs[a.Name.Local] = a.Value
		if a.Name.Local == "href" { // xlink: another document
			r.forbid(l.base, a.Value)
		}
	}
	switch t.Name.Local {
	case "AdaptationSet", "Period", "MPD":
		l.encrypted = new(bool)
	case "Representation":
		of := *up.encrypted
		l.encrypted, l.rep, l.listed = &of, attrs, new(int)
	case "ContentProtection":
		l.protected = true
		if up.encrypted != nil {
			*up.encrypted = true
		}
	case "SegmentTemplate":
		merged := map[string]string{}
		for k, v := range up.template {
			merged[k] = v
		}
		for k, v := range attrs {
			merged[k] = v
		}
		up.template = merged
	case "SegmentList":
		l.list = true
	case "SegmentURL":
		r.list(&l, attrs["media"], attrs["mediaRange"])
	case "Initialization", "RepresentationIndex", "BitstreamSwitching":
		r.list(&l, attrs["sourceURL"], attrs["range"])
	case "SegmentBase":
		up.single = true
	case "UTCTiming":
		r.forbid(l.base, attrs["value"])
	}
	if l.protected {
		for name, value := range attrs {
			if namesURL(name) {
				r.forbid(l.base, value)
			}
		}
	}
	r.levels = append(r.levels, l)
}

func (r *mpdReader) close(name string) {
	l := r.levels[len(r.levels)-1]
	r.levels = r.levels[:len(r.levels)-1]
	up := &r.levels[len(r.levels)-1]
	text := strings.TrimSpace(string(l.text))
	switch name {
	case "BaseURL":
		if u, err := url.Parse(text); err == nil && !up.hasBase && u.Opaque == "" {
			up.base, up.hasBase = up.base.ResolveReference(u), true
		}
	case "Location", "PatchLocation":
		r.forbid(l.base, text)
	case "Representation":
		r.representation(&l)
	}
	if l.protected && namesURL(name) {
		r.forbid(l.base, text)
	}
}

// namesURL says whether an element or attribute of ContentProtection has a URL:
// Laurl, Certurl, licenseUrl and the like.
func namesURL(name string) bool { return strings.Contains(strings.ToLower(name), "url") }

// representation lists what a template or a bare BaseURL says.
func (r *mpdReader) representation(l *mpdLevel) {
	switch {
	case l.template != nil:
		if init := expand(l.template["initialization"], l.rep); init != "" && !strings.Contains(init, "\x00") {
			r.add(l, init, 0, 0)
		}
		r.template(l, expand(l.template["media"], l.rep))
	case *l.listed == 0 && !l.list && !l.single && l.base != nil:
		r.add(l, "", 0, 0)
	}
}

// list lists one segment of a SegmentList or an init section.
func (r *mpdReader) list(l *mpdLevel, uri, byteRange string) {
	if l.encrypted == nil || l.rep == nil {
		return // of a whole AdaptationSet: seldom, and not followed
	}
	*l.listed++
	offset, length := int64(0), int64(0)
	if byteRange != "" {
		first, last, ok := strings.Cut(byteRange, "-")
		a, err1 := strconv.ParseInt(first, 10, 64)
		b, err2 := strconv.ParseInt(last, 10, 64)
		if !ok || err1 != nil || err2 != nil || a < 0 || b < a || b > 1<<60 {
			return
		}
		offset, length = a, b-a+1
	}
	r.add(l, uri, offset, length)
}

// add lists a URI, resolved by the BaseURLs in force.
func (r *mpdReader) add(l *mpdLevel, uri string, offset, length int64) {
	u, err := url.Parse(uri)
	if err != nil {
		return
	}
	if u = l.base.ResolveReference(u); u.Opaque != "" || strings.HasSuffix(u.Path, "/") {
		return
	}
	r.out.resources = append(r.out.resources, resource{
		uri: u.String(), offset: offset, length: length, encrypted: l.encrypted != nil && *l.encrypted,
	})
}

// template lists a media template in which a zero byte and a width stand for the
// digits.
func (r *mpdReader) template(l *mpdLevel, media string) {
	before, after, ok := strings.Cut(media, "\x00")
	if !ok || len(after) < 2 || strings.Contains(after, "\x00") || len(r.out.templates) >= maxTemplates {
		return // no variable, or several
	}
	width := int(after[0] - 'A')
	const mark = "0viewmesh0"
	u, err := url.Parse(before + mark + after[1:])
	if err != nil {
		return
	}
	path, query, ok := resolve(l.base, r.host, u.String())
	prefix, suffix, whole := strings.Cut(path, mark)
	if !ok || !whole || strings.Count(suffix, "/") > maxTemplateDepth {
		return
	}
	r.out.templates = append(r.out.templates, template{
		prefix: prefix, suffix: suffix, query: query, width: max(width, 1), encrypted: l.encrypted != nil && *l.encrypted,
	})
}

// expand fills the identifiers of a template (ISO/IEC 23009-1, section
// 5.3.9.4.4): those of the Representation by their values, number and time by a
// zero byte and a letter for the width. What it does not know gives "".
func expand(s string, rep map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "$")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "$")
		if !ok {
			return ""
		}
		s = after
		id, format, _ := strings.Cut(name, "%")
		width := 1
		if format != "" {
			n, err := strconv.Atoi(strings.TrimSuffix(format, "d"))
			if err != nil || !strings.HasSuffix(format, "d") || n < 0 || n > 20 {
				return ""
			}
			width = n
		}
		switch id {
		case "":
			b.WriteByte('$')
		case "RepresentationID":
			b.WriteString(rep["id"])
		case "Bandwidth":
			n, err := strconv.ParseUint(rep["bandwidth"], 10, 63)
			if err != nil {
				return ""
			}
			fmt.Fprintf(&b, "%0*d", width, n)
		case "Number", "Time":
			b.WriteByte(0)
			b.WriteByte('A' + byte(width))
		default:
			return ""
		}
	}
}

// forbid keeps a URI of a licence, a certificate or another document from ever
// being shared; what is none does no harm.
func (r *mpdReader) forbid(base *url.URL, uri string) {
	if uri == "" || len(uri) > 4096 || base == nil {
		return
	}
	if u, err := url.Parse(strings.TrimSpace(uri)); err == nil && u.Opaque == "" {
		r.out.forbidden = append(r.out.forbidden, base.ResolveReference(u).String())
	}
}
