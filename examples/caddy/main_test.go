package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/internal/freeport"
)

const marker = "# ---- every option ----\n"

// example gives the demo and the reference of Caddyfile.example, the latter
// without its comment signs.
func example(t *testing.T) (demo, reference string) {
	t.Helper()
	b, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if string(caddyfile.Format(b)) != string(b) {
		t.Error("Caddyfile.example is not formatted; run: go run ./examples/caddy fmt --overwrite Caddyfile.example")
	}
	demo, rest, ok := strings.Cut(string(b), marker)
	if !ok {
		t.Fatalf("Caddyfile.example has no line %q", marker)
	}
	for line := range strings.Lines(rest) {
		// Prose and the short example stand behind "# " and "#\t".
		if text, ok := strings.CutPrefix(line, "# "); ok && (text[0] == '\t' || strings.ContainsAny(text[len(text)-2:], "{}")) {
			reference += text
		}
	}
	return demo, reference
}

// TestMain runs the tests where README's commands run.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func adapt(t *testing.T, name, config string) []byte {
	t.Helper()
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": name})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("%s: %s", name, w.Message)
	}
	return out
}

// TestExampleRuns runs the demo of Caddyfile.example, on other ports and with a
// storage of its own, and looks at all that it promises.
func TestExampleRuns(t *testing.T) {
	demo, _ := example(t)
	port := freeport.Port(t)
	for old, other := range map[string]string{
		":8080": ":" + port, ":3478": ":0", "admin off": "admin off\n\tlog {\n\t\toutput discard\n\t}\n\tgrace_period 1s\n\tstorage file_system " + t.TempDir(),
	} {
		if !strings.Contains(demo, old) {
			t.Fatalf("Caddyfile.example has no %q", old)
		}
		demo = strings.ReplaceAll(demo, old, other)
	}
	if err := caddy.Load(adapt(t, "Caddyfile", string(caddyfile.Format([]byte(demo)))), true); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	}()
	get := func(path string) (http.Header, []byte) {
		t.Helper()
		resp, err := http.Get("http://127.0.0.1:" + port + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return resp.Header, b
	}
	if _, page := get("/"); !strings.Contains(string(page), "<video") {
		t.Error("the start page has no player")
	}
	for _, dir := range []string{"/vod/", "/live/"} {
		h, playlist := get(dir + "index.m3u8")
		_, rest, ok := strings.Cut(h.Get("Mesh-Bootstrap"), `swarm="`)
		if !ok {
			t.Fatalf("%s has no bootstrap: %v", dir, h)
		}
		swarm, _, _ := strings.Cut(rest, `"`)
		resp, err := http.Post("http://127.0.0.1:"+port+"/mesh/session", "application/json", strings.NewReader(fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm)))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: session: %d, %v", dir, resp.StatusCode, err)
		}
		for _, want := range []string{`"stun:127.0.0.1:`, `"turn:127.0.0.1:`, `?transport=udp"`, `?transport=tcp"`} {
			if !strings.Contains(string(answer), want) {
				t.Errorf("%s: the session's ICE servers have no %s: %s", dir, want, answer)
			}
		}
		rendition := lastURI(playlist)
		_, media := get(dir + rendition)
		h, _ = get(dir + rendition[:strings.LastIndex(rendition, "/")+1] + lastURI(media))
		if h.Get("Mesh-Segment") == "" && dir == "/vod/" {
			t.Errorf("%s: the first answer of a file has no token", dir)
		}
	}
	var stats struct {
		Egress int64 `json:"origin_egress_bytes"`
	}
	if _, b := get("/mesh/stats"); json.Unmarshal(b, &stats) != nil || stats.Egress == 0 {
		t.Errorf("stats: %s", b)
	}
	http.DefaultClient.CloseIdleConnections()
}

// lastURI is the last line of a playlist that is a URI.
func lastURI(playlist []byte) string {
	lines := slices.Collect(strings.Lines(string(playlist)))
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// TestReferenceAdapts: the reference is a config that Caddy takes, and it has
// every option that there is.
func TestReferenceAdapts(t *testing.T) {
	_, reference := example(t)
	adapt(t, "Caddyfile.example", string(caddyfile.Format([]byte(reference))))
	var source []byte
	for _, file := range []string{"caddyfile.go", "turn/caddyfile.go", "viewertokens/caddyfile.go"} {
		b, err := os.ReadFile("caddymodule/" + file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, b...)
	}
	n := 0
	for line := range strings.Lines(string(source)) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), `":`)
		if !ok || !strings.HasPrefix(line, "\t\t\"") {
			continue
		}
		n++
		if !strings.Contains(reference, "\t"+name[1:]+" ") {
			t.Errorf("the reference has no option %s", name[1:])
		}
	}
	if n < 20 {
		t.Errorf("found only %d options in the source", n)
	}
}
