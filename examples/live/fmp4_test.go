package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/examples/media"
)

func mp4box(kind string, parts ...[]byte) []byte {
	payload := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload)+8)), append([]byte(kind), payload...)...)
}

func words(numbers ...uint32) (b []byte) {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// Two tracks of different timescales in one file, as some packagers still write.
var muxed = []track{{id: 1, timescale: 25}, {id: 2, timescale: 48000, defaultDuration: 1024}}

func fragment(trackID, tfdt uint32, trun []byte) []byte {
	return mp4box("traf", mp4box("tfhd", words(0x020000, trackID)), mp4box("tfdt", words(0x01000000, 0, tfdt)), trun)
}

func muxedSegment(videoAt, audioAt uint32) []byte {
	return bytes.Join([][]byte{
		mp4box("styp", []byte("msdh")),
		mp4box("sidx", make([]byte, 44)),
		mp4box("moof", mp4box("mfhd", words(0, 9)),
			// Durations of their own; two runs.
			fragment(1, videoAt, bytes.Join([][]byte{
				mp4box("trun", words(0x000100, 2, 1, 2)),
				mp4box("trun", words(0x000305, 1, 0, 0, 7, 1000)),
			}, nil)),
			// Default durations.
			fragment(2, audioAt, mp4box("trun", words(0x000200, 3, 10, 10, 10)))),
		mp4box("mdat", []byte("samples")),
	}, nil)
}

func TestParseSegmentReadsEachTrackOnItsTimescale(t *testing.T) {
	s, err := parseSegment(muxedSegment(100, 5000), muxed)
	if err != nil {
		t.Fatal(err)
	}
	if want := (span{100, 110}); s.spans[0] != want {
		t.Errorf("video spans %v, want %v", s.spans[0], want)
	}
	if want := (span{5000, 5000 + 3*1024}); s.spans[1] != want {
		t.Errorf("audio spans %v, want %v", s.spans[1], want)
	}
	if bytes.Contains(s.data, []byte("sidx")) {
		t.Error("the index of the old timeline is still there")
	}

	r := &rendition{tracks: append([]track(nil), muxed...), segments: []*segment{s}}
	if err := r.chain(); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(s.spliced(3, 3, r.tracks))
	if err != nil {
		t.Fatal(err)
	}
	moved, err := parseSegment(data, muxed)
	if err != nil {
		t.Fatal(err)
	}
	if want := (span{30, 40}); moved.spans[0] != want { // turn 3 of 10 ticks
		t.Errorf("video moved to %v, want %v", moved.spans[0], want)
	}
	if want := (span{9216, 12288}); moved.spans[1] != want { // turn 3 of 3 frames
		t.Errorf("audio moved to %v, want %v", moved.spans[1], want)
	}
}

func TestParseSegmentRefusesWhatItCannotMove(t *testing.T) {
	moof := func(parts ...[]byte) []byte {
		return append(mp4box("moof", parts...), mp4box("mdat")...)
	}
	tests := []struct {
		name, want string
		data       []byte
	}{
		{"empty", "no samples", nil},
		{"no mdat", "no mdat", muxedSegment(0, 0)[:len(muxedSegment(0, 0))-15]},
		{"32-bit decode time", "version 1", moof(mp4box("traf", mp4box("tfhd", words(0, 1)), mp4box("tfdt", words(0, 0))))},
		{"decode time first", "before tfhd", moof(mp4box("traf", mp4box("tfdt", words(0x01000000, 0, 0)), mp4box("tfhd", words(0, 1))))},
		{"no decode time", "no tfdt", moof(mp4box("traf", mp4box("tfhd", words(0, 2)), mp4box("trun", words(0, 1))))},
		{"absolute offset", "default-base-is-moof", moof(mp4box("traf", mp4box("tfhd", words(1, 1, 0, 0))))},
		{"no durations", "no duration", moof(fragment(1, 0, mp4box("trun", words(0, 1))))},
		{"short trun", "too short", moof(fragment(1, 0, mp4box("trun", words(0x100, 5, 1))))},
		{"short mfhd", "too short", moof(mp4box("mfhd", words(0)))},
		{"gap inside", "leave a gap", moof(fragment(2, 0, mp4box("trun", words(0, 1))), fragment(2, 9999, mp4box("trun", words(0, 1))))},
		{"events", "emsg", mp4box("emsg")},
		{"bytes behind", "left over", append(muxedSegment(0, 0), 1, 2, 3)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseSegment(tt.data, muxed)
			if !errors.Is(err, ErrMedia) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want ErrMedia with %q", err, tt.want)
			}
		})
	}
}

// Whatever the bytes are, parsing ends in an error or in a segment that can be moved and parsed again.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"v2/init.mp4", "a0/init.mp4", "a0/seg-3.m4s"} {
		data, err := fs.ReadFile(media.Sample(), name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(muxedSegment(1, 2))
	f.Add(words(1, 0x6d6f6f66, 0, 24, 16, 0x74726166))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tracks, err := parseInit(data); err == nil && len(tracks) == 0 {
			t.Error("an init section without tracks is no error")
		}
		s, err := parseSegment(data, muxed)
		if err != nil {
			if !errors.Is(err, ErrMedia) {
				t.Errorf("error %v does not wrap ErrMedia", err)
			}
			return
		}
		moved, err := io.ReadAll(s.spliced(1, 1, muxed))
		if err != nil || len(moved) != len(s.data) {
			t.Fatalf("%d of %d bytes: %v", len(moved), len(s.data), err)
		}
		if _, err := parseSegment(moved, muxed); err != nil && !strings.Contains(err.Error(), "gap") {
			t.Errorf("moved, it is no segment any more: %v", err)
		}
	})
}
