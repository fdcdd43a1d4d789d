// Command vulns reads what govulncheck -format json prints. It lists the known
// vulnerabilities of which the module calls something, and fails if a newer version of the
// library mends one. Those of the standard library go away with the toolchain, which is the
// machine's, and those that no version mends need another library: both are listed only.
//
//	govulncheck -format json ./... | go run ./internal/vulns
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// finding is a way from the module into something vulnerable, whose first frame that is.
type finding struct {
	OSV   string `json:"osv"`
	Fixed string `json:"fixed_version"`
	Trace []struct {
		Module   string `json:"module"`
		Version  string `json:"version"`
		Function string `json:"function"`
	} `json:"trace"`
}

func main() {
	mendable, err := list(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulns:", err)
	}
	if err != nil || mendable {
		os.Exit(1)
	}
}

// list prints each vulnerability once, and reports whether one can be mended by a newer
// version of a library.
func list(from io.Reader, to io.Writer) (mendable bool, err error) {
	seen, ran := map[string]bool{}, false
	for d := json.NewDecoder(from); ; {
		var m struct {
			Config  *struct{} `json:"config"`
			Finding *finding  `json:"finding"`
		}
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			if !ran {
				return false, errors.New("there is nothing to read: did govulncheck fail?")
			}
			return mendable, nil
		} else if err != nil {
			return false, fmt.Errorf("read the findings: %w", err)
		}
		f := m.Finding
		ran = ran || m.Config != nil
		if f == nil || len(f.Trace) == 0 || f.Trace[0].Function == "" || seen[f.OSV] {
			continue
		}
		seen[f.OSV] = true
		at := f.Trace[0]
		switch {
		case at.Module == "stdlib":
			fmt.Fprintf(to, "%s: the standard library, %s, mended in %s\n", f.OSV, at.Version, f.Fixed)
		case f.Fixed == "":
			fmt.Fprintf(to, "%s: %s %s, mended in no version\n", f.OSV, at.Module, at.Version)
		default:
			fmt.Fprintf(to, "%s: %s %s, take %s\n", f.OSV, at.Module, at.Version, f.Fixed)
			mendable = true
		}
	}
}
