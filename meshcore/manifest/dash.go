package manifest

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ErrMPD is wrapped by the errors of ReadMPD: nothing in the MPD can be shared.
var ErrMPD = errors.New("MPD cannot be read")

// maxBases is how many BaseURLs in force are followed.
const maxBases = 16

// MPD is a DASH manifest (ISO/IEC 23009-1), or a Smooth Streaming client manifest.
type MPD struct {
	// Listing is what is listed one by one.
	Listing
	// Templates are what is listed by number or time: only those on its own host,
	// each once, and the last MaxTemplates of them.
	Templates []Template
}

// ReadMPD reads an MPD that came from a URL, a part of one that another brings in by
// xlink, or a patch of one. Only what is understood is listed, in any number of
// Periods, by each of the BaseURLs in force:
//
//   - SegmentTemplate with numbers or times in the path, its initialization and
//     index.
//   - SegmentList, whole files and byte ranges, and Initialization, at any level.
//   - A Representation that is one file, such as subtitles. Of one with a SegmentBase
//     only the init section and the index are: the ranges of its segments are what
//     the index names and the MPD does not.
//
// What is not understood is counted in Omissions. The error wraps ErrMPD.
func ReadMPD(body []byte, base *url.URL) (*MPD, error) {
	// A timeline may have very many S, and the paths do not depend on them.
	root, err := readXML(body, map[string]bool{"S": true, "Event": true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMPD, err)
	}
	r := mpdReader{out: &MPD{}, host: base.Host}
	top := level{bases: []*url.URL{base}}
	switch root.name {
	case "MPD":
		r.out.Ended = root.attrs["type"] != "dynamic"
		r.walk(root, top)
	case "Period", "AdaptationSet", "Representation":
		r.walk(root, top)
	case "Patch":
		for _, change := range root.children { // add, replace
			for _, e := range change.children {
				r.walk(e, top)
			}
		}
	case "SmoothStreamingMedia":
		r.smooth(root, base)
	default:
		return nil, fmt.Errorf("%w: its root is %s", ErrMPD, root.name)
	}
	return r.out, nil
}

// level is what an element inherits from those it is in.
type level struct {
	bases     []*url.URL
	encrypted bool
	// The elements of each kind, the innermost first.
	templates, lists, singles []*element
}

type mpdReader struct {
	out  *MPD
	host string
}

// walk reads an element that holds Representations, or is one.
func (r *mpdReader) walk(e *element, l level) {
	r.forbidden(e, l.bases[0], false)
	if l.bases = r.basesOf(e, l.bases); len(l.bases) == 0 {
		return
	}
	l.encrypted = l.encrypted || len(e.all("ContentProtection")) > 0
	l.templates = slices.Concat(e.all("SegmentTemplate"), l.templates)
	l.lists = slices.Concat(e.all("SegmentList"), l.lists)
	l.singles = slices.Concat(e.all("SegmentBase"), l.singles)
	if e.name == "Representation" {
		for _, base := range l.bases {
			r.representation(e, &l, base)
		}
		return
	}
	for _, c := range e.children {
		switch c.name {
		case "Period", "AdaptationSet", "Representation":
			r.walk(c, l)
		}
	}
}

// basesOf is the BaseURLs in force in an element: each of its own resolved by each of
// those outside (section 5.6.4). It is empty where none of its own can be read.
func (r *mpdReader) basesOf(e *element, outer []*url.URL) []*url.URL {
	own := e.all("BaseURL")
	if len(own) == 0 {
		return outer
	}
	var bases []*url.URL
	for _, b := range own {
		for _, o := range outer {
			u := resolve(o, b.text)
			if u == nil {
				r.out.omit(OmitURL, b.text)
				continue
			}
			if slices.ContainsFunc(bases, func(x *url.URL) bool { return x.String() == u.String() }) {
				continue
			}
			if len(bases) == maxBases {
				r.out.omit(OmitCap, b.text)
				return bases
			}
			bases = append(bases, u)
		}
	}
	return bases
}

// forbidden keeps the URLs of licences, certificates, other documents and the like
// from ever being shared; what is no URL does no harm. It looks into what walk does
// not.
func (r *mpdReader) forbidden(e *element, base *url.URL, protected bool) {
	forbid := func(uri string) {
		if uri == "" || len(uri) > 4096 {
			return
		}
		if u := resolve(base, uri); u != nil {
			r.out.Forbidden = append(r.out.Forbidden, u)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.attrs)) {
		if name == "href" || (protected && namesURL(name)) || (e.name == "UTCTiming" && name == "value") {
			forbid(e.attrs[name])
		}
	}
	switch e.name {
	case "Location", "PatchLocation", "ContentSteering":
		forbid(e.text)
	default:
		if protected && namesURL(e.name) {
			forbid(e.text)
		}
	}
	for _, c := range e.children {
		switch c.name {
		case "Period", "AdaptationSet", "Representation", "BaseURL", "SegmentURL":
		default:
			r.forbidden(c, base, protected || c.name == "ContentProtection")
		}
	}
}

// namesURL reports whether an element or attribute of ContentProtection has a URL:
// Laurl, Certurl, licenseUrl and the like.
func namesURL(name string) bool { return strings.Contains(strings.ToLower(name), "url") }

// representation lists a Representation as it is by one BaseURL.
func (r *mpdReader) representation(e *element, l *level, base *url.URL) {
	switch {
	case len(l.templates) > 0:
		for _, name := range [...]string{"initialization", "media", "index", "bitstreamSwitching"} {
			if s := attr(l.templates, name); s != "" {
				r.named(e, l, base, s)
			}
		}
		r.sections(l.templates, l, base)
	case len(l.lists) > 0:
		r.sections(l.lists, l, base)
		for _, list := range l.lists {
			urls := list.all("SegmentURL")
			for _, u := range urls {
				r.file(l, base, u.attrs["media"], u.attrs["mediaRange"])
				if u.attrs["index"] != "" {
					r.file(l, base, u.attrs["index"], u.attrs["indexRange"])
				}
			}
			if len(urls) > 0 {
				break // the inner ones are instead of the outer
			}
		}
	case len(l.singles) > 0:
		r.sections(l.singles, l, base)
		if index := attr(l.singles, "indexRange"); index != "" {
			r.file(l, base, "", index)
		}
		r.out.omit(OmitIndex, base.String())
	default:
		r.file(l, base, "", "")
	}
}

// attr is an attribute of the innermost of elements that has it.
func attr(elements []*element, name string) string {
	for _, e := range elements {
		if s, ok := e.attrs[name]; ok {
			return s
		}
	}
	return ""
}

// sections lists the init sections and indexes that the innermost of elements has.
func (r *mpdReader) sections(elements []*element, l *level, base *url.URL) {
	for _, name := range [...]string{"Initialization", "RepresentationIndex", "BitstreamSwitching"} {
		for _, e := range elements {
			if own := e.all(name); len(own) > 0 {
				if s := own[0]; s.attrs["sourceURL"] != "" || s.attrs["range"] != "" {
					r.file(l, base, s.attrs["sourceURL"], s.attrs["range"])
				}
				break
			}
		}
	}
}

// named lists what an attribute of a SegmentTemplate names.
func (r *mpdReader) named(rep *element, l *level, base *url.URL, name string) {
	expanded, widths, ok := expandTemplate(name, rep.attrs)
	if ok && len(widths) == 0 {
		r.file(l, base, expanded, "")
		return
	}
	u := resolve(base, expanded)
	if _, _, local := Local(u, r.host); ok && u != nil && !local {
		return // another host's
	}
	var t Template
	if ok {
		t, ok = newTemplate(u, r.host, widths)
	}
	if !ok {
		r.out.omit(OmitTemplate, name)
		return
	}
	t.Encrypted = l.encrypted
	r.addTemplate(t)
}

// addTemplate lists a template, once: what two list is encrypted only if both say so.
func (r *mpdReader) addTemplate(t Template) {
	same := func(o Template) bool { return t.same(&o) }
	if i := slices.IndexFunc(r.out.Templates, same); i >= 0 {
		t.Encrypted = t.Encrypted && r.out.Templates[i].Encrypted
		r.out.Templates = slices.Delete(r.out.Templates, i, i+1)
	}
	if len(r.out.Templates) == MaxTemplates {
		r.out.omit(OmitCap, r.out.Templates[0].String())
		r.out.Templates = slices.Delete(r.out.Templates, 0, 1)
	}
	r.out.Templates = append(r.out.Templates, t)
}

// file lists a file, or a byte range of one as an MPD writes it: first-last.
func (r *mpdReader) file(l *level, base *url.URL, uri, byteRange string) {
	res := Resource{URL: resolve(base, uri)}
	if res.URL == nil {
		r.out.omit(OmitURL, uri)
		return
	}
	if strings.HasSuffix(res.URL.Path, "/") {
		return
	}
	if byteRange != "" {
		first, last, ok := strings.Cut(byteRange, "-")
		a, err1 := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
		b, err2 := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
		if !ok || err1 != nil || err2 != nil || a < 0 || b < a || b > 1<<60 {
			r.out.omit(OmitRange, byteRange)
			return
		}
		res.Offset, res.Length = a, b-a+1
	}
	r.out.Entries = append(r.out.Entries, Entry{Resource: res, Encrypted: l.encrypted})
}
