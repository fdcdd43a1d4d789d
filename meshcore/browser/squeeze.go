package browser

import (
	"errors"
	"strings"
)

// errSqueeze: the text ends inside a string or a comment.
var errSqueeze = errors.New("squeeze: script ends inside a string, a template, a regular expression or a comment")

// squeeze takes comments, indentation and the spaces beside punctuation out of a
// script. Line ends stay, because a statement may end with them.
func squeeze(text string) (string, error) {
	s := squeezer{in: text}
	for s.at < len(s.in) {
		if err := s.step(); err != nil {
			return "", err
		}
	}
	if len(s.depth) > 0 {
		return "", errSqueeze
	}
	return s.out.String(), nil
}

type squeezer struct {
	in    string
	at    int
	out   strings.Builder
	last  byte   // of the code that was written, 0 at the start
	word  string // that ends with last
	gap   bool   // a space was written after last
	depth []int  // braces open within each template's ${
}

// step takes one token, comment or run of white space.
func (s *squeezer) step() error {
	c := s.in[s.at]
	rest := s.in[s.at:]
	switch {
	case strings.HasPrefix(rest, "//"):
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		s.at += n
	case strings.HasPrefix(rest, "/*"):
		n := strings.Index(rest, "*/")
		if n < 0 {
			return errSqueeze
		}
		s.at += n + 2
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		s.space()
	case c == '"' || c == '\'':
		return s.quoted(c)
	case c == '`':
		return s.template(1)
	case c == '/' && s.beginsRegexp():
		return s.regexp()
	case c == '}' && len(s.depth) > 0 && s.depth[len(s.depth)-1] == 0:
		s.depth = s.depth[:len(s.depth)-1]
		return s.template(1)
	default:
		if len(s.depth) > 0 {
			switch c {
			case '{':
				s.depth[len(s.depth)-1]++
			case '}':
				s.depth[len(s.depth)-1]--
			}
		}
		s.put(s.in[s.at : s.at+1])
		s.at++
	}
	return nil
}

// put writes code and remembers the word that it ends with.
func (s *squeezer) put(code string) {
	s.out.WriteString(code)
	for i := range len(code) {
		if isWord(code[i]) {
			if !isWord(s.last) || s.gap {
				s.word = ""
			}
			s.word += code[i : i+1]
		}
		s.last, s.gap = code[i], false
	}
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '#' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// space takes white space and comments after it, and writes what is needed of
// them: a line end, or a space between what would run together.
func (s *squeezer) space() {
	line := false
	for s.at < len(s.in) {
		rest := s.in[s.at:]
		if c := rest[0]; c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			line = line || c == '\n'
			s.at++
			continue
		}
		if n := strings.IndexByte(rest, '\n'); strings.HasPrefix(rest, "//") && n >= 0 {
			s.at += n
			continue
		}
		if n := strings.Index(rest, "*/"); strings.HasPrefix(rest, "/*") && n >= 0 {
			s.at += n + 2
			continue
		}
		break
	}
	if s.at == len(s.in) || s.last == 0 || s.last == '\n' {
		return
	}
	next := s.in[s.at]
	switch {
	case line && strings.IndexByte("{(,;[=&|?:", s.last) < 0:
		s.put("\n")
	case line:
	case isWord(s.last) && isWord(next), s.last == next && (next == '+' || next == '-'), next == '/' || s.last == '/':
		s.out.WriteByte(' ')
		s.gap = true
	}
}

func (s *squeezer) quoted(quote byte) error {
	for i := s.at + 1; i < len(s.in); i++ {
		switch s.in[i] {
		case '\\':
			i++
		case quote:
			s.put(s.in[s.at : i+1])
			s.at = i + 1
			return nil
		}
	}
	return errSqueeze
}

// template copies a template from its first byte, or from the brace that ends an
// expression in it, to its end or the next expression.
func (s *squeezer) template(skip int) error {
	for i := s.at + skip; i < len(s.in); i++ {
		switch {
		case s.in[i] == '\\':
			i++
		case s.in[i] == '`':
			s.put(s.in[s.at : i+1])
			s.at = i + 1
			return nil
		case strings.HasPrefix(s.in[i:], "${"):
			s.put(s.in[s.at : i+2])
			s.at = i + 2
			s.depth = append(s.depth, 0)
			return nil
		}
	}
	return errSqueeze
}

// beginsRegexp says whether a slash begins a regular expression: what stands
// before cannot end a value.
func (s *squeezer) beginsRegexp() bool {
	if isWord(s.last) {
		switch s.word {
		case "return", "typeof", "case", "in", "of", "await", "yield":
			return true
		}
		return false
	}
	return s.last == 0 || strings.IndexByte(")]}\"'`", s.last) < 0
}

func (s *squeezer) regexp() error {
	class := false
	for i := s.at + 1; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '\\':
			i++
		case c == '\n':
			return errSqueeze
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			s.put(s.in[s.at : i+1])
			s.at = i + 1
			return nil
		}
	}
	return errSqueeze
}
