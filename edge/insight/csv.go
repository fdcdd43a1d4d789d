package insight

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// columns are the names of the fields of Figures, in their order.
var columns = func() (names []string) {
	t := reflect.TypeFor[Figures]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}()

// writeCSV writes groups, a line for each point of a series, or for each group.
func writeCSV(w io.Writer, groups []Group, series bool) error {
	out := csv.NewWriter(w)
	head := []string{"value"}
	if series {
		head = append(head, "time")
	}
	if err := out.Write(append(head, columns...)); err != nil {
		return err
	}
	line := func(value string, at time.Time, f Figures) error {
		fields := []string{formula(value)}
		if series {
			fields = append(fields, at.Format(time.RFC3339))
		}
		v := reflect.ValueOf(f)
		for i := range v.NumField() {
			n, err := json.Marshal(v.Field(i).Interface())
			if err != nil {
				return fmt.Errorf("write a number: %w", err)
			}
			fields = append(fields, string(n))
		}
		return out.Write(fields)
	}
	for _, g := range groups {
		if !series {
			if err := line(g.Value, time.Time{}, g.Figures); err != nil {
				return err
			}
		}
		for _, p := range g.Points {
			if err := line(g.Value, p.Time, p.Figures); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// formula keeps a spreadsheet from running a value that a viewer has made up.
func formula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
