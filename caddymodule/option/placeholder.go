package option

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// placeholder matches those placeholders of Caddy that do not depend on a request.
// Other braces, as in a regular expression, stay what they are.
var placeholder = regexp.MustCompile(`\{(env|file|system|time)\.[^{}]+\}`)

// IsLater reports whether a value stands for one that is known when the config is
// provisioned, as {env.NAME} does, and can be checked only then.
func IsLater(value string) bool { return placeholder.MatchString(value) }

// HasLater reports whether a string of config, a pointer to a struct, is one of
// which IsLater is true.
func HasLater(config any) (later bool) {
	_ = eachString(reflect.ValueOf(config), "", func(_ string, s *string) error {
		later = later || IsLater(*s)
		return nil
	})
	return later
}

// Expand replaces the placeholders in all strings of config, a pointer to a struct,
// in what it embeds and points to, and in its slices. The error names the option.
func Expand(config any) error {
	repl := caddy.NewReplacer()
	return eachString(reflect.ValueOf(config), "", func(name string, s *string) error {
		var err error
		*s = placeholder.ReplaceAllStringFunc(*s, func(p string) string {
			value, known := repl.GetString(strings.Trim(p, "{}"))
			if (!known || value == "") && err == nil {
				err = fmt.Errorf("%s: %s is empty; set what it stands for", name, p)
			}
			return value
		})
		return err
	})
}

// eachString calls f with the strings of v and the JSON names of their fields.
func eachString(v reflect.Value, name string, f func(name string, s *string) error) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return eachString(v.Elem(), name, f)
		}
	case reflect.String:
		if s, ok := v.Addr().Interface().(*string); ok {
			return f(name, s)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.String && k != reflect.Struct {
			return nil
		}
		for i := range v.Len() {
			if err := eachString(v.Index(i), name, f); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || (tag == "" && !field.Anonymous) {
				continue
			}
			if err := eachString(v.Field(i), tag, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// notLater refuses a placeholder where a number is wanted.
func notLater(d *caddyfile.Dispenser, name, value string) error {
	if !IsLater(value) {
		return nil
	}
	return d.Errf("%s %q: a number cannot be a placeholder; write {$NAME} for a variable of the environment", name, value)
}
