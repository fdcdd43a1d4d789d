package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/examples/media"
)

func TestRunServesAndStops(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, media.Sample()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--listen", "127.0.0.1:0", "--window", "4", "--media", dir}, in, io.Discard)
		in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no URL was printed: %v, %v", err, <-done)
	}
	url := strings.TrimSpace(line[strings.LastIndex(line, " "):])
	response, err := http.Get(strings.Replace(url, "/index.m3u8", "/v0/index.m3u8", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	playlist, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(playlist), "#EXTINF"); got != 4 {
		t.Errorf("%d segments, want the 4 of --window:\n%s", got, playlist)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"at least 3":          {"--window", "1"},
		"unexpected argument": {"somewhere"},
		"index.m3u8":          {"--media", t.TempDir()},
		"listen":              {"--listen", "127.0.0.1:http-but-not-really"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error = %v, want %q in it", args, err, want)
		}
	}
}
