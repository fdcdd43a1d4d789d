package response

import (
	"net/http"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

// target is the listed segment that a response carries bytes of.
type target struct {
	digest.Key
	size      int64 // of the segment; 0 if the response does not tell
	resource  int64 // size of the resource
	whole     bool  // the body is just the segment
	validator string
}

// which returns the range of the target as the catalog has it.
func (t *target) which() catalog.Range { return catalog.Range{Offset: t.Offset, Length: t.Length} }

// keyOf returns the key of a range of a listed resource.
func keyOf(l *catalog.Listed, which catalog.Range) digest.Key {
	return digest.Key{Host: l.Presentation.Host, Name: l.Name, Offset: which.Offset, Length: which.Length}
}

// identify finds which listed resource or range a response with this header
// carries; ok is false if none.
func identify(l *catalog.Listed, status int, h http.Header) (t target, ok bool) {
	offset, length, size, ok := bodyRange(status, h)
	if !ok {
		return t, false
	}
	t = target{validator: validator(h), resource: size}
	exact := catalog.Range{Offset: offset, Length: length}
	_, wholeListed := l.Ranges[catalog.Range{}]
	_, rangeListed := l.Ranges[exact]
	switch {
	case rangeListed && status == http.StatusPartialContent && (length != size || !wholeListed): // a part, where both are listed
		t.Key, t.size, t.whole = keyOf(l, exact), length, true
	case wholeListed && size >= 0:
		t.Key, t.size, t.whole = keyOf(l, catalog.Range{}), size, length == size
	default:
		return t, false
	}
	return t, t.size <= integrity.MaxSegment
}

// identifyUnchanged finds which listed resource or range a 304 is about. Its size
// stays 0: only the validator tells which bytes these are.
func identifyUnchanged(l *catalog.Listed, r *http.Request, h http.Header) (t target, ok bool) {
	t.validator = validator(h)
	which := catalog.Range{}
	if offset, length, ok := askedRange(r.Header.Get("Range")); ok {
		if _, listed := l.Ranges[catalog.Range{Offset: offset, Length: length}]; listed {
			which = catalog.Range{Offset: offset, Length: length}
		}
	}
	t.Key = keyOf(l, which)
	_, ok = l.Ranges[which]
	return t, ok && t.validator != ""
}

// identifyHinted finds which range a response carries that a playlist has hinted
// at and none has listed yet (EXT-X-PRELOAD-HINT, draft-pantos-hls-rfc8216bis,
// section 4.4.5.3).
func identifyHinted(l *catalog.Listed, status int, h http.Header) (t target, ok bool) {
	offset, length, size, ok := bodyRange(status, h)
	if !ok || length > integrity.MaxSegment {
		return t, false
	}
	which := catalog.Range{Offset: offset, Length: length}
	if status == http.StatusOK {
		which = catalog.Range{}
	}
	t = target{Key: keyOf(l, which), size: length, resource: size, whole: true, validator: validator(h)}
	return t, l.Hints[which]
}
