package manifest

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// attributes reads an attribute list (RFC 8216, section 4.2); the first of two
// attributes of one name counts.
func attributes(s string) map[string]string {
	a := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, ok = strings.Cut(rest[1:], `"`)
			if !ok {
				break
			}
			_, s, _ = strings.Cut(rest, ",")
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		name = strings.TrimSpace(name)
		if _, twice := a[name]; !twice {
			a[name] = strings.TrimSpace(value)
		}
	}
	return a
}

// parseByteRange reads "length" or "length@offset" (RFC 8216, section 4.3.2.2);
// offset is -1 if absent.
func parseByteRange(s string) (length, offset int64, bad bool) {
	l, o, at := strings.Cut(s, "@")
	length, err := strconv.ParseInt(strings.TrimSpace(l), 10, 64)
	offset = -1
	if err == nil && at {
		offset, err = strconv.ParseInt(strings.TrimSpace(o), 10, 64)
		if offset < 0 {
			return 0, 0, true
		}
	}
	if err != nil || length <= 0 || length > math.MaxInt64/4 || offset > math.MaxInt64/4 {
		return 0, 0, true
	}
	return length, offset, false
}

// parseSeconds reads a number of seconds, 0 if it is none.
func parseSeconds(s string) time.Duration {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f >= 0 && f < 1e7) {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

// parseDate reads a date as packagers write it (ISO 8601).
func parseDate(s string) (time.Time, bool) {
	for _, form := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(form, strings.TrimSpace(s)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
