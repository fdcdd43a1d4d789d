package manifest

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Resource is what one request fetches: a URL, or a byte range of it.
type Resource struct {
	// URL is resolved against that of the manifest.
	URL *url.URL
	// Offset and Length are the byte range; Length 0 means the whole of it.
	Offset, Length int64
}

// Kind tells apart what a manifest lists.
type Kind uint8

const (
	// KindOther is media of which no more is known: an init section, or a file of a
	// DASH Representation.
	KindOther Kind = iota
	// KindSegment is a media segment of a playlist, with an EXTINF.
	KindSegment
	// KindPart is a part of a segment (EXT-X-PART).
	KindPart
)

// Entry is a resource that a manifest lists as media.
type Entry struct {
	Resource
	Kind Kind
	// Sequence is the media sequence number of a segment, 0 for the other kinds.
	Sequence int64
	// Encrypted is set if a key is in force (EXT-X-KEY other than NONE,
	// ContentProtection).
	Encrypted bool
	// Ad is set if the manifest says that it is part of an advertisement.
	Ad bool

	at            time.Time // its date, zero if not known
	discontinuity int       // how many EXT-X-DISCONTINUITY came before it
}

// Listing is what a manifest of either kind lists.
type Listing struct {
	// Ended is set if nothing will be added to it (EXT-X-ENDLIST, a static MPD).
	Ended bool
	// Entries are the media that may be shared, in the order of the manifest, on any
	// host.
	Entries []Entry
	// Forbidden are URLs of keys, licences, certificates and other manifests, which
	// viewers must never exchange, even where Entries has them, too.
	Forbidden []*url.URL
	// Hints are what may be listed next (EXT-X-PRELOAD-HINT) and is not listed yet.
	Hints []Resource
	// Omissions are why Entries lacks media that the manifest names, one for each
	// reason.
	Omissions []Omission
}

// Why the media that a manifest names are not among its entries.
const (
	// OmitURL: the URL cannot be read, or is not over HTTP.
	OmitURL = "url"
	// OmitRange: the byte range cannot be read, or begins where another ended that is
	// not known.
	OmitRange = "range"
	// OmitVariable: a variable is used that has no value.
	OmitVariable = "variable"
	// OmitTemplate: a template has an identifier that is not known, or numbers in its
	// query, in too many places, or too far from the end of its path.
	OmitTemplate = "template"
	// OmitIndex: only the file itself says where its segments are (SegmentBase).
	OmitIndex = "index"
	// OmitCap: there is more than is listed; what is first in the manifest is left out.
	OmitCap = "cap"
	// OmitDisputed: the m3u8 library reads the segment in another way.
	OmitDisputed = "disputed"
)

// Omission is a reason for which media are not listed.
type Omission struct {
	Reason string // one of the constants
	Count  int
	// Example is one of them, as the manifest writes it, up to 200 bytes; a query,
	// which may have a viewer's token, is cut to "?…".
	Example string
}

// omit counts media that are not listed.
func (l *Listing) omit(reason, example string) {
	i := slices.IndexFunc(l.Omissions, func(o Omission) bool { return o.Reason == reason })
	if i < 0 {
		i = len(l.Omissions)
		if before, _, asks := strings.Cut(example, "?"); asks {
			example = before + "?…"
		}
		l.Omissions = append(l.Omissions, Omission{Reason: reason, Example: strings.ToValidUTF8(example[:min(len(example), 200)], "")})
	}
	l.Omissions[i].Count++
}
