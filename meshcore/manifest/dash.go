package manifest

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

// ErrMPD is wrapped by the errors of ReadMPD: nothing in the MPD can be shared.
var ErrMPD = errors.New("MPD cannot be read")

// Bounds of an MPD. What is beyond is not shared.
const (
	maxMPDDepth    = 32
	maxMPDElements = 1 << 17
)

// MPD is a DASH manifest (ISO/IEC 23009-1).
type MPD struct {
	// Listing is what is listed one by one.
	Listing
	// Templates are what is listed by number or time; only those on its own host.
	Templates []Template
}

// ReadMPD reads an MPD that came from a URL. Only what is understood is
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
// The error wraps ErrMPD.
func ReadMPD(body []byte, base *url.URL) (*MPD, error) {
	r := mpdReader{host: base.Host, levels: []mpdLevel{{base: base}}}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Entity = nil
	for elements := 0; ; elements++ {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMPD, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if len(r.levels) > maxMPDDepth || elements > maxMPDElements {
				return nil, fmt.Errorf("%w: it is larger than an MPD can be", ErrMPD)
			}
			if len(r.levels) == 1 && (t.Name.Local != "MPD" || r.root) {
				return nil, fmt.Errorf("%w: its root is no MPD", ErrMPD)
			}
			if !r.root {
				r.root = true
				r.out.Ended = true
				for _, a := range t.Attr {
					if a.Name.Local == "type" && a.Value == "dynamic" {
						r.out.Ended = false
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
			return nil, fmt.Errorf("%w: it has a DTD", ErrMPD)
		}
	}
	if !r.root {
		return nil, fmt.Errorf("%w: it is empty", ErrMPD)
	}
	return &r.out, nil
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
	out    MPD
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
		if u := resolve(up.base, text); u != nil && !up.hasBase {
			up.base, up.hasBase = u, true
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

// namesURL reports whether an element or attribute of ContentProtection has a URL:
// Laurl, Certurl, licenseUrl and the like.
func namesURL(name string) bool { return strings.Contains(strings.ToLower(name), "url") }

// representation lists what a template or a bare BaseURL says.
func (r *mpdReader) representation(l *mpdLevel) {
	switch {
	case l.template != nil:
		if init := expandTemplate(l.template["initialization"], l.rep); init != "" && !strings.Contains(init, "\x00") {
			r.add(l, init, 0, 0)
		}
		r.template(l, expandTemplate(l.template["media"], l.rep))
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
	u := resolve(l.base, uri)
	if u == nil || strings.HasSuffix(u.Path, "/") {
		return
	}
	r.out.Entries = append(r.out.Entries, Entry{Resource: Resource{u, offset, length}, Encrypted: l.encrypted != nil && *l.encrypted})
}

// template lists a media template in which a zero byte and a width stand for the
// digits.
func (r *mpdReader) template(l *mpdLevel, media string) {
	before, after, ok := strings.Cut(media, "\x00")
	if !ok || len(after) < 2 || strings.Contains(after, "\x00") || len(r.out.Templates) >= MaxTemplates {
		return // no variable, or several
	}
	width := int(after[0] - 'A')
	const mark = "0viewmesh0"
	path, query, ok := Local(resolve(l.base, before+mark+after[1:]), r.host)
	prefix, suffix, whole := strings.Cut(path, mark)
	if !ok || !whole || strings.Count(suffix, "/") > MaxTemplateDepth {
		return
	}
	r.out.Templates = append(r.out.Templates, Template{
		Prefix: prefix, Suffix: suffix, Query: query, Width: max(width, 1), Encrypted: l.encrypted != nil && *l.encrypted,
	})
}

// forbid keeps a URI of a licence, a certificate or another document from ever
// being shared; what is none does no harm.
func (r *mpdReader) forbid(base *url.URL, uri string) {
	if uri == "" || len(uri) > 4096 || base == nil {
		return
	}
	if u := resolve(base, strings.TrimSpace(uri)); u != nil {
		r.out.Forbidden = append(r.out.Forbidden, u)
	}
}
