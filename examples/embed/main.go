// Command embed is the mesh in a plain net/http server: one file to copy. It serves
// a folder with HLS or DASH streams, whose viewers take most segments from each other.
//
//	go run ./examples/embed
//	go run ./examples/embed --listen 127.0.0.1:8080 --media /srv/video --state /var/lib/video
//
// Without --media it serves the sample stream. Open http://localhost:8080/ in two
// windows, or start viewers with
//
//	go run ./examples/peer http://localhost:8080/index.m3u8
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/examples/media"
	"github.com/viewmesh/viewmesh/tokens"
)

// page is a viewer: the script makes the page a peer, whatever its player is.
const page = `<!doctype html>
<meta charset="utf-8">
<title>The mesh in a plain Go server</title>
<script type="module" src="/mesh/mesh.js"></script>
<video src="/index.m3u8" controls muted autoplay playsinline width="640"></video>
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. The first line that it prints ends in its URL.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("embed", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")
	folder := flags.String("media", "", "`folder` with streams, index.m3u8 in it (default: the sample stream)")
	state := flags.String("state", "", "`folder` that keeps keys and secret over a restart (default: they are new each time)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; everything is a flag, see --help", flags.Arg(0))
	}

	files := media.Sample()
	if *folder != "" {
		files = os.DirFS(*folder)
	}
	streams := http.FileServerFS(files)
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			fmt.Fprint(w, page)
			return
		}
		streams.ServeHTTP(w, r)
	})
	for ext, kind := range map[string]string{".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".m4s": "video/iso.segment"} {
		if err := mime.AddExtensionType(ext, kind); err != nil {
			return fmt.Errorf("name the type of %s files: %w", ext, err)
		}
	}

	// The mesh: an edge, and a policy for the site that it stands before.
	keys, secret, err := load(*state)
	if err != nil {
		return err
	}
	mesh, err := edge.New(edge.Config{Secret: secret, Keys: func() *tokens.Keyring { return keys }})
	if err != nil {
		return fmt.Errorf("start the mesh: %w", err)
	}
	defer mesh.Close()
	handler := mesh.Wrap(edge.Policy{Stats: true}, site)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen for viewers: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "open http://%s\n", listener.Addr())
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	mesh.Close() // sends viewers away in good order, before the server goes
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(end)
}

// load reads the keys that sign, and the secret behind the ids of swarms, or makes
// them. With new ones all viewers have to join again.
func load(folder string) (*tokens.Keyring, []byte, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, nil, fmt.Errorf("make the secret: %w", err)
	}
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("make the keys: %w", err)
	}
	if folder == "" {
		return keys, secret, nil
	}
	private, err := keys.MarshalPrivate()
	if err != nil {
		return nil, nil, fmt.Errorf("write the keys: %w", err)
	}
	if secret, err = kept(filepath.Join(folder, "secret"), secret); err != nil {
		return nil, nil, err
	}
	if private, err = kept(filepath.Join(folder, "keys.json"), private); err != nil {
		return nil, nil, err
	}
	if keys, err = tokens.ParseKeyring(private); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", filepath.Join(folder, "keys.json"), err)
	}
	return keys, secret, nil
}

// kept returns what a file holds. A file that is not there is written first.
func kept(file string, fresh []byte) ([]byte, error) {
	b, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	return fresh, os.WriteFile(file, fresh, 0o600)
}
