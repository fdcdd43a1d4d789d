package caddymodule

import (
	"net/url"
	"time"
)

// reading is what a media playlist lists when it is read, by path and in order.
type reading struct {
	presentation *presentation
	by           string // path of the playlist
	at           time.Time
	paths        map[string]*listed
	order        []*listed
}

func newReading(p *presentation, base *url.URL, at time.Time, size int) *reading {
	return &reading{p, base.EscapedPath(), at, map[string]*listed{}, make([]*listed, 0, size)}
}

// entry gives what stands for a path, and puts it there the first time.
func (r *reading) entry(path, query string) *listed {
	l := r.paths[path]
	if l == nil {
		l = &listed{presentation: r.presentation, path: path, at: r.at, query: query, by: r.by, ranges: map[byteRange]bool{}}
		r.paths[path] = l
		r.order = append(r.order, l)
	}
	return l
}
