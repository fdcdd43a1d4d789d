// Command liveserver is a live HLS and DASH origin with no encoder behind it: it repeats the sample stream, or any
// presentation of the same layout, without end and without a seam. Put an edge in front of it with reverse_proxy.
//
//	go run ./examples/live/liveserver --listen 127.0.0.1:8081
//	ffplay http://127.0.0.1:8081/index.m3u8
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "liveserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. The first line it prints on stdout ends in the URL to play.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("liveserver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8081", "`address` to listen on; port 0 picks a free one")
	window := flags.Int("window", live.DefaultWindow, "`segments` in a media playlist, at least 3")
	delay := flags.Duration("delay", 0, "time from the end of a segment to its appearance")
	part := flags.Duration("part", 0, "`length` of parts, at least 100ms: makes it a low-latency stream (LL-HLS)")
	ranges := flags.Bool("part-ranges", false, "parts are byte ranges of their segment instead of having names of their own")
	folder := flags.String("media", "", "`folder` of an on-demand HLS presentation in fMP4 with index.m3u8 in it (default: the sample stream)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; everything is a flag, see --help", flags.Arg(0))
	}
	config := live.Config{Window: *window, Delay: *delay, Part: *part, PartRanges: *ranges}
	if *folder != "" {
		config.Media = os.DirFS(*folder)
	}
	origin, err := live.New(config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: origin, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	fmt.Fprintf(stdout, "live on http://%s/index.m3u8\n", listener.Addr())

	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	<-done
	return nil
}
