package live

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Content types of RFC 8216 (section 10), ISO/IEC 23009-1 and RFC 4337.
const (
	typeHLS     = "application/vnd.apple.mpegurl"
	typeDASH    = "application/dash+xml"
	typeInit    = "video/mp4"
	typeSegment = "video/iso.segment"
)

// How long an answer may be kept. Segment names never come again with other bytes, so segments may be kept for
// good; playlists are new each segment.
const (
	cachePlaylist     = "public, max-age=1"
	cacheMultivariant = "public, max-age=60"
	cacheInit         = "public, max-age=3600"
	cacheSegment      = "public, max-age=86400, immutable"
)

// ServeHTTP answers GET and HEAD with ranges and validators. A segment that is not out yet, or that left its
// playlist more than a window ago, is a 404 that may not be stored, and so is any other path. Before the first
// segment playlists are 503 with Retry-After.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are served here", http.StatusMethodNotAllowed)
		return
	}
	now := o.now()
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch name {
	case "index.m3u8":
		serve(w, r, typeHLS, cacheMultivariant, tag(o.multivariant), time.Time{}, bytes.NewReader(o.multivariant))
		return
	case "manifest.mpd":
		o.servePlaylist(w, r, typeDASH, func(now time.Time, _, _ sequence) string { return o.dashManifest(now) })
		return
	}
	dir, file := path.Split(name)
	rendition, ok := o.byName[strings.TrimSuffix(dir, "/")]
	if !ok {
		notFound(w, "no such rendition; start at index.m3u8 or manifest.mpd")
		return
	}
	switch file {
	case path.Base(rendition.Playlist):
		o.serveMediaPlaylist(w, r, rendition)
	case initName:
		serve(w, r, typeInit, cacheInit, rendition.initTag, time.Time{}, bytes.NewReader(rendition.init))
	default:
		if at, ok := o.partOf(file); ok && !o.ranges {
			if !o.out(r.Context(), at, now) {
				notFound(w, "no such part now; the media playlist lists those that are out")
				return
			}
			p := o.splice(rendition, at)
			serve(w, r, typeSegment, cacheSegment, p.tag, o.partPublished(at), p)
			return
		}
		n, ok := segmentNumber(file)
		if ok && o.ranges && n == o.newest(now)+1 && o.serveGrowing(w, r, rendition, n, now) {
			return
		}
		if !ok || !o.available(n, now) {
			notFound(w, "no such segment now; the media playlist lists those that are out")
			return
		}
		s := o.splice(rendition, place{n, whole})
		serve(w, r, typeSegment, cacheSegment, s.tag, o.published(n), s)
	}
}

// serveMediaPlaylist waits for what the player asks for, where there are parts.
func (o *Origin) serveMediaPlaylist(w http.ResponseWriter, r *http.Request, rendition *rendition) {
	if o.part <= 0 {
		o.servePlaylist(w, r, typeHLS, func(_ time.Time, first, last sequence) string { return o.mediaPlaylist(rendition, first, last) })
		return
	}
	q := r.URL.Query()
	if status := o.await(r.Context(), q); status != http.StatusOK {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "that media sequence number or part cannot be waited for", status)
		return
	}
	o.servePlaylist(w, r, typeHLS, func(now time.Time, first, last sequence) string {
		return o.lowLatencyPlaylist(rendition, now, first, last, q.Get("_HLS_skip") == "YES")
	})
}

func (o *Origin) servePlaylist(w http.ResponseWriter, r *http.Request, contentType string, write func(now time.Time, first, last sequence) string) {
	now := o.now()
	first, last, ok := o.listed(now)
	if !ok {
		wait := o.published(0).Sub(now)
		w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the stream has not started", http.StatusServiceUnavailable)
		return
	}
	text := write(now, first, last)
	modified := o.published(last)
	if o.part > 0 {
		modified = now
	}
	serve(w, r, contentType, cachePlaylist, tag([]byte(text)), modified, strings.NewReader(text))
}

func serve(w http.ResponseWriter, r *http.Request, contentType, cache, tag string, modified time.Time, body io.ReadSeeker) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", cache)
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", modified, body)
}

func notFound(w http.ResponseWriter, why string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, why, http.StatusNotFound)
}

// serveGrowing answers a range of the segment that is being made: one part, whole, which may be the next. The size
// of the segment is not known yet.
func (o *Origin) serveGrowing(w http.ResponseWriter, r *http.Request, rendition *rendition, n sequence, now time.Time) bool {
	_, index := o.split(n)
	s := rendition.segments[index]
	for i := range s.parts {
		at := place{n, i}
		_, size, offset := o.partResource(rendition, at)
		if r.Header.Get("Range") != fmt.Sprintf("bytes=%d-%d", offset, offset+size-1) {
			continue
		}
		if !o.out(r.Context(), at, now) {
			return false
		}
		h := w.Header()
		h.Set("Content-Type", typeSegment)
		h.Set("Cache-Control", cacheSegment)
		h.Set("ETag", `"`+s.tag+"-"+strconv.FormatInt(n, 10)+`"`)
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", offset, offset+size-1))
		h.Set("Content-Length", strconv.Itoa(size))
		w.WriteHeader(http.StatusPartialContent)
		if r.Method == http.MethodGet {
			_, _ = o.splice(rendition, at).WriteTo(w) // the player has gone
		}
		return true
	}
	return false
}
