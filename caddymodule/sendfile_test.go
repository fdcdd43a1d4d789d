package caddymodule_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/internal/program"
)

// TestSendfile runs this test binary as a Caddy under strace and counts the
// bytes of a segment that the kernel sends from the file, with and without
// mesh. With mesh it is to be nearly all, also with Caddy's default timeouts,
// under which Caddy alone copies.
func TestSendfile(t *testing.T) {
	strace := program.Need(t, "counts what the kernel sends from a file", "strace", "strace")
	const size = 3_000_001
	dir := vod(t, 1, size)
	for _, c := range []struct {
		name, global, site, rng string
		want                    int // bytes of the second answer
	}{
		{"defaults", "", "mesh", "", size},
		{"no write_idle", "servers {\n timeouts {\n write_idle -1s\n }\n }", "mesh", "", size},
		{"encode", "", "encode\n mesh", "", size},
		{"range", "", "mesh", "bytes=1000-2500000", 2_499_001},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &edge{t: t, storage: t.TempDir(), addr: freeport.Addr(t)}
			e.client = newClient()
			t.Cleanup(e.client.CloseIdleConnections)
			trace := filepath.Join(t.TempDir(), "trace")
			cmd := exec.Command(strace, "-f", "-qq", "-e", "trace=sendfile", "-o", trace, os.Args[0], "-test.run=^TestServeForStrace$")
			file := filepath.Join(t.TempDir(), "Caddyfile")
			config := e.caddyfile("mesh {\n stun off\n }\n"+c.global, c.site+"\n root "+dir+"\n file_server")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd.Env = append(os.Environ(), "VIEWMESH_SERVE="+file)
			in, err := cmd.StdinPipe() // the server ends with it
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer // not read before Wait
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				in.Close()
				_ = cmd.Wait()
			}()
			waitFor(t, func() bool { _, _, err := e.try("GET", "/vod/v0/index.m3u8", ""); return err == nil })
			for range 2 { // the first answer makes the digest, the second knows it
				resp, body := e.get("/vod/v0/seg-0.m4s", "Range", c.rng)
				if len(body) != c.want || resp.Header.Get(headerSegment) == "" {
					t.Fatalf("%d, %d bytes, token %q", resp.StatusCode, len(body), resp.Header.Get(headerSegment))
				}
			}
			in.Close()
			if err := cmd.Wait(); err != nil {
				if strings.Contains(out.String(), "ptrace") || strings.Contains(out.String(), "PTRACE") {
					program.Lacks(t, "strace may not trace on this machine: "+out.String())
				}
				t.Fatalf("%v\n%s", err, out.String())
			}
			b, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			sent := sentBytes(string(b))
			t.Logf("%d of %d bytes by sendfile", sent, 2*c.want)
			if sent < 2*c.want*95/100 || sent > 2*c.want {
				t.Errorf("%d bytes went by sendfile, of %d", sent, 2*c.want)
			}
		})
	}
}

// TestServeForStrace is no test: it is the Caddy that TestSendfile traces.
func TestServeForStrace(t *testing.T) {
	file := os.Getenv("VIEWMESH_SERVE")
	if file == "" {
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{t: t}
	if err := e.tryLoad(string(b)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = caddy.Stop()
}

// sentBytes adds up what the sendfile calls of a trace returned. A call that was
// interrupted in the trace is in two lines, of which the second has the result.
func sentBytes(trace string) int {
	sum := 0
	for line := range strings.Lines(trace) {
		at := strings.LastIndex(line, "= ")
		if at < 0 || !strings.Contains(line, "sendfile") {
			continue
		}
		var n int
		if _, err := fmt.Sscan(line[at+2:], &n); err == nil && n > 0 {
			sum += n
		}
	}
	return sum
}
