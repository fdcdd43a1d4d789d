package tokens

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxCones bounds the ways in which a pattern is read.
const maxCones = 64

// cone is a part of a pattern's language that path prefixes can say: whatever begins
// with a match of head is in it, followed by anything that a URI may hold.
type cone struct {
	head *regexp.Regexp // at the beginning
	dir  string         // directory that head ends with, "" if that is no literal
}

// scopeOf returns the path prefixes of a site below which every URI is in a cone: the
// literal ones of the cones, or else the shortest directory of a path that the pattern is
// known to match.
func scopeOf(cones []cone, site, path string) (scope []string) {
	for _, c := range cones {
		for _, dir := range append([]string{c.dir}, directories(path)...) {
			if !isPlainPath(dir) || !c.head.MatchString(site+dir) {
				continue
			}
			if !slices.ContainsFunc(scope, func(s string) bool { return CoversPath(s, dir) }) {
				scope = slices.DeleteFunc(scope, func(s string) bool { return CoversPath(dir, s) })
				scope = append(scope, dir)
			}
			break
		}
	}
	return scope
}

// directories returns the directories that a path lies in, the widest first.
func directories(path string) (dirs []string) {
	for i := range len(path) {
		if path[i] == '/' {
			dirs = append(dirs, path[:i+1])
		}
	}
	return dirs
}

// conesOf finds cones of a pattern that has to match the whole URI. They never hold
// more than the pattern matches: where a part is not understood, it yields none.
func conesOf(tree *syntax.Regexp) []cone {
	r := coneReader{left: maxCones}
	r.read(nil, []*syntax.Regexp{tree})
	return r.cones
}

type coneReader struct {
	cones []cone
	left  int
}

// read walks what follows head.
func (r *coneReader) read(head, rest []*syntax.Regexp) {
	if r.left--; r.left < 0 {
		return
	}
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part.Op {
		case syntax.OpCapture, syntax.OpConcat:
			rest = slices.Concat(part.Sub, rest)
			continue
		case syntax.OpAlternate:
			for _, sub := range part.Sub {
				r.read(head, slices.Concat([]*syntax.Regexp{sub}, rest))
			}
			return
		case syntax.OpQuest:
			r.read(head, slices.Concat(part.Sub, rest))
			continue // without it
		case syntax.OpStar:
			if isAnything(part, rest) {
				r.add(head)
				return
			}
		}
		head = append(slices.Clip(head), part)
	}
}

// add adds the cone of a head, unless that can only match at the end.
func (r *coneReader) add(head []*syntax.Regexp) {
	if slices.ContainsFunc(head, asksForEnd) {
		return
	}
	re, err := regexp.Compile("^(?:" + (&syntax.Regexp{Op: syntax.OpConcat, Sub: head}).String() + ")")
	if err != nil {
		return
	}
	c := cone{head: re}
	text := ""
	for i := len(head) - 1; i >= 0; i-- {
		part := head[i]
		if part.Op != syntax.OpLiteral || part.Flags&syntax.FoldCase != 0 {
			break
		}
		text = string(part.Rune) + text
	}
	if _, after, ok := strings.Cut(text, "://"); ok {
		text = after
	}
	if slash := strings.IndexByte(text, '/'); slash >= 0 && strings.HasSuffix(text, "/") {
		c.dir = text[slash:]
	}
	r.cones = append(r.cones, c)
}

// asksForEnd reports whether a part depends on what follows it.
func asksForEnd(part *syntax.Regexp) bool {
	switch part.Op {
	case syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(part.Sub, asksForEnd)
}

// isAnything reports whether a star and what follows it match whatever a URI may hold:
// any path and any query, whether written as one star or as one of each.
func isAnything(star *syntax.Regexp, rest []*syntax.Regexp) bool {
	if holds(star.Sub[0], "") {
		return canBeEmpty(rest)
	}
	return holds(star.Sub[0], "?") && len(rest) > 0 && isAnyQuery(rest[0]) && canBeEmpty(rest[1:])
}

// isAnyQuery reports whether a part matches nothing, and any query with its question mark.
func isAnyQuery(part *syntax.Regexp) bool {
	optional := false
	for part.Op == syntax.OpCapture || part.Op == syntax.OpQuest {
		optional = optional || part.Op == syntax.OpQuest
		part = part.Sub[0]
		if optional && part.Op == syntax.OpConcat && len(part.Sub) == 2 {
			star := part.Sub[1]
			for star.Op == syntax.OpCapture {
				star = star.Sub[0]
			}
			return part.Sub[0].Op == syntax.OpLiteral && string(part.Sub[0].Rune) == "?" && star.Op == syntax.OpStar && holds(star.Sub[0], "")
		}
	}
	return false
}

// holds reports whether a part matches each single character that a URI may hold, but
// those in except.
func holds(part *syntax.Regexp, except string) bool {
	for part.Op == syntax.OpCapture {
		part = part.Sub[0]
	}
	switch part.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpCharClass:
		for c := '!'; c <= '~'; c++ {
			if c != '#' && !strings.ContainsRune(except, c) && !inClass(part, c) {
				return false
			}
		}
		return true
	}
	return false
}

func inClass(class *syntax.Regexp, c rune) bool {
	for i := 0; i+1 < len(class.Rune); i += 2 {
		if class.Rune[i] <= c && c <= class.Rune[i+1] {
			return true
		}
	}
	return false
}

// canBeEmpty reports whether parts one after another match nothing, too.
func canBeEmpty(parts []*syntax.Regexp) bool {
	for _, p := range parts {
		switch p.Op {
		case syntax.OpEmptyMatch, syntax.OpStar, syntax.OpQuest, syntax.OpEndText, syntax.OpEndLine:
		case syntax.OpCapture, syntax.OpConcat, syntax.OpPlus:
			if !canBeEmpty(p.Sub) {
				return false
			}
		case syntax.OpRepeat:
			if p.Min > 0 && !canBeEmpty(p.Sub) {
				return false
			}
		case syntax.OpAlternate:
			if !slices.ContainsFunc(p.Sub, func(s *syntax.Regexp) bool { return canBeEmpty([]*syntax.Regexp{s}) }) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
