// Package media holds the sample stream of the examples. It is
// 48 s of a synthetic picture and chords that loop without a seam, as HLS (fMP4, CMAF) and MPEG-DASH over the same
// 2 s segments; make.sh made it. Beside it, in www, lies the start page of the demo.
//
// The tree returned by Sample:
//
//	index.m3u8           the multivariant playlist
//	manifest.mpd         the DASH manifest, over the same files
//	v0 v1 v2             H.264 at 640x360, 426x240, 256x144; 25 fps
//	a0                   AAC, 48 kHz stereo
//	  index.m3u8         the media playlist of the rendition
//	  init.mp4           its init section
//	  seg-0.m4s ...      its 24 media segments
package media

import (
	"embed"
	"io/fs"
)

//go:embed sample
var files embed.FS

// Sample returns the sample stream as a file system whose root holds index.m3u8. It is part of the binary, so
// an example that uses it needs no path.
func Sample() fs.FS {
	f, err := fs.Sub(files, "sample")
	if err != nil {
		panic(err) // only an invalid name fails, and ours is a constant
	}
	return f
}
