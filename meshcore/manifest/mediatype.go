package manifest

import (
	"mime"
	"path"
	"strings"
)

// MediaType returns the media type that a Content-Type names, in lower case and
// without parameters; "" if there is none.
func MediaType(contentType string) string {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return t
}

// IsMediaType reports whether a media type is that of media or of a manifest.
func IsMediaType(t string) bool {
	return strings.HasPrefix(t, "video/") || strings.HasPrefix(t, "audio/") || IsHLS(t) || IsDASH(t)
}

// IsPageType reports whether a media type is one of the page around a player.
func IsPageType(t string) bool {
	switch t {
	case "text/html", "text/css", "text/javascript", "application/javascript", "application/json", "text/plain",
		"application/problem+json", "application/manifest+json", "application/wasm", "text/event-stream":
		return true
	}
	return strings.HasPrefix(t, "image/") || strings.HasPrefix(t, "font/")
}

// names returns the set of the extensions in a list.
func names(list string) map[string]bool {
	set := map[string]bool{}
	for _, e := range strings.Fields(list) {
		set[e] = true
	}
	return set
}

var (
	mediaNames = names(".ts .m4s .mp4 .m4a .m4v .m4f .cmfv .cmfa .cmft .aac .ac3 .ec3 .mp3 .webm .mkv .vtt .ttml .key")
	pageNames  = names(`.html .htm .css .js .mjs .map .json .webmanifest .txt .ico .png .jpg .jpeg .gif .svg .webp .avif
		.woff .woff2 .ttf .wasm`)
)

// IsMediaName reports whether the extension of a path is one of media, or of a key.
func IsMediaName(p string) bool { return mediaNames[strings.ToLower(path.Ext(p))] }

// IsPageName reports whether the extension of a path is one of the page around a
// player.
func IsPageName(p string) bool { return pageNames[strings.ToLower(path.Ext(p))] }
