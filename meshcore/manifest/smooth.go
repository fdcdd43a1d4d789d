package manifest

import (
	"net/url"
	"strings"
)

// smooth reads a Smooth Streaming client manifest ([MS-SSTR], section 2.2.2): each
// quality level of a stream is a template with the start time of the fragment.
func (r *mpdReader) smooth(root *element, base *url.URL) {
	r.out.Ended = !strings.EqualFold(root.attrs["IsLive"], "true")
	r.forbidden(root, base, false)
	encrypted := len(root.all("Protection")) > 0
	for _, stream := range root.all("StreamIndex") {
		for _, quality := range stream.all("QualityLevel") {
			fill := strings.NewReplacer("{bitrate}", quality.attrs["Bitrate"], "{Bitrate}", quality.attrs["Bitrate"],
				"{start time}", mark(0), "{start_time}", mark(0))
			u := resolve(base, fill.Replace(stream.attrs["Url"]))
			if _, _, local := Local(u, r.host); u != nil && !local {
				continue // another host's
			}
			t, ok := newTemplate(u, r.host, []int{1})
			if !ok {
				r.out.omit(OmitTemplate, stream.attrs["Url"])
				continue
			}
			t.Encrypted = encrypted
			r.addTemplate(t)
		}
	}
}
