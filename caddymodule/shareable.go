package caddymodule

import (
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// shareable says whether the header of a response lets its body travel between
// viewers (RFC 9111 shared caches are the model): no cookie is set, it is not
// private or no-store, it does not vary by viewer, and it is not encoded. reason
// is a short word for the log where it is not.
func shareable(h http.Header) (reason string, ok bool) {
	if len(h["Set-Cookie"]) > 0 {
		return "set_cookie", false
	}
	for _, line := range h["Cache-Control"] {
		for d := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(d), "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "private", "no-store":
				return "cache_control", false
			}
		}
	}
	for _, line := range h["Vary"] {
		for f := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.TrimSpace(f)) {
			case "*", "cookie", "authorization":
				return "vary", false
			}
		}
	}
	for _, e := range h["Content-Encoding"] {
		if !strings.EqualFold(strings.TrimSpace(e), "identity") {
			return "content_encoding", false
		}
	}
	switch t := contentType(h); {
	case isHLS(t), t == "application/dash+xml", t == "text/html", t == "application/json":
		return "content_type", false
	}
	return "", true
}

// validator is what tells one version of a resource from another: its ETag, or
// else its Last-Modified, or "".
func validator(h http.Header) string {
	if e := h.Get("Etag"); e != "" {
		return e
	}
	return h.Get("Last-Modified")
}

func contentType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// isHLS says whether a media type is that of an HLS playlist (RFC 8216, section
// 4, and the names that are in use beside it).
func isHLS(mediaType string) bool {
	switch mediaType {
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
		return true
	}
	return false
}

// isDASH says whether a media type is that of an MPD (ISO/IEC 23009-1, annex C).
func isDASH(mediaType string) bool { return mediaType == "application/dash+xml" }

// isPlaylistPath says whether a path is a manifest's by its name.
func isPlaylistPath(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".m3u8", ".m3u", ".mpd":
		return true
	}
	return false
}

// neverManifest are extensions of files that are no playlists, so that their
// responses need not be looked at.
var neverManifest = map[string]bool{}

func init() {
	for _, e := range strings.Fields(`.ts .m4s .mp4 .m4a .m4v .m4f .cmfv .cmfa .cmft .aac .ac3 .ec3 .mp3 .webm .vtt .key
		.html .htm .css .js .mjs .map .json .xml .txt .ico .png .jpg .jpeg .gif .svg .webp .avif .woff .woff2 .ttf .wasm .zip .gz .pdf`) {
		neverManifest[e] = true
	}
}

// mayBeManifest says whether a response to a request for p may be a playlist.
func mayBeManifest(p string) bool { return !neverManifest[strings.ToLower(path.Ext(p))] }

// bodyRange says which bytes of its resource a response carries: all size of
// them (200), or length from offset of size (206 with one range); size is -1 of
// one that still grows. ok is false if the header does not say.
func bodyRange(status int, h http.Header) (offset, length, size int64, ok bool) {
	switch status {
	case http.StatusOK:
		n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		return 0, n, n, err == nil && n > 0
	case http.StatusPartialContent:
		return parseContentRange(h.Get("Content-Range"))
	}
	return 0, 0, 0, false
}

// parseContentRange reads "bytes first-last/size" (RFC 9110, section 14.4); for the
// size * it gives -1.
func parseContentRange(s string) (offset, length, size int64, ok bool) {
	s, isBytes := strings.CutPrefix(s, "bytes ")
	span, total, slash := strings.Cut(s, "/")
	first, last, dash := strings.Cut(span, "-")
	if !isBytes || !slash || !dash {
		return 0, 0, 0, false
	}
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	n, err3 := strconv.ParseInt(total, 10, 64)
	if total == "*" {
		n, err3 = -1, nil
	}
	if err1 != nil || err2 != nil || err3 != nil || a < 0 || b < a || (n >= 0 && n <= b) || n < -1 {
		return 0, 0, 0, false
	}
	return a, b - a + 1, n, true
}
