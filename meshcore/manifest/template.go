package manifest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxTemplates is how many templates of one MPD are listed, the last of it.
	MaxTemplates = 512
	// MaxTemplateDepth is how many directories may follow the first number of a
	// template.
	MaxTemplateDepth = 4

	maxNumbers = 3  // of a template
	maxDigits  = 20 // of a number
)

// Template is a name with numbers in its path (ISO/IEC 23009-1, section 5.3.9.4):
// segment numbers, times, parts of segments.
type Template struct {
	// Around are the pieces of the escaped path around the numbers, one more than
	// these: before the first, between them, and behind the last.
	Around []string
	// Widths are how many digits each number has at least, 1 or more.
	Widths []int
	// Query is the query of what it matches.
	Query string
	// Encrypted is set below a ContentProtection.
	Encrypted bool
}

// Dir is the directory, with slash at the end, that holds all that the template
// matches, some of it in directories of their own.
func (t *Template) Dir() string { return t.Around[0][:strings.LastIndexByte(t.Around[0], '/')+1] }

// Example is a path that the template matches.
func (t *Template) Example() string { return t.fill("0") }

// String is the template's path with # for digits, and its query.
func (t *Template) String() string {
	if t.Query != "" {
		return t.fill("#") + "?" + t.Query
	}
	return t.fill("#")
}

func (t *Template) fill(digit string) string {
	var b strings.Builder
	for i, w := range t.Widths {
		b.WriteString(t.Around[i])
		b.WriteString(strings.Repeat(digit, w))
	}
	b.WriteString(t.Around[len(t.Widths)])
	return b.String()
}

// Matches reports whether an escaped path is one of the template's: a number has as
// many digits as its width or, without a zero in front, more, and 20 at most.
func (t *Template) Matches(path string) bool { return matches(path, t.Around, t.Widths) }

func matches(path string, around []string, widths []int) bool {
	rest, ok := strings.CutPrefix(path, around[0])
	if !ok || len(widths) == 0 {
		return ok && rest == ""
	}
	for n := 1; n <= min(len(rest), maxDigits) && '0' <= rest[n-1] && rest[n-1] <= '9'; n++ {
		if n < widths[0] || (n > widths[0] && rest[0] == '0') {
			continue
		}
		if matches(rest[n:], around[1:], widths[1:]) {
			return true
		}
	}
	return false
}

// same reports whether two templates match the same.
func (t *Template) same(o *Template) bool {
	return t.Query == o.Query && slices.Equal(t.Around, o.Around) && slices.Equal(t.Widths, o.Widths)
}

// newTemplate makes a template of a URL that lies on host and has a mark for each
// number. ok is false if it does not match what it should and no more.
func newTemplate(u *url.URL, host string, widths []int) (t Template, ok bool) {
	path, query, ok := Local(u, host)
	if !ok || len(widths) == 0 || len(widths) > maxNumbers {
		return t, false
	}
	t = Template{Query: query, Widths: widths}
	for i := range widths {
		before, after, found := strings.Cut(path, mark(i))
		if !found {
			return t, false // it is in the query
		}
		t.Around, path = append(t.Around, before), after
	}
	t.Around = append(t.Around, path)
	return t, strings.Count(strings.Join(t.Around[1:], ""), "/") <= MaxTemplateDepth && !strings.Contains(query, markStart)
}

// markStart begins what stands for a number while its URL is resolved.
const markStart = "0viewmesh"

func mark(i int) string { return markStart + strconv.Itoa(i) + "0" }

// expandTemplate fills the identifiers of a template (ISO/IEC 23009-1, section
// 5.3.9.4.4): those of the Representation by their values, numbers and times by marks
// of which widths has the digits. ok is false where it has an identifier that is not
// known.
func expandTemplate(s string, rep map[string]string) (expanded string, widths []int, ok bool) {
	var b strings.Builder
	for {
		before, rest, more := strings.Cut(s, "$")
		b.WriteString(before)
		if !more {
			return b.String(), widths, true
		}
		name, after, closed := strings.Cut(rest, "$")
		if !closed {
			return "", nil, false
		}
		s = after
		id, format, _ := strings.Cut(name, "%")
		width := 1
		if format != "" {
			n, err := strconv.Atoi(strings.TrimSuffix(format, "d"))
			if err != nil || !strings.HasSuffix(format, "d") || n < 0 || n > maxDigits {
				return "", nil, false
			}
			width = max(n, 1)
		}
		switch id {
		case "":
			b.WriteByte('$')
		case "RepresentationID":
			b.WriteString(rep["id"])
		case "Bandwidth":
			n, err := strconv.ParseUint(rep["bandwidth"], 10, 63)
			if err != nil {
				return "", nil, false
			}
			fmt.Fprintf(&b, "%0*d", width, n)
		case "Number", "Time", "SubNumber":
			b.WriteString(mark(len(widths)))
			widths = append(widths, width)
		default:
			return "", nil, false
		}
	}
}
