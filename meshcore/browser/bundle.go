package browser

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"sort"
	"strings"
)

// The modules are written so that a few patterns find every import and export;
// bundle fails on what it does not understand. Tests run the result.
var (
	importAs    = regexp.MustCompile(`^import \* as (\w+) from "([^"]+)";$`)
	importNames = regexp.MustCompile(`^import \{ ([^}]+) \} from "([^"]+)";$`)
	importOnly  = regexp.MustCompile(`^import "([^"]+)";$`)
	exportList  = regexp.MustCompile(`^export \{ ([^}]+) \};$`)
	exported    = regexp.MustCompile(`^export (?:async )?(?:const|function\*?|class) (\w+)`)
	moreConsts  = regexp.MustCompile(`, (\w+) = `)
)

// bundler puts a module and all that it imports into one script, each module as
// a function that is called once, so that a page loads one file.
type bundler struct {
	files  fs.FS
	number map[string]int // of a module, in the order they run
	open   map[string]bool
	out    strings.Builder
}

// bundle gives the module name and all that it imports as one module with the
// exports of name.
func bundle(files fs.FS, name string) (string, error) {
	b := bundler{files: files, number: map[string]int{}, open: map[string]bool{}}
	names, err := b.add(name)
	if err != nil {
		return "", err
	}
	if len(names) > 0 {
		fmt.Fprintf(&b.out, "export const { %s } = $%d;\n", strings.Join(names, ", "), b.number[name])
	}
	return squeeze(b.out.String())
}

// add appends a module after those that it imports, and gives its exports.
func (b *bundler) add(name string) ([]string, error) {
	if b.open[name] {
		return nil, fmt.Errorf("bundle: %s imports itself by way of others; move what they share", name)
	}
	b.open[name] = true
	defer delete(b.open, name)
	text, err := fs.ReadFile(b.files, name)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var body strings.Builder
	exports := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "import ") && !strings.HasPrefix(line, "export ") {
			body.WriteString(line + "\n")
			continue
		}
		code, err := b.statement(name, line, exports)
		if err != nil {
			return nil, err
		}
		body.WriteString(code + "\n")
	}
	names := make([]string, 0, len(exports))
	for n := range exports {
		names = append(names, n)
	}
	sort.Strings(names)
	b.number[name] = len(b.number)
	fmt.Fprintf(&b.out, "const $%d = (() => {\n%sreturn { %s };\n})();\n", b.number[name], body.String(), strings.Join(names, ", "))
	return names, nil
}

// statement turns an import or export into what stands in its place.
func (b *bundler) statement(name, line string, exports map[string]bool) (string, error) {
	from := func(to string) (int, error) {
		to = path.Join(path.Dir(name), to)
		if n, ok := b.number[to]; ok {
			return n, nil
		}
		_, err := b.add(to)
		return b.number[to], err
	}
	if m := importAs.FindStringSubmatch(line); m != nil {
		n, err := from(m[2])
		return fmt.Sprintf("const %s = $%d;", m[1], n), err
	}
	if m := importNames.FindStringSubmatch(line); m != nil {
		n, err := from(m[2])
		return fmt.Sprintf("const { %s } = $%d;", strings.ReplaceAll(m[1], " as ", ": "), n), err
	}
	if m := importOnly.FindStringSubmatch(line); m != nil {
		_, err := from(m[1])
		return "", err
	}
	if m := exportList.FindStringSubmatch(line); m != nil {
		for n := range strings.SplitSeq(m[1], ", ") {
			exports[n] = true
		}
		return "", nil
	}
	m := exported.FindStringSubmatch(line)
	if m == nil {
		return "", fmt.Errorf("bundle: %s: %q is not written as bundle.go reads it", name, line)
	}
	exports[m[1]] = true
	if strings.HasPrefix(line, "export const ") && strings.HasSuffix(strings.TrimSpace(strings.SplitN(line, "//", 2)[0]), ";") && !strings.Contains(line, "(") {
		for _, more := range moreConsts.FindAllStringSubmatch(line, -1) {
			exports[more[1]] = true
		}
	}
	return strings.TrimPrefix(line, "export "), nil
}
