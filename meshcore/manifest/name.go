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
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/mpegurl", "audio/mpegurl", "audio/x-mpegurl",
		"video/mpegurl", "video/x-mpegurl":
		return true
	}
	return false
}

// IsDASH reports whether a media type, in lower case and without parameters, is
// that of an MPD, or of a patch of one (ISO/IEC 23009-1, annex C), or of what ReadMPD
// reads beside these.
func IsDASH(mediaType string) bool {
	switch mediaType {
	case "application/dash+xml", "application/dash-patch+xml", "video/vnd.mpeg.dash.mpd", "application/vnd.ms-sstr+xml":
		return true
	}
	return false
}

// IsGeneric reports whether a media type, in lower case and without parameters, says
// so little that the first bytes of a response must say whether it is a manifest.
func IsGeneric(mediaType string) bool {
	switch mediaType {
	case "", "application/octet-stream", "binary/octet-stream", "text/plain", "application/xml", "text/xml":
		return true
	}
	return false
}

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
		.html .htm .css .js .mjs .map .ico .png .jpg .jpeg .gif .svg .webp .avif .woff .woff2 .ttf .wasm .zip .gz .pdf`) {
		otherNames[e] = true
	}
}

// MayBeManifest reports whether the resource at a path may be a manifest: it is
// false only for extensions of media files and of the parts of web pages.
func MayBeManifest(p string) bool { return !otherNames[strings.ToLower(path.Ext(p))] }

var byteOrderMark = []byte("\xef\xbb\xbf")

// SniffLen is how many bytes Sniff looks at.
const SniffLen = 4 << 10

// Sniff reports whether a text that begins with body is a manifest, whatever its
// media type says: a playlist, or XML of which ReadMPD reads the root.
func Sniff(body []byte) bool {
	body = body[:min(len(body), SniffLen)]
	if bytes.HasPrefix(bytes.TrimPrefix(body, byteOrderMark), []byte("#EXTM3U")) {
		return true
	}
	if !IsXML(body) {
		return false
	}
	switch rootName(body) {
	case "MPD", "Patch", "Period", "SmoothStreamingMedia":
		return true
	}
	return false
}

// IsXML reports whether the text of a manifest is XML, for ReadMPD, rather than a
// playlist.
func IsXML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(toUTF8(body[:min(len(body), SniffLen)]), " \t\r\n"), []byte("<"))
}

// IsHLSBody reports whether the first bytes of a body are those of an HLS playlist.
func IsHLSBody(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(body, byteOrderMark), []byte("#EXTM3U"))
}
