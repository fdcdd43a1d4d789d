// Package manifest reads what a presentation's manifests list: HLS playlists
// (RFC 8216 and its second edition, draft-pantos-hls-rfc8216bis) and DASH MPDs
// (ISO/IEC 23009-1). It finds out which URLs and byte ranges are media, which of
// them are encrypted or part of an ad, and which URLs are keys, licences or other
// manifests, that viewers must never exchange. It decodes no media and writes no
// manifest: what a server sends is sent as it came.
//
// Files, from the top down; each calls only those below it:
//
//	dash.go, smooth.go    ReadMPD: MPDs, Smooth Streaming client manifests
//	template.go           SegmentTemplate: which paths it matches
//	hls.go, lowlatency.go ReadHLS: playlists
//	library.go            the segments that the m3u8 library finds, to compare with
//	ads.go                which segments a playlist says are ads
//	scte35.go             what splice commands say of ads
//	variables.go          EXT-X-DEFINE
//	lexical.go            attribute lists, byte ranges, durations, dates
//	units.go, timeline.go what there is to play of a playlist, and when
//	playlist.go           what a playlist says
//	listing.go            what both kinds of manifest list
//	url.go                how a manifest's URLs resolve, and which lie on its own host
//	mediatype.go, name.go manifests and media by type, name and first bytes
//	xml.go                elements, encodings
//
// The package does no I/O, has no clock, and builds for js/wasm.
package manifest
