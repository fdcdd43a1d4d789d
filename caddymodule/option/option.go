// Package option reads the options of a Caddyfile block, so that every block of the
// module treats unknown, repeated and malformed ones alike.
package option

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Func reads the arguments of one option.
type Func func(d *caddyfile.Dispenser) error

// Parse reads the options of a block. One that is not known, or that comes
// twice, is an error, which names the file and the line.
func Parse(d *caddyfile.Dispenser, of string, options map[string]Func, repeatable ...string) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse, ok := options[name]
		if !ok {
			return d.Errf("%s has no option %q", of, name)
		}
		again := false
		for _, r := range repeatable {
			again = again || r == name
		}
		if seen[name] && !again {
			return d.Errf("%s has option %q twice", of, name)
		}
		seen[name] = true
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// Wrap adds the file and the line to err, if there is one.
func Wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

// One reads the only argument of an option.
func One(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

// String reads one argument.
func String(to *string) Func {
	return func(d *caddyfile.Dispenser) error { return One(d, to) }
}

// Pair reads one argument or two.
func Pair(first, second *string) Func {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 {
			return d.ArgErr()
		}
		*first = args[0]
		if len(args) == 2 {
			*second = args[1]
		}
		return nil
	}
}

// List reads one argument or more and adds them to those of earlier lines.
func List(to *[]string) Func {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		*to = append(*to, args...)
		return nil
	}
}

// Flag reads nothing or on, which is true, or off.
func Flag(to *bool) Func {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		args := d.RemainingArgs()
		switch {
		case len(args) == 0, len(args) == 1 && args[0] == "on":
			*to = true
		case len(args) == 1 && args[0] == "off":
			*to = false
		default:
			return d.Errf("%s: give on or off", name)
		}
		return nil
	}
}

// value reads one argument that is no placeholder; wanted says what to write where parse
// refuses it.
func value[T any](to *T, wanted string, parse func(string) (T, bool)) Func {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var s string
		if err := One(d, &s); err != nil {
			return err
		}
		if err := notLater(d, name, s); err != nil {
			return err
		}
		v, ok := parse(s)
		if !ok {
			return d.Errf("%s %q: give %s", name, s, wanted)
		}
		*to = v
		return nil
	}
}

// Float reads a number, not negative. of says what 1 is.
func Float(to *float64, of string) Func {
	return value(to, "a number, 1 for "+of, func(s string) (float64, bool) {
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && f >= 0 && !math.IsInf(f, 0)
	})
}

// Int reads a whole number, not negative.
func Int(to *int) Func {
	return value(to, "a whole number", func(s string) (int, bool) {
		n, err := strconv.ParseInt(s, 10, 32)
		return int(n), err == nil && n >= 0
	})
}

// Size reads a number of bytes with or without a unit, such as 2MiB.
func Size(to *int64) Func {
	return value(to, "a size, such as 2MiB", func(s string) (int64, bool) {
		n, err := humanize.ParseBytes(s)
		return int64(n), err == nil && n <= math.MaxInt64/8
	})
}

// Duration reads a duration of a second or more.
func Duration(to *caddy.Duration) Func {
	return value(to, "a duration of a second or more, such as 10m", func(s string) (caddy.Duration, bool) {
		v, err := caddy.ParseDuration(s)
		return caddy.Duration(v), err == nil && v >= time.Second
	})
}

// OneOf reads one of the values.
func OneOf(to *string, values ...string) Func {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if err := One(d, to); err != nil {
			return err
		}
		if !IsLater(*to) && !slices.Contains(values, *to) {
			return d.Errf("%s %q: give one of %v", name, *to, values)
		}
		return nil
	}
}
