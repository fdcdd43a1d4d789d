package caddymodule

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"

	"github.com/viewmesh/viewmesh/edge/insight"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "mesh",
		Usage: "status|export [--address ADDRESS] [--since TIME] [--interval TIME] [--split DIMENSION]",
		Short: "Shows what the mesh of a running Caddy does",
		Long: `
Shows what the mesh of a running Caddy does, by its admin API.

status prints viewers, offload and quality of playback of the last minute, by presentation.
export writes a series of figures as CSV: of the last --since (default 24h), at an --interval
(default: for at most 500 points), split by a dimension such as presentation, country or device.`,
		Flags: func() *flag.FlagSet {
			fs := flag.NewFlagSet("mesh", flag.ExitOnError)
			fs.String("address", "", "The address of the admin API; default: that of Caddy's default config")
			fs.String("since", "24h", "How far export goes back, such as 90m or 30d")
			fs.String("interval", "", "The time between two figures of export, such as 1m or 1h")
			fs.String("split", "", "The dimension that export splits by")
			return fs
		}(),
		Func: func(fl caddycmd.Flags) (int, error) {
			address, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), nil, "", "")
			if err != nil {
				return caddy.ExitCodeFailedStartup, fmt.Errorf("find the admin API: %w", err)
			}
			if fl.NArg() != 1 {
				return caddy.ExitCodeFailedStartup, errors.New("write caddy mesh status, or caddy mesh export")
			}
			q := url.Values{}
			for _, name := range []string{"since", "interval", "split"} {
				if v := fl.String(name); v != "" {
					q.Set(name, v)
				}
			}
			if err := runCommand(os.Stdout, address, fl.Arg(0), q); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		},
	})
}

// runCommand runs a subcommand against the admin API at an address.
func runCommand(out io.Writer, address, name string, q url.Values) error {
	switch name {
	case "status":
		body, err := fetch(address, "/mesh/data/now")
		if err != nil {
			return err
		}
		defer body.Close()
		var now insight.Now
		if err := json.NewDecoder(body).Decode(&now); err != nil {
			return fmt.Errorf("read the status: %w", err)
		}
		return printStatus(out, &now)
	case "export":
		q.Set("format", "csv")
		body, err := fetch(address, "/mesh/data/series?"+q.Encode())
		if err != nil {
			return err
		}
		defer body.Close()
		if _, err := io.Copy(out, body); err != nil {
			return fmt.Errorf("read the figures: %w", err)
		}
		return nil
	}
	return fmt.Errorf("caddy mesh has no command %q: write status or export", name)
}

// fetch asks the admin API. The caller closes the body.
func fetch(address, uri string) (io.ReadCloser, error) {
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodGet, uri, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the admin API: %w", err)
	}
	return resp.Body, nil
}

// printStatus prints what goes on, a line for each presentation.
func printStatus(out io.Writer, now *insight.Now) error {
	f := &now.Figures
	fmt.Fprintf(out, "%s: %d viewers, %.0f %% from peers, %s saved in the last minute\n", now.Time.Format(time.RFC3339), now.Viewers, 100*f.Offload, humanize.Bytes(uint64(max(0, f.SavedBytes))))
	if now.History != "" {
		fmt.Fprintf(out, "the history is not kept: %s\n", now.History)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PRESENTATION\tVIEWERS\tOFFLOAD\tRELAYED\tBUFFERING\tSTART-UP")
	for _, p := range now.Presentations {
		// What an URL holds may steer a terminal: quoted, it does not.
		fmt.Fprintf(w, "%+q\t%d\t%.0f %%\t%s\t%.1f %%\t%.0f ms\n", p.Name, p.Viewers, 100*p.Offload, humanize.Bytes(uint64(max(0, p.RelayedBytes))), 100*p.Buffering, p.StartupMS)
	}
	return w.Flush()
}
