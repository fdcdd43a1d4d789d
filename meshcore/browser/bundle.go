package browser

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The modules are written so that a few patterns find every import, export and
// name at the top; bundle fails on what it does not understand. Tests run the
// result.
var (
	importAs    = regexp.MustCompile(`^import \* as (\w+) from "([^"]+)";$`)
	importNames = regexp.MustCompile(`^import \{ ([^}]+) \} from "([^"]+)";$`)
	importOnly  = regexp.MustCompile(`^import "([^"]+)";$`)
	exportList  = regexp.MustCompile(`^export \{ ([^}]+) \};$`)
	declared    = regexp.MustCompile(`^(?:async )?(?:const|let|function\*?|class) (\w+)`)
	moreConsts  = regexp.MustCompile(`, (\w+) = `)
)

// globals are names of the browser that a module may use for its own, and others
// for the browser's.
var globals = strings.Fields("atob blur btoa caches close closed confirm console crypto document event fetch find focus frames history length " +
	"location name navigator open opener origin parent performance postMessage print prompt screen scroll self status stop top window")

// bundler puts a module and all that it imports into one script, so that a page
// loads one file. Modules lie one after another in one scope. One whose names
// would meet those of others or of the browser, or that is imported as a whole, is
// a function that is called once and gives an object with its exports.
type bundler struct {
	files   fs.FS
	modules map[string]*module
	open    map[string]bool
	whole   map[string]bool   // modules that are imported as a whole
	top     map[string]string // what each name in the one scope means
	out     strings.Builder
}

// module is one that was added.
type module struct {
	number  int  // in the order they run
	closed  bool // in a function of its own
	exports map[string]bool
}

// binding is a name that a module imports.
type binding struct{ local, name, from string }

// bundle gives the module name and all that it imports as one module with the
// exports of name.
func bundle(files fs.FS, name string) (string, error) {
	b := bundler{files: files, modules: map[string]*module{}, open: map[string]bool{}, whole: map[string]bool{}, top: map[string]string{}}
	if err := b.scan(name, map[string]bool{}); err != nil {
		return "", err
	}
	m, err := b.add(name)
	if err != nil {
		return "", err
	}
	if names := strings.Join(slices.Sorted(maps.Keys(m.exports)), ", "); names != "" && m.closed {
		fmt.Fprintf(&b.out, "export const { %s } = $%d;\n", names, m.number)
	} else if names != "" {
		fmt.Fprintf(&b.out, "export { %s };\n", names)
	}
	return squeeze(b.out.String())
}

// scan finds the modules that are imported as a whole.
func (b *bundler) scan(name string, seen map[string]bool) error {
	if seen[name] {
		return nil
	}
	seen[name] = true
	text, err := fs.ReadFile(b.files, name)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		to := ""
		if m := importAs.FindStringSubmatch(line); m != nil {
			to = path.Join(path.Dir(name), m[2])
			b.whole[to] = true
		} else if m := importNames.FindStringSubmatch(line); m != nil {
			to = path.Join(path.Dir(name), m[2])
		} else if m := importOnly.FindStringSubmatch(line); m != nil {
			to = path.Join(path.Dir(name), m[1])
		}
		if to != "" {
			if err := b.scan(to, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// add appends a module after those that it imports.
func (b *bundler) add(name string) (*module, error) {
	if m := b.modules[name]; m != nil {
		return m, nil
	}
	if b.open[name] {
		return nil, fmt.Errorf("bundle: %s imports itself by way of others; move what they share", name)
	}
	b.open[name] = true
	defer delete(b.open, name)
	text, err := fs.ReadFile(b.files, name)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	m := &module{exports: map[string]bool{}}
	var body strings.Builder
	var imports []binding
	own := map[string]string{} // what the names at its top mean
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "import "):
			more, err := b.imports(name, line)
			if err != nil {
				return nil, err
			}
			imports = append(imports, more...)
			continue
		case strings.HasPrefix(line, "export {"):
			list := exportList.FindStringSubmatch(line)
			if list == nil {
				return nil, unread(name, line)
			}
			for n := range strings.SplitSeq(list[1], ", ") {
				m.exports[n] = true
			}
			continue
		}
		code, exported := strings.CutPrefix(line, "export ")
		names := declarations(code)
		if exported && len(names) == 0 {
			return nil, unread(name, line)
		}
		for _, n := range names {
			own[n] = name
			if exported {
				m.exports[n] = true
			}
		}
		body.WriteString(code + "\n")
	}
	b.write(name, m, imports, own, body.String())
	b.modules[name] = m
	return m, nil
}

func unread(name, line string) error {
	return fmt.Errorf("bundle: %s: %q is not written as bundle.go reads it", name, line)
}

// declarations gives the names that a line declares, if it begins in the first
// column. One that it misses is a syntax error of the bundle where it meets
// another.
func declarations(line string) []string {
	m := declared.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	names := []string{m[1]}
	code := strings.TrimSpace(strings.SplitN(line, "//", 2)[0])
	if !strings.HasPrefix(line, "const ") || !strings.HasSuffix(code, ";") || strings.Contains(line, "(") {
		return names
	}
	for _, more := range moreConsts.FindAllStringSubmatch(code, -1) {
		names = append(names, more[1])
	}
	return names
}

// imports adds the module that a line imports, and gives the names; name is empty
// where the whole of it has one.
func (b *bundler) imports(name, line string) ([]binding, error) {
	if m := importAs.FindStringSubmatch(line); m != nil {
		from := path.Join(path.Dir(name), m[2])
		_, err := b.add(from)
		return []binding{{local: m[1], from: from}}, err
	}
	if m := importOnly.FindStringSubmatch(line); m != nil {
		_, err := b.add(path.Join(path.Dir(name), m[1]))
		return nil, err
	}
	m := importNames.FindStringSubmatch(line)
	if m == nil {
		return nil, unread(name, line)
	}
	from := path.Join(path.Dir(name), m[2])
	if _, err := b.add(from); err != nil {
		return nil, err
	}
	var all []binding
	for n := range strings.SplitSeq(m[1], ", ") {
		exported, local, renamed := strings.Cut(n, " as ")
		if !renamed {
			local = exported
		}
		all = append(all, binding{local, exported, from})
	}
	return all, nil
}

// meaning is the expression for what a binding names.
func (b *bundler) meaning(i binding) string {
	from := b.modules[i.from]
	switch {
	case i.name == "":
		return fmt.Sprintf("$%d", from.number)
	case from.closed:
		return fmt.Sprintf("$%d.%s", from.number, i.name)
	}
	return i.name
}

// write appends a module's code.
func (b *bundler) write(name string, m *module, imports []binding, own map[string]string, body string) {
	m.number = len(b.modules)
	m.closed = b.whole[name]
	for n := range own {
		_, taken := b.top[n]
		m.closed = m.closed || taken || slices.Contains(globals, n)
	}
	for _, i := range imports {
		is, taken := b.top[i.local]
		m.closed = m.closed || (taken && b.meaning(i) != i.local && is != b.meaning(i))
	}
	var head strings.Builder
	for _, i := range imports {
		is := b.meaning(i)
		if is == i.local || b.top[i.local] == is {
			continue
		}
		fmt.Fprintf(&head, "const %s = %s;\n", i.local, is)
		if !m.closed {
			b.top[i.local] = is
		}
	}
	if !m.closed {
		maps.Copy(b.top, own)
		b.out.WriteString(head.String() + body)
		return
	}
	fmt.Fprintf(&b.out, "const $%d = (() => {\n%s%sreturn { %s };\n})();\n", m.number, head.String(), body,
		strings.Join(slices.Sorted(maps.Keys(m.exports)), ", "))
}
