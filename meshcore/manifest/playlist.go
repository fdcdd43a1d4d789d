package manifest

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Playlist is an HLS playlist: a multivariant playlist or a media playlist.
type Playlist struct {
	Listing
	// Variables are those that EXT-X-DEFINE sets, nil for none.
	Variables map[string]string

	// Multivariant is set if it lists other playlists, and no media.
	Multivariant bool
	// Playlists are the URLs of all playlists that it lists, in its order.
	Playlists []*url.URL
	// Variants and Renditions say what some of them are.
	Variants   []Variant
	Renditions []Rendition

	// Target is EXT-X-TARGETDURATION, or else the duration of the longest segment.
	Target time.Duration
	// Sequence is the media sequence number of the first of Segments, and of those
	// that come after where there is none yet.
	Sequence int64
	// Segments are those that the playlist lists, numbered without a gap. Where it is
	// a delta update they begin with those of Source.Before.
	Segments []Segment
	// Skipped is how many segments before the first EXT-X-SKIP leaves out and
	// Source.Before does not have. A player loads the playlist in full then.
	Skipped int64
	// Interstitials are the URLs of the ads that are played over the programme: of
	// playlists (X-ASSET-URI), and of lists of such (X-ASSET-LIST).
	Interstitials []*url.URL
	// Low is what the playlist says for low latency, nil for nothing.
	Low *LowLatency
}

// Variant is one EXT-X-STREAM-INF (RFC 8216, section 4.3.4.2).
type Variant struct {
	URL       *url.URL
	Bandwidth int64  // bit/s, 0 if not said
	Audio     string // GROUP-ID of its audio renditions, empty for none
	// Attributes are those of the tag, without quotes.
	Attributes map[string]string
}

// Rendition is one EXT-X-MEDIA (RFC 8216, section 4.3.4.1).
type Rendition struct {
	Type, Group, Name string
	Default           bool
	// URL is nil where the rendition is part of the variant's own segments.
	URL *url.URL
	// Attributes are those of the tag, without quotes.
	Attributes map[string]string
}

// Segment is one media segment.
type Segment struct {
	Resource
	Sequence int64
	Duration time.Duration
	// At is when it was made (EXT-X-PROGRAM-DATE-TIME), carried on from segment to
	// segment up to a discontinuity; the zero time if the playlist does not say.
	At            time.Time
	Discontinuity bool
	// Gap is set if there is nothing to fetch: the origin does not have it
	// (EXT-X-GAP), or the playlist does not say in a readable way where it is. URL may
	// be nil then.
	Gap bool
	// Init is its init section (EXT-X-MAP), nil for none.
	Init *Resource
	// Parts are its parts in order, as far as they are listed.
	Parts []Part
}

// Part is one EXT-X-PART, a piece of a segment that is published before the
// segment is complete (draft-pantos-hls-rfc8216bis, section 4.4.4.9).
type Part struct {
	Resource
	Duration time.Duration
	// Independent is set if playing can begin with it.
	Independent bool
	// Gap is as that of a Segment.
	Gap bool
}

// LowLatency is what a playlist says for low latency.
type LowLatency struct {
	// PartTarget is the longest a part may be (EXT-X-PART-INF), 0 if there are no
	// parts.
	PartTarget time.Duration
	// Of EXT-X-SERVER-CONTROL: HoldBack and PartHoldBack are how far from the end to
	// play at least, with and without parts; defaults three target durations and
	// three part targets. With BlockReload the server keeps a request for what is
	// not there yet until it is. SkipUntil is how far from the end what is older may
	// be left out of an update, 0 for never.
	HoldBack, PartHoldBack time.Duration
	BlockReload            bool
	SkipUntil              time.Duration
	// Tail are the parts behind the last segment, of the one that is being made, and
	// TailInit their init section.
	Tail     []Part
	TailInit *Resource
	// Hint is the part that comes next (EXT-X-PRELOAD-HINT), nil for none. Its
	// Length is 0 if it is the whole resource, or if the end is not known yet:
	// then HintOpen is set, and it begins at Offset.
	Hint     *Resource
	HintOpen bool
}

// Update is the URL of the next version of a playlist that came from u. If the
// server can, the request waits there until the next part, or segment, is listed,
// and with delta leaves out what is old (draft-pantos-hls-rfc8216bis, sections
// 6.2.5.1 and 6.2.5.2). blocks reports whether it waits.
func (p *Playlist) Update(u *url.URL, delta bool) (next *url.URL, blocks bool) {
	l := p.Low
	if l == nil || p.Ended {
		return u, false
	}
	var q []string // in this order, behind what the URL has already
	if l.BlockReload {
		q = append(q, fmt.Sprintf("_HLS_msn=%d", p.Sequence+int64(len(p.Segments))))
		if l.PartTarget > 0 {
			q = append(q, fmt.Sprintf("_HLS_part=%d", len(l.Tail)))
		}
	}
	if delta && l.SkipUntil > 0 {
		q = append(q, "_HLS_skip=YES")
	}
	out := *u
	if out.RawQuery != "" {
		q = append([]string{out.RawQuery}, q...)
	}
	out.RawQuery = strings.Join(q, "&")
	return &out, l.BlockReload
}
