package webtorrent

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// InfoHash is the info hash of a stream of a manifest, as p2p-media-loader 2.3 makes it where the
// page sets no swarmId: 20 characters of base64 for the first 15 bytes of a SHA-1. The URL is that
// of the manifest as the player has got it, without its query.
func InfoHash(manifestURL, stream string) (h ID) {
	sum := sha1.Sum([]byte("v2-" + manifestURL + "-" + stream))
	base64.StdEncoding.Encode(h[:], sum[:15])
	return h
}

// SingleStream is the stream of a manifest that is a media playlist.
var SingleStream = "main-" + streamIndex(properties{})

// Streams returns the streams of a multivariant playlist, as hls.js lists them and
// p2p-media-loader 2.3 names them.
func Streams(pl *manifest.Playlist) []string {
	var out []string
	add := func(kind string, p properties) {
		if s := kind + "-" + streamIndex(p); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for i := range pl.Variants {
		a := pl.Variants[i].Attributes
		p := properties{bitrate: integer(a["BANDWIDTH"]), codecs: codecsOf(a["CODECS"], videoCodecs), frameRate: a["FRAME-RATE"], videoRange: a["VIDEO-RANGE"]}
		if p.bitrate == 0 {
			p.bitrate = integer(a["AVERAGE-BANDWIDTH"])
		}
		if w, h, ok := strings.Cut(a["RESOLUTION"], "x"); ok {
			p.width, p.height = w, h
		}
		if p.bitrate == 0 {
			p = properties{}
		}
		add("main", p)
	}
	for i := range pl.Renditions {
		r := &pl.Renditions[i]
		if r.Type != "AUDIO" {
			continue
		}
		a := r.Attributes
		p := properties{language: a["LANGUAGE"], channels: a["CHANNELS"], name: r.Name}
		if p.name == "" {
			p.name = p.language
		}
		p.codecs = groupCodecs(pl, r.Group)
		add("secondary", p)
	}
	return out
}

// groupCodecs returns the audio codecs of the first variant with an audio group, or of the first
// that has any.
func groupCodecs(pl *manifest.Playlist, group string) string {
	any := ""
	for i := range pl.Variants {
		v := &pl.Variants[i]
		codecs := codecsOf(v.Attributes["CODECS"], audioCodecs)
		if v.Audio == group {
			return codecs
		}
		if any == "" {
			any = codecs
		}
	}
	return any
}

// properties are what a stream is named by.
type properties struct {
	bitrate                                                                int64
	codecs, width, height, language, channels, name, frameRate, videoRange string
}

// streamIndex names a stream.
func streamIndex(p properties) string {
	language := p.language
	if language == "und" {
		language = ""
	}
	channels, _, _ := strings.Cut(p.channels, "/")
	rate := ""
	if f, err := strconv.ParseFloat(p.frameRate, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		rate = strconv.FormatFloat(f, 'f', -1, 64)
	}
	s := fmt.Sprintf("%d-%s-%s-%s-%s-%s-%s-%s-%s", p.bitrate, sortedCodecs(p.codecs), p.width, p.height,
		strings.ToLower(language[:min(2, len(language))]), channels, strings.TrimSpace(strings.ToLower(p.name)), rate, strings.TrimSpace(strings.ToUpper(p.videoRange)))
	sum := sha1.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sortedCodecs sorts codecs, in lower case, with those of AVC by their hexadecimal names (RFC
// 6381, section 3.3; the decimal ones are of RFC 4281).
func sortedCodecs(list string) string {
	if list == "" {
		return ""
	}
	codecs := strings.Split(list, ",")
	for i, c := range codecs {
		c = strings.ToLower(strings.TrimSpace(c))
		if f := strings.Split(c, "."); len(f) == 3 && (f[0] == "avc1" || f[0] == "avc") {
			profile, err1 := strconv.ParseUint(f[1], 10, 8)
			level, err2 := strconv.ParseUint(f[2], 10, 8)
			if err1 == nil && err2 == nil {
				c = fmt.Sprintf("%s.%02x00%02x", f[0], profile, level)
			}
		}
		codecs[i] = c
	}
	slices.Sort(codecs)
	return strings.Join(codecs, ",")
}

// codecsOf returns those codecs of a CODECS attribute whose sample entry is on a list.
func codecsOf(list, of string) string {
	var out []string
	for _, c := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }) {
		if len(c) >= 4 && strings.Contains(of, " "+c[:4]+" ") {
			c, _, _ = strings.Cut(c, "/")
			out = append(out, c)
		}
	}
	return strings.Join(out, ",")
}

// The sample entries that players take for video and for audio (mp4ra.org/registered-types).
const (
	videoCodecs = " avc1 avc2 avc3 avc4 avcp av01 dav1 drac dva1 dvav dvh1 dvhe encv hev1 hvc1 mjp2 mp4v mvc1 mvc2 mvc3 mvc4 resv rv60 s263 svc1 svc2 vc-1 vp08 vp09 "
	audioCodecs = " a3ds ac-3 ac-4 alac alaw dra1 dts+ dts- dtsc dtse dtsh ec-3 enca fLaC flac FLAC g719 g726 m4ae mha1 mha2 mhm1 mhm2 mlpa mp4a Opus opus samr sawb sawp sevc sqcp ssmv twos ulaw "
)

// integer reads a whole number, 0 if it is none.
func integer(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
