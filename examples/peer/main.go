// Command peer is the reference peer: a viewer with a real playback clock, or
// many, that takes segments from other viewers over WebRTC and the rest from the
// origin. With --listen it is a gateway, so that any player can play through it.
//
//	peer http://localhost:8080/live/index.m3u8
//	peer --count 20 --for 60s --json http://localhost:8080/live/index.m3u8
//	peer --listen 127.0.0.1:7070 http://localhost:8080/live/index.m3u8
//
// Where things are: hls reads playlists, origin fetches segments over HTTP, store
// keeps their bytes, web is the HTTP client of all, edge holds the session and its WebSocket, rtc the data
// channels; viewer drives the engine of meshcore/peer with all of these; player is
// a playback clock on top of a viewer, gateway an HTTP server on top of one.
//
// The exit code is 0 only if nothing stalled; 2 means that it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // data channels allocate much and keep little
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends at once
	if o.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.length)
		defer cancel()
	}
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelDebug
	}
	logs := &aside{w: os.Stderr}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: level}))
	run := play
	if o.listen != "" {
		run = serve
	}
	if err := run(ctx, o, log, logs, os.Stdout); err != nil {
		if !errors.Is(err, errStalled) {
			fmt.Fprintln(os.Stderr, "peer:", err)
		}
		os.Exit(1)
	}
}
