package manifest

import (
	"net/url"
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
}
