package catalog

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// minTail is the size from which a playlist is read from its tail, in bytes.
const minTail = 32 << 10

// tail is what has been read of a media playlist that only grows, as an event's does
// (RFC 8216, section 4.3.3.5): the next time only what was added is read. It is never
// changed.
type tail struct {
	who      string // by which identity
	length   int    // bytes that have been read: whole segments
	sum      [sha256.Size]byte
	sequence int64 // of the next segment
	head     []string
	keys     []string // the last EXT-X-KEY of each KEYFORMAT
}

// tailOf returns what has been read of a body, or nil if its next version is to be read
// in full. before is what had been read of the version before, which the body begins
// with, or nil.
func tailOf(before *tail, who string, body []byte) *tail {
	if len(body) < minTail || !bytes.HasPrefix(body, []byte("#EXTM3U")) {
		return nil
	}
	t := &tail{who: who}
	if before != nil {
		*t = *before
		t.keys, t.head = slices.Clone(before.keys), slices.Clip(before.head)
	}
	at := t.length
	var tags []string // since the last segment
	for line := range bytes.Lines(body[at:]) {
		at += len(line)
		text := strings.Trim(string(line), " \t\r\n")
		switch {
		case text == "":
			continue
		case text[0] == '#':
			tags = append(tags, text)
			continue
		case !isPlain(text) || line[len(line)-1] != '\n':
			return nil
		}
		for _, tag := range tags {
			if !t.tag(tag) {
				return nil
			}
		}
		t.sequence++
		t.length, tags = at, tags[:0]
	}
	if t.length == 0 {
		return nil
	}
	t.sum = sha256.Sum256(body[:t.length])
	return t
}

// tag takes a tag; it reports false for one on which what comes later may depend in a
// way that a tail does not keep.
func (t *tail) tag(line string) bool {
	name, value, _ := strings.Cut(line, ":")
	switch name {
	case "#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-START",
		"#EXT-X-ALLOW-CACHE", "#EXT-X-DISCONTINUITY-SEQUENCE":
		t.head = append(t.head, line)
		return len(t.head) <= 16
	case "#EXT-X-MEDIA-SEQUENCE":
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		t.sequence = n
		return err == nil && t.length == 0
	case "#EXT-X-KEY":
		format := keyFormat(value)
		t.keys = append(slices.DeleteFunc(t.keys, func(k string) bool { return keyFormat(k) == format }), line)
		return len(t.keys) <= 16
	case "#EXTINF", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-BITRATE", "#EXT-X-GAP", "#EXT-X-DISCONTINUITY":
		return true
	}
	return !strings.HasPrefix(name, "#EXT") // a comment
}

// keyFormat returns the KEYFORMAT of the attributes of an EXT-X-KEY, "" for none.
func keyFormat(attributes string) string {
	_, rest, _ := strings.Cut(attributes, `KEYFORMAT="`)
	format, _, _ := strings.Cut(rest, `"`)
	return format
}

// isPlain reports whether a URI is a relative one without variables: with another host
// it could be that of an ad.
func isPlain(uri string) bool {
	return !strings.Contains(uri, ":") && !strings.HasPrefix(uri, "//") && !strings.Contains(uri, "{$")
}

// reduce returns a playlist of what the body has beyond the tail, or nil if it does not
// begin with what has been read.
func (t *tail) reduce(who string, body []byte) []byte {
	if t == nil || t.who != who || len(body) < t.length || sha256.Sum256(body[:t.length]) != t.sum {
		return nil
	}
	var out bytes.Buffer
	for _, line := range t.head {
		fmt.Fprintln(&out, line)
	}
	fmt.Fprintf(&out, "#EXT-X-MEDIA-SEQUENCE:%d\n", t.sequence)
	for _, line := range t.keys {
		fmt.Fprintln(&out, line)
	}
	for line := range bytes.Lines(body[t.length:]) {
		text := strings.Trim(string(line), " \t\r\n")
		switch name, _, _ := strings.Cut(text, ":"); {
		case text == "" || name == "#EXT-X-ENDLIST":
		case text[0] != '#':
			if !isPlain(text) {
				return nil
			}
		case name == "#EXT-X-KEY":
		case !new(tail).tag(text):
			return nil
		}
	}
	out.Write(body[t.length:])
	return out.Bytes()
}
