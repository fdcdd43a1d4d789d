package insight

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Dimension is what figures can be split by within a presentation.
type Dimension uint8

// The dimensions. Presentation stands for the presentation as a whole.
const (
	Presentation Dimension = iota
	Kind                   // live or vod
	Country                // ISO 3166 alpha-2
	ASN                    // such as AS64496
	Device                 // desktop, mobile, tv or server
	Connection             // ethernet, wifi or cellular
	Site                   // a set of networks that the operator has named
	Player                 // such as hls.js
	Label                  // what the page says of itself
	dimensions
)

// dimensionNames are the names in the API and in files.
var dimensionNames = [dimensions]string{"presentation", "kind", "country", "asn", "device", "connection", "site", "player", "label"}

// String returns the name.
func (d Dimension) String() string { return dimensionNames[d] }

// bound is how many values a dimension has at most, "other" and "unknown" not counted.
func (d Dimension) bound() int {
	switch d {
	case Presentation:
		return 500
	case Country:
		return 250
	case ASN:
		return 200
	case Site, Label:
		return 100
	}
	return 20
}

// What stands for values that are not there, and for those beyond a bound.
const (
	Unknown = "unknown"
	Other   = "other"
)

// MaxValue is the longest value of a dimension but Presentation, in bytes.
const MaxValue = 64

// maxPresentation is the longest name of a presentation, in bytes.
const maxPresentation = 512

// dimensionOf returns the dimension of a name.
func dimensionOf(name string) (d Dimension, ok bool) {
	for i, n := range dimensionNames {
		if n == name {
			return Dimension(i), true
		}
	}
	return 0, false
}

// Clean returns a value as it counts: without what is no letter, digit, mark, punctuation,
// symbol or space, and of MaxValue bytes at most. It is data, whoever shows it escapes it.
func Clean(s string) string { return clean(s, MaxValue) }

func clean(s string, most int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	if s == "" {
		return Unknown
	}
	return s
}
