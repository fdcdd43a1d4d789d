package manifest

import (
	"bytes"
	"path"
	"strings"
)

// IsHLS reports whether a media type, in lower case and without parameters, is
// that of an HLS playlist (RFC 8216, section 4, and the names in use beside it).
func IsHLS(mediaType string) bool {
	switch mediaType {
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
		return true
	}
	return false
}

// IsDASH reports whether a media type, in lower case and without parameters, is
// that of an MPD (ISO/IEC 23009-1, annex C).
func IsDASH(mediaType string) bool { return mediaType == "application/dash+xml" }

// IsManifestName reports whether a path is a manifest's by its extension.
func IsManifestName(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".m3u8", ".m3u", ".mpd":
		return true
	}
	return false
}

// otherNames are extensions of files that are no manifests.
var otherNames = map[string]bool{}

func init() {
	for _, e := range strings.Fields(`.ts .m4s .mp4 .m4a .m4v .m4f .cmfv .cmfa .cmft .aac .ac3 .ec3 .mp3 .webm .vtt .key
		.html .htm .css .js .mjs .map .json .xml .txt .ico .png .jpg .jpeg .gif .svg .webp .avif .woff .woff2 .ttf .wasm .zip .gz .pdf`) {
		otherNames[e] = true
	}
}

// MayBeManifest reports whether the resource at a path may be a manifest: it is
// false only for extensions of media files and of the parts of web pages.
func MayBeManifest(p string) bool { return !otherNames[strings.ToLower(path.Ext(p))] }

var byteOrderMark = []byte("\xef\xbb\xbf")

// IsXML reports whether the text of a manifest is XML, and so an MPD rather than a
// playlist.
func IsXML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(body, byteOrderMark), " \t\r\n"), []byte("<"))
}
