package media

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// ErrPlaylist is wrapped by every error Load returns for a playlist it cannot read.
var ErrPlaylist = errors.New("playlist not understood")

// Presentation is an on-demand HLS presentation as Load found it.
type Presentation struct {
	// Multivariant is the multivariant playlist (RFC 8216, section 4.3.4), byte for byte.
	Multivariant []byte
	// Renditions are the renditions in the order of their first mention, each once.
	Renditions []Rendition
}

// Rendition is one encoding of a Presentation.
type Rendition struct {
	Name     string    // folder of the media playlist, for example "v0"
	Audio    bool      // listed as EXT-X-MEDIA of TYPE=AUDIO, not as a variant
	Playlist string    // path of the media playlist
	Init     string    // path of the init section (EXT-X-MAP)
	Segments []Segment // the media segments in playing order
	// Attributes are those of the EXT-X-STREAM-INF or EXT-X-MEDIA tag, without quotes.
	Attributes map[string]string
}

// Duration is the sum of the segments' durations as the playlist states them.
func (r Rendition) Duration() time.Duration {
	var d time.Duration
	for _, s := range r.Segments {
		d += s.Duration
	}
	return d
}

// Segment is one media segment of a Rendition.
type Segment struct {
	Path     string        // path in the file system Load was given
	Duration time.Duration // of EXTINF
}

// Load reads the presentation whose multivariant playlist is index.m3u8 at the root of fsys. It understands
// what make.sh writes, which is what most packagers write for fMP4 on demand: one folder per rendition, one
// init section for each, whole files as segments. Anything else that would change the bytes (byte ranges, keys,
// discontinuities, a second EXT-X-MAP) is an error that wraps ErrPlaylist, never a silent misreading. It does
// not open the segments.
func Load(fsys fs.FS) (*Presentation, error) {
	const name = "index.m3u8"
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("media: read the multivariant playlist: %w", err)
	}
	p := &Presentation{Multivariant: text}
	seen := map[string]bool{}
	add := func(number int, uri string, attributes map[string]string) error {
		playlist, err := local(name, uri)
		if err != nil {
			return lineError(name, number, err)
		}
		if seen[playlist] {
			return nil
		}
		seen[playlist] = true
		r, err := loadRendition(fsys, playlist)
		if err != nil {
			return err
		}
		r.Audio = attributes["TYPE"] == "AUDIO"
		r.Attributes = attributes
		p.Renditions = append(p.Renditions, r)
		return nil
	}
	var variant map[string]string // of the EXT-X-STREAM-INF whose URI is the next line
	err = eachLine(name, text, func(number int, tag, value string) error {
		switch tag {
		case "":
			if variant == nil {
				return lineError(name, number, errors.New("a URI without EXT-X-STREAM-INF; index.m3u8 must be a multivariant playlist"))
			}
			attributes := variant
			variant = nil
			return add(number, value, attributes)
		case "EXT-X-STREAM-INF":
			variant, err = attributeList(value)
			if err != nil {
				return lineError(name, number, err)
			}
		case "EXT-X-MEDIA":
			attributes, err := attributeList(value)
			if err != nil {
				return lineError(name, number, err)
			}
			if uri := attributes["URI"]; uri != "" && attributes["TYPE"] == "AUDIO" {
				return add(number, uri, attributes)
			}
		case "EXTINF":
			return lineError(name, number, errors.New("index.m3u8 is a media playlist; put a multivariant playlist in front of it"))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(p.Renditions) == 0 {
		return nil, fmt.Errorf("media: %s: %w: it lists no rendition", name, ErrPlaylist)
	}
	return p, nil
}

func loadRendition(fsys fs.FS, name string) (Rendition, error) {
	r := Rendition{Name: path.Dir(name), Playlist: name}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return r, fmt.Errorf("media: read a media playlist: %w", err)
	}
	var duration time.Duration
	ended := false
	err = eachLine(name, text, func(number int, tag, value string) error {
		switch tag {
		case "":
			if duration <= 0 {
				return lineError(name, number, errors.New("a segment without a positive EXTINF"))
			}
			segment, err := local(name, value)
			if err != nil {
				return lineError(name, number, err)
			}
			r.Segments = append(r.Segments, Segment{Path: segment, Duration: duration})
			duration = 0
		case "EXTINF":
			seconds, _, _ := strings.Cut(value, ",")
			s, err := strconv.ParseFloat(seconds, 64)
			if err != nil || s < 0 || s > 3600 {
				return lineError(name, number, fmt.Errorf("EXTINF %q is no duration in seconds", seconds))
			}
			duration = time.Duration(s*1e9 + 0.5)
		case "EXT-X-MAP":
			attributes, err := attributeList(value)
			if err == nil && (r.Init != "" || attributes["BYTERANGE"] != "") {
				err = errors.New("only one EXT-X-MAP without BYTERANGE is supported")
			}
			if err == nil {
				r.Init, err = local(name, attributes["URI"])
			}
			if err != nil {
				return lineError(name, number, err)
			}
		case "EXT-X-BYTERANGE", "EXT-X-KEY", "EXT-X-DISCONTINUITY", "EXT-X-GAP", "EXT-X-PART":
			return lineError(name, number, fmt.Errorf("%s is not supported here", tag))
		case "EXT-X-ENDLIST":
			ended = true
		}
		return nil
	})
	switch {
	case err != nil:
		return r, err
	case r.Init == "":
		return r, fmt.Errorf("media: %s: %w: no EXT-X-MAP; the segments must be fMP4", name, ErrPlaylist)
	case len(r.Segments) == 0:
		return r, fmt.Errorf("media: %s: %w: no segment", name, ErrPlaylist)
	case !ended:
		return r, fmt.Errorf("media: %s: %w: no EXT-X-ENDLIST; only an on-demand playlist is whole", name, ErrPlaylist)
	}
	return r, nil
}

// eachLine calls f for each tag and each URI of a playlist. A URI comes with an empty tag; comments and empty
// lines do not come.
func eachLine(name string, text []byte, f func(number int, tag, value string) error) error {
	for i, raw := range bytes.Split(text, []byte("\n")) {
		line := strings.TrimSpace(string(raw))
		if i == 0 {
			if line != "#EXTM3U" {
				return lineError(name, 1, errors.New("a playlist starts with #EXTM3U"))
			}
			continue
		}
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "#EXT"):
			tag, value, _ := strings.Cut(line[1:], ":")
			err = f(i+1, tag, value)
		case line[0] == '#':
		default:
			err = f(i+1, "", line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attributeList reads an attribute list (RFC 8216, section 4.2): NAME=value or NAME="quoted, value".
func attributeList(s string) (map[string]string, error) {
	attributes := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("attribute list ends in %q, want NAME=value", s)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, ok = strings.Cut(rest[1:], `"`)
			if !ok {
				return nil, fmt.Errorf("attribute %s has no closing quote", name)
			}
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("attribute %s is followed by %q, want a comma", name, rest)
			}
			s = strings.TrimPrefix(rest, ",")
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		attributes[strings.TrimSpace(name)] = value
	}
	return attributes, nil
}

// local resolves a relative URI against the playlist that names it and refuses whatever would leave the tree.
func local(playlist, uri string) (string, error) {
	p := path.Join(path.Dir(playlist), uri)
	if uri == "" || strings.ContainsAny(uri, ":?#%\\") || path.IsAbs(uri) || !fs.ValidPath(p) {
		return "", fmt.Errorf("%q must be a plain path inside the presentation", uri)
	}
	return p, nil
}

func lineError(name string, number int, err error) error {
	return fmt.Errorf("media: %s:%d: %w: %w", name, number, ErrPlaylist, err)
}
