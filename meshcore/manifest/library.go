package manifest

import (
	"bytes"
	"fmt"

	"github.com/grafov/m3u8"
)

// librarySegment is a segment as the m3u8 library reads it: its line, and the
// length of its byte range, 0 for none.
type librarySegment struct {
	line   string
	length int64
}

// librarySegments decodes a media playlist with the m3u8 library. The library
// is archived and panics on some input (a key tag without attributes, for
// one), which becomes an error here.
func librarySegments(body []byte) (segments []librarySegment, err error) {
	defer func() {
		if p := recover(); p != nil {
			segments, err = nil, fmt.Errorf("the library gave up: %v", p)
		}
	}()
	media, err := m3u8.NewMediaPlaylist(0, 1024)
	if err != nil {
		return nil, err
	}
	if err := media.DecodeFrom(bytes.NewReader(body), false); err != nil {
		return nil, err
	}
	for _, s := range media.Segments {
		if s != nil {
			segments = append(segments, librarySegment{s.URI, s.Limit})
		}
	}
	return segments, nil
}
