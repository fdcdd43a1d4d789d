package admission

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// sniffLen is how many bytes of a body tell what it is.
const sniffLen = 512

// isPagePart reports whether a body that begins so is a part of a web page: text, an
// image, a font, code. Media is none, whatever its type says, nor is what cannot be
// recognised, such as an encrypted segment.
func isPagePart(h http.Header, first []byte) bool {
	t := manifest.MediaType(h.Get("Content-Type"))
	if manifest.IsMediaType(t) || strings.HasPrefix(t, "multipart/") {
		return false
	}
	switch strings.ToLower(h.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		first = unzipped(first)
	default: // compressed media saves nothing, so who compresses it calls it text
		return manifest.IsPageType(t) && !strings.HasPrefix(t, "image/") && !strings.HasPrefix(t, "font/")
	}
	if bytes.HasPrefix(bytes.TrimPrefix(first, []byte("\xef\xbb\xbf")), []byte("WEBVTT")) || manifest.Sniff(first) {
		return false
	}
	switch found := manifest.MediaType(http.DetectContentType(first)); found {
	case "application/wasm", "application/pdf", "application/vnd.ms-fontobject":
		return true
	case "application/octet-stream":
		return isNewImage(first)
	default:
		return strings.HasPrefix(found, "text/") || strings.HasPrefix(found, "image/") || strings.HasPrefix(found, "font/")
	}
}

// isNewImage recognises AVIF, HEIC and JPEG XL by their first bytes.
func isNewImage(b []byte) bool {
	if len(b) >= 12 && string(b[4:8]) == "ftyp" {
		switch string(b[8:12]) {
		case "avif", "avis", "heic", "heix", "mif1", "msf1":
			return true
		}
	}
	return bytes.HasPrefix(b, []byte("\xff\x0a")) || bytes.HasPrefix(b, []byte("\x00\x00\x00\x0cJXL "))
}

// unzipped returns the beginning of what was compressed.
func unzipped(b []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(z, sniffLen)) // what there is of a beginning
	return out
}
