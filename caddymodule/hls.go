package caddymodule

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/grafov/m3u8"
)

var errPlaylist = errors.New("playlist cannot be read")

// parseHLS reads a playlist. Media playlists are read twice: by the m3u8
// library, which knows segments, and by the line reader, which knows keys, maps,
// parts and ranges. A playlist in which both do not find the same segments in
// the same order is refused, so that nothing is shared that only one of them
// takes for a segment. The error wraps errPlaylist.
//
// imports are the variables of the multivariant playlist.
func parseHLS(body []byte, imports map[string]string) (playlist, error) {
	p, ok := readPlaylist(body, imports)
	if !ok {
		return p, fmt.Errorf("%w: it does not begin with #EXTM3U", errPlaylist)
	}
	if p.undefined {
		return p, fmt.Errorf("%w: it uses a variable that has no value for all viewers", errPlaylist)
	}
	if p.multivariant {
		return p, nil
	}
	segments, err := librarySegments(body)
	if err != nil {
		return p, err
	}
	i := 0
	for _, r := range p.resources {
		if !r.segment {
			continue
		}
		if i >= len(segments) {
			return p, fmt.Errorf("%w: the library finds %d segments, the line reader more", errPlaylist, len(segments))
		}
		s := segments[i]
		if s.URI != r.raw || (r.length >= 0 && s.Limit != r.length) {
			return p, fmt.Errorf("%w: segment %d is not the same to both readers", errPlaylist, i)
		}
		i++
	}
	if i != len(segments) {
		return p, fmt.Errorf("%w: the library finds %d segments, the line reader %d", errPlaylist, len(segments), i)
	}
	return p, nil
}

// librarySegments decodes a media playlist with the m3u8 library. The library
// is archived and panics on some input (a key tag without attributes, for
// one), which becomes an error here.
func librarySegments(body []byte) (segments []*m3u8.MediaSegment, err error) {
	defer func() {
		if p := recover(); p != nil {
			segments, err = nil, fmt.Errorf("%w: the library gave up: %v", errPlaylist, p)
		}
	}()
	media, err := m3u8.NewMediaPlaylist(0, 1024)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPlaylist, err)
	}
	if err := media.DecodeFrom(bytes.NewReader(body), false); err != nil {
		return nil, fmt.Errorf("%w: %w", errPlaylist, err)
	}
	for _, s := range media.Segments {
		if s != nil {
			segments = append(segments, s)
		}
	}
	return segments, nil
}
