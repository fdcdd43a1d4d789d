package webtorrent

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested.
const maxDepth = 16

// scanner reads JSON (RFC 8259) from the front of a frame. It finds where values begin and
// end, copies nothing, and is strict, so that what is cut out of one frame can be put into
// another.
type scanner struct {
	rest  []byte
	depth int
}

// space skips white space.
func (s *scanner) space() {
	for len(s.rest) > 0 {
		switch s.rest[0] {
		case ' ', '\t', '\n', '\r':
			s.rest = s.rest[1:]
		default:
			return
		}
	}
}

// take skips white space and one byte, if it is c.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// value skips a value and returns it as it stands, nil if there is none.
func (s *scanner) value() []byte {
	s.space()
	from := s.rest
	if len(from) == 0 {
		return nil
	}
	ok := false
	switch c := from[0]; {
	case c == '"':
		return s.text()
	case c == '{':
		ok = s.object(func([]byte) bool { return s.value() != nil })
	case c == '[':
		ok = s.array(func() bool { return s.value() != nil })
	case c == '-' || c >= '0' && c <= '9':
		ok = s.number()
	default:
		ok = s.word("true") || s.word("false") || s.word("null")
	}
	if !ok {
		return nil
	}
	return from[:len(from)-len(s.rest)]
}

// object reads an object; member is called before the value of each key, which it reads.
// The key is as it stands, with its quotes.
func (s *scanner) object(member func(key []byte) bool) bool {
	if !s.enter('{') {
		return false
	}
	for first := true; ; first = false {
		if s.take('}') {
			s.depth--
			return true
		}
		if !first && !s.take(',') {
			return false
		}
		s.space()
		key := s.text()
		if key == nil || !s.take(':') || !member(key) {
			return false
		}
	}
}

// array reads an array; item is called before each of its values, which it reads.
func (s *scanner) array(item func() bool) bool {
	if !s.enter('[') {
		return false
	}
	for first := true; ; first = false {
		if s.take(']') {
			s.depth--
			return true
		}
		if !first && !s.take(',') || !item() {
			return false
		}
	}
}

func (s *scanner) enter(c byte) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	return s.take(c)
}

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// plain is how many bytes at the front of b are neither quote, backslash, nor control
// character (below 0x20); of the last seven it may leave some out.
func plain(b []byte) (n int) {
	for len(b)-n >= 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		quote, slash := w^ones*'"', w^ones*'\\'
		// The lowest byte that is set is right: what borrows can spoil lies above it.
		if found := ((w-ones*0x20)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & high; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
		n += 8
	}
	return n
}

// text reads a string and returns it as it stands, with its quotes; nil if it is none.
func (s *scanner) text() []byte {
	b := s.rest
	if len(b) == 0 || b[0] != '"' {
		return nil
	}
	for i := 1; i < len(b); {
		if i += plain(b[i:]); i >= len(b) {
			break
		}
		switch c := b[i]; {
		case c == '"':
			s.rest = b[i+1:]
			return b[:i+1]
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return nil
			}
			i += n
		case c < ' ':
			return nil
		default:
			i++
		}
	}
	return nil
}

// escape returns the length of the escape at the front of b, 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex(b[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

// hex reads a number of hexadecimal digits, -1 if they are none.
func hex(digits []byte) (n int) {
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		n = n<<4 | int(c)
	}
	return n
}

// number skips a number.
func (s *scanner) number() bool {
	b := s.rest
	digits := func() bool {
		n := 0
		for n < len(b) && b[n] >= '0' && b[n] <= '9' {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '0' {
		b = b[1:]
	} else if !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		if b = b[1:]; !digits() {
			return false
		}
	}
	if len(b) > 0 && b[0]|0x20 == 'e' {
		if b = b[1:]; len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	s.rest = b
	return true
}

func (s *scanner) word(w string) bool {
	if len(s.rest) < len(w) || string(s.rest[:len(w)]) != w {
		return false
	}
	s.rest = s.rest[len(w):]
	return true
}

// unescapes are what the short escapes stand for.
var unescapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// binaryText reads a string whose code points are bytes, U+0000 to U+00FF, into to. It returns
// how many there are, -1 if others are among them or more than fit.
func binaryText(to, quoted []byte) (n int) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return -1
	}
	for b := quoted[1 : len(quoted)-1]; len(b) > 0; n++ {
		if n == len(to) {
			return -1
		}
		switch c := b[0]; {
		case c != '\\' && c < utf8.RuneSelf:
			to[n], b = c, b[1:]
		case c != '\\':
			r, size := utf8.DecodeRune(b)
			if r > 0xff {
				return -1
			}
			to[n], b = byte(r), b[size:]
		case b[1] != 'u':
			to[n], b = unescapes[b[1]], b[2:]
		default:
			r := hex(b[2:6])
			if r > 0xff {
				return -1
			}
			to[n], b = byte(r), b[6:]
		}
	}
	return n
}
