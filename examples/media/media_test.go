package media_test

import (
	"encoding/xml"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/media"
	"github.com/viewmesh/viewmesh/internal/program"
)

const (
	wantDuration = 48 * time.Second
	wantSegments = 24
	rounding     = wantSegments * time.Microsecond // EXTINF has six decimals
)

func TestSampleIsWholeAndAligned(t *testing.T) {
	sample := media.Sample()
	p, err := media.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"index.m3u8": true, "manifest.mpd": true}
	var audio, video int
	for _, r := range p.Renditions {
		if r.Audio {
			audio++
		} else {
			video++
		}
		used[r.Playlist], used[r.Init] = true, true
		if len(r.Segments) != wantSegments {
			t.Errorf("%s: %d segments, want %d", r.Name, len(r.Segments), wantSegments)
		}
		var start time.Duration
		for i, s := range r.Segments {
			used[s.Path] = true
			grid := time.Duration(i) * wantDuration / wantSegments
			// An AAC frame lasts 21.3 ms, so audio cannot be cut closer; video must be on the grid.
			slack := rounding
			if r.Audio {
				slack = 22 * time.Millisecond
			}
			if off := start - grid; off < -rounding || off > slack {
				t.Errorf("%s starts at %v, %v off the 2 s grid", s.Path, start, off)
			}
			start += s.Duration
		}
		if d := r.Duration() - wantDuration; d.Abs() > rounding {
			t.Errorf("%s lasts %v, want %v", r.Name, r.Duration(), wantDuration)
		}
	}
	if audio != 1 || video != 3 {
		t.Errorf("%d audio and %d video renditions, want 1 and 3", audio, video)
	}

	var total int64
	err = fs.WalkDir(sample, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !used[path] {
			t.Errorf("%s is in no playlist", path)
		}
		delete(used, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			t.Errorf("%s is empty", path)
		}
		total += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range used {
		t.Errorf("%s is in a playlist, but not in the sample", path)
	}
	if total > 5<<20 {
		t.Errorf("the sample has %d bytes; it should stay under 5 MiB, it is in every clone", total)
	}
}

func TestSampleBandwidthIsHonest(t *testing.T) {
	sample := media.Sample()
	p, err := media.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	peak := func(r media.Rendition) (bits float64) {
		for _, s := range r.Segments {
			info, err := fs.Stat(sample, s.Path)
			if err != nil {
				t.Fatal(err)
			}
			bits = max(bits, float64(info.Size()*8)/s.Duration.Seconds())
		}
		return bits
	}
	var sound float64
	for _, r := range p.Renditions {
		if r.Audio {
			sound = peak(r)
		}
	}
	for _, r := range p.Renditions {
		if r.Audio {
			continue
		}
		stated, err := strconv.ParseFloat(r.Attributes["BANDWIDTH"], 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := peak(r) + sound; got > stated*1.02 || got < stated*0.9 {
			t.Errorf("%s: peak of %.0f bit/s with its audio, BANDWIDTH says %.0f", r.Name, got, stated)
		}
	}
}

// The MPD is read by its own few lines here, since nothing else in the repository reads one.
func TestDASHNamesTheSameFiles(t *testing.T) {
	var mpd struct {
		Type     string `xml:"type,attr"`
		Duration string `xml:"mediaPresentationDuration,attr"`
		Sets     []struct {
			Template struct {
				Timescale int    `xml:"timescale,attr"`
				Duration  int    `xml:"duration,attr"`
				Start     int    `xml:"startNumber,attr"`
				Init      string `xml:"initialization,attr"`
				Media     string `xml:"media,attr"`
			} `xml:"SegmentTemplate"`
			Representations []struct {
				ID     string `xml:"id,attr"`
				Codecs string `xml:"codecs,attr"`
			} `xml:"Representation"`
		} `xml:"Period>AdaptationSet"`
	}
	text, err := fs.ReadFile(media.Sample(), "manifest.mpd")
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &mpd); err != nil {
		t.Fatal(err)
	}
	if mpd.Type != "static" || mpd.Duration != "PT48S" {
		t.Errorf("type %q, duration %q", mpd.Type, mpd.Duration)
	}
	p, err := media.Load(media.Sample())
	if err != nil {
		t.Fatal(err)
	}
	renditions := map[string]media.Rendition{}
	for _, r := range p.Renditions {
		renditions[r.Name] = r
	}
	for _, set := range mpd.Sets {
		seconds := set.Template.Duration / set.Template.Timescale
		if got := time.Duration(seconds*wantSegments) * time.Second; got != wantDuration {
			t.Errorf("%d segments of %d s last %v", wantSegments, seconds, got)
		}
		for _, rep := range set.Representations {
			r, ok := renditions[rep.ID]
			if !ok {
				t.Errorf("representation %q is no HLS rendition", rep.ID)
				continue
			}
			delete(renditions, rep.ID)
			if stated := r.Attributes["CODECS"]; !r.Audio && !strings.HasPrefix(stated, rep.Codecs+",") {
				t.Errorf("%s: codecs %q in DASH, %q in HLS", rep.ID, rep.Codecs, stated)
			}
			fill := func(template string, number int) string {
				return strings.NewReplacer("$RepresentationID$", rep.ID, "$Number$", strconv.Itoa(number)).Replace(template)
			}
			if got := fill(set.Template.Init, 0); got != r.Init {
				t.Errorf("init %q in DASH, %q in HLS", got, r.Init)
			}
			for i, s := range r.Segments {
				if got := fill(set.Template.Media, set.Template.Start+i); got != s.Path {
					t.Errorf("segment %q in DASH, %q in HLS", got, s.Path)
				}
			}
		}
	}
	for name := range renditions {
		t.Errorf("%s is not in the MPD", name)
	}
}

// ffmpeg is the judge of the bytes: it must decode every frame of every rendition without a word.
func TestSampleDecodes(t *testing.T) {
	ffprobe := program.Need(t, "checks that the sample decodes", "ffmpeg", "ffprobe")
	ffmpeg := program.Need(t, "checks that the sample decodes", "ffmpeg", "ffmpeg")
	dir := t.TempDir()
	if err := os.CopyFS(dir, media.Sample()); err != nil {
		t.Fatal(err)
	}
	p, err := media.Load(media.Sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Renditions {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			playlist := filepath.Join(dir, filepath.FromSlash(r.Playlist))
			out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "warning", "-nostdin", "-xerror",
				"-i", playlist, "-f", "null", "-").CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("ffmpeg: %v: %s", err, out)
			}
			out, err = exec.CommandContext(t.Context(), ffprobe, "-v", "error", "-count_packets",
				"-show_entries", "stream=start_time,nb_read_packets", "-of", "csv=p=0:nk=1", playlist).CombinedOutput()
			want := "0.000000,1200"
			if r.Audio {
				want = "0.000000,2250"
			}
			if got := strings.Fields(string(out)); err != nil || len(got) == 0 || got[len(got)-1] != want {
				t.Errorf("start and packets = %q, %v, want %s", out, err, want)
			}
		})
	}
}
