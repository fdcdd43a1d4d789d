package manifest

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// MaxTemplates is how many templates of one MPD are listed.
	MaxTemplates = 512
	// MaxTemplateDepth is how many directories may follow the number of a template.
	MaxTemplateDepth = 4
)

// Template is a SegmentTemplate with a number or a time in its path: prefix,
// digits, suffix (ISO/IEC 23009-1, section 5.3.9.4).
type Template struct {
	// Prefix and Suffix are the escaped path before and after the digits, Query the
	// query of what it matches.
	Prefix, Suffix, Query string
	// Width is how many digits there are at least, 1 or more.
	Width int
	// Encrypted is set below a ContentProtection.
	Encrypted bool
}

// Dir is the directory, with slash at the end, that holds all that the template
// matches, some of it in directories of their own.
func (t *Template) Dir() string { return t.Prefix[:strings.LastIndexByte(t.Prefix, '/')+1] }

// Matches reports whether an escaped path is one of the template's: the digits are
// as many as Width or, without a zero in front, more, and 20 at most.
func (t *Template) Matches(path string) bool {
	digits, ok := strings.CutPrefix(path, t.Prefix)
	if !ok {
		return false
	}
	if digits, ok = strings.CutSuffix(digits, t.Suffix); !ok || len(digits) < t.Width || len(digits) > 20 {
		return false
	}
	return strings.Trim(digits, "0123456789") == "" && (len(digits) == t.Width || digits[0] != '0' || len(digits) == 1)
}

// expandTemplate fills the identifiers of a template (ISO/IEC 23009-1, section
// 5.3.9.4.4): those of the Representation by their values, number and time by a
// zero byte and a letter for the width. What it does not know gives "".
func expandTemplate(s string, rep map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "$")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "$")
		if !ok {
			return ""
		}
		s = after
		id, format, _ := strings.Cut(name, "%")
		width := 1
		if format != "" {
			n, err := strconv.Atoi(strings.TrimSuffix(format, "d"))
			if err != nil || !strings.HasSuffix(format, "d") || n < 0 || n > 20 {
				return ""
			}
			width = n
		}
		switch id {
		case "":
			b.WriteByte('$')
		case "RepresentationID":
			b.WriteString(rep["id"])
		case "Bandwidth":
			n, err := strconv.ParseUint(rep["bandwidth"], 10, 63)
			if err != nil {
				return ""
			}
			fmt.Fprintf(&b, "%0*d", width, n)
		case "Number", "Time":
			b.WriteByte(0)
			b.WriteByte('A' + byte(width))
		default:
			return ""
		}
	}
}
