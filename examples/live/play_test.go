package live_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/internal/program"
)

// Three turns and a half of picture and of sound, put one after the other as a player would, decode without a word, with
// every frame there and time stamps that go up evenly.
func TestThreeTurnsDecode(t *testing.T) {
	ffmpeg := program.Need(t, "plays the live stream", "ffmpeg", "ffmpeg")
	ffprobe := program.Need(t, "plays the live stream", "ffmpeg", "ffprobe")
	const from, count = 24*50 + 13, 24*3 + 12 // starts in the middle of turn 50
	clock := &fakeClock{elapsed: 2 * (from + count) * time.Second}
	o := newOrigin(t, live.Config{Window: count, Now: clock.now})
	for rendition, frameRate := range map[string]float64{"v2": 25, "a0": 48000.0 / 1024} {
		t.Run(rendition, func(t *testing.T) {
			t.Parallel()
			var file bytes.Buffer
			io.WriteString(&file, body(t, o, "/"+rendition+"/init.mp4"))
			for n := from; n < from+count; n++ {
				io.WriteString(&file, body(t, o, fmt.Sprintf("/%s/seg-%d.m4s", rendition, n)))
			}
			name := filepath.Join(t.TempDir(), "turns.mp4")
			if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "warning", "-nostdin", "-xerror", "-i", name, "-f", "null", "-").CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("ffmpeg: %v: %s", err, out)
			}

			out, err = exec.CommandContext(t.Context(), ffprobe, "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", name).Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Fields(strings.ReplaceAll(string(out), ",", " "))
			if frames := float64(len(lines)); frames < 2*count*frameRate-1 || frames > 2*count*frameRate+1 {
				t.Errorf("%v frames in %d s", frames, 2*count)
			}
			last := -1.0
			for i, line := range lines {
				at, err := strconv.ParseFloat(line, 64)
				if err != nil {
					t.Fatal(err)
				}
				if step := at - last; i > 0 && (step < 0.99/frameRate || step > 1.01/frameRate) {
					t.Fatalf("frame %d comes %.4f s after the one before, want %.4f", i, step, 1/frameRate)
				}
				last = at
			}
		})
	}
}

// A real player on a clock that runs 20 times as fast: ffmpeg follows the sliding window over three ends of the loop,
// picture and sound together.
func TestFFmpegPlaysOverTheLoop(t *testing.T) {
	ffmpeg := program.Need(t, "plays the live stream", "ffmpeg", "ffmpeg")
	began := time.Now()
	fast := func() time.Time { return epoch.Add(1000*time.Second + 20*time.Since(began)) }
	// ffmpeg reloads a playlist every 2 s of its own time: 40 s of the stream, of which 120 s are listed.
	server := httptest.NewServer(newOrigin(t, live.Config{Window: 60, Now: fast}))
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-xerror", "-live_start_index", "0",
		"-i", server.URL+"/index.m3u8", "-map", "0:v:2", "-map", "0:a:0", "-t", "150", "-progress", "-", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	if complaint := regexp.MustCompile(`(?i)error|invalid|non.?monoton|discontinu|skipping`).Find(out); complaint != nil {
		t.Errorf("ffmpeg complains (%q):\n%s", complaint, out)
	}
	frames := regexp.MustCompile(`(?m)^frame=(\d+)$`).FindAllSubmatch(out, -1)
	if len(frames) == 0 || string(frames[len(frames)-1][1]) != "3750" {
		t.Errorf("want 3750 frames in 150 s:\n%s", out)
	}
}
