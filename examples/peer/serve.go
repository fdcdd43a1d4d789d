package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/gateway"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
)

// shutdownWait is how long the player's last requests may take.
const shutdownWait = 2 * time.Second

// serve runs the gateway until ctx ends, and prints what came from where.
func serve(ctx context.Context, o options, log *slog.Logger, logs *aside, out io.Writer) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen for the player: %w", err)
	}
	g := gateway.New(gateway.Config{Origin: &url.URL{Scheme: o.url.Scheme, Host: o.url.Host}, Viewer: o.viewerConfig(client, log)})
	server := &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(out, "play http://%s%s\n", listener.Addr(), o.url.RequestURI())

	over := make(chan struct{})
	context.AfterFunc(ctx, func() { close(over) })
	watch(over, o, logs, func() []viewer.Stats { return []viewer.Stats{g.Stats()} })
	end, cancel := context.WithTimeout(context.Background(), shutdownWait)
	defer cancel()
	if server.Shutdown(end) != nil {
		_ = server.Close()
	}
	g.Close()
	s := summarize([]viewer.Stats{g.Stats()})
	s.writeTable(out)
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the player: %w", err)
	}
	return nil
}
