package live

import (
	"encoding/binary"
	"fmt"
)

// cut divides a segment of one track into fragments of its own (CMAF chunks), as a low-latency packager makes them:
// count of about the same length, of which the first holds whatever stands before the movie fragment. All times
// stay as they are. It needs a segment with one fragment, as make.sh writes them.
func cut(data []byte, t track, count int) ([][]byte, error) {
	f, err := readFragment(data, t)
	if err != nil {
		return nil, err
	}
	var parts [][]byte
	var before, passed uint64 // ticks up to the part, and up to the sample
	first, at := 0, f.data    // sample and byte that the part begins with
	bytes := 0
	for i, s := range f.samples {
		passed += uint64(s.duration)
		bytes += int(s.size)
		rest := len(f.samples) - i - 1
		due := passed*uint64(count)+uint64(s.duration)*uint64(count)/2 >= f.length*uint64(len(parts)+1)
		if rest > 0 && (!due || len(parts) == count-1) {
			continue
		}
		var part []byte
		if first == 0 {
			part = append(part, data[:f.moof.start]...)
		}
		part = f.append(part, first, i+1, f.base+before, data[at:at+bytes])
		parts = append(parts, part)
		first, at, bytes, before = i+1, at+bytes, 0, passed
	}
	if len(parts) != count {
		return nil, fmt.Errorf("%w: a segment has %d samples and cannot be cut into %d parts", ErrMedia, len(f.samples), count)
	}
	return parts, nil
}

// movieFragment is a movie fragment with one run of one track.
type movieFragment struct {
	moof    box
	header  []byte // tfhd, the whole box
	base    uint64 // tfdt
	length  uint64 // of all samples, in ticks
	run     []byte // version and flags of trun
	flags   uint32
	opening []byte // flags of the first sample, where trun has them
	samples []sample
	data    int // offset of the first sample's bytes
}

// sample is one sample of a run, with its entry in trun as it stands there.
type sample struct {
	entry          []byte
	duration, size uint32
}

func readFragment(data []byte, t track) (*movieFragment, error) {
	f := &movieFragment{}
	unfit := func(what string) error {
		return fmt.Errorf("%w: %s; parts are cut from segments with one fragment of one track", ErrMedia, what)
	}
	var each sample
	each.duration = t.defaultDuration
	fragments, trafs, runs, media := 0, 0, 0, 0
	offset := uint32(0)
	err := eachBox(data, 0, func(b box) error {
		if b.kind == "mdat" {
			media++
		}
		if b.kind != "moof" {
			return nil
		}
		fragments++
		f.moof = b
		return eachBox(b.payload, b.offset, func(b box) error {
			if b.kind != "traf" {
				return nil
			}
			trafs++
			return eachBox(b.payload, b.offset, func(b box) error {
				in := fields{rest: b.payload}
				_, flags := in.versionAndFlags()
				switch b.kind {
				case "tfhd":
					f.header = data[b.start:b.end]
					in.u32() // track
					for _, field := range []struct {
						flag uint32
						to   *uint32
					}{{0x2, new(uint32)}, {0x8, &each.duration}, {0x10, &each.size}} {
						if flags&field.flag != 0 {
							*field.to = in.u32()
						}
					}
				case "tfdt":
					f.base = in.u64()
				case "trun":
					runs++
					f.run, f.flags = b.payload[:4], flags
					offset = f.readRun(&in, each)
				case "senc", "saiz", "saio", "sbgp", "subs":
					return unfit("there is a box " + b.kind)
				}
				return in.check(b)
			})
		})
	})
	if err != nil {
		return nil, err
	}
	f.data = f.moof.start + int(offset)
	end := uint64(f.data)
	for _, s := range f.samples {
		end += uint64(s.size)
		f.length += uint64(s.duration)
	}
	switch {
	case fragments != 1 || trafs != 1 || runs != 1 || media != 1 || f.header == nil:
		return nil, unfit(fmt.Sprintf("there are %d fragments, %d track fragments, %d runs and %d mdat", fragments, trafs, runs, media))
	case f.data < f.moof.end || end > uint64(len(data)):
		return nil, unfit("the samples lie outside of the segment")
	}
	return f, nil
}

// readRun reads a trun behind its flags and returns its data offset.
func (f *movieFragment) readRun(in *fields, each sample) (offset uint32) {
	count := in.u32()
	if f.flags&0x1 != 0 {
		offset = in.u32()
	}
	if f.flags&0x4 != 0 {
		f.opening = in.skip(4)
	}
	for ; count > 0 && !in.short; count-- {
		s, rest := each, in.rest
		for _, field := range []struct {
			flag uint32
			to   *uint32
		}{{0x100, &s.duration}, {0x200, &s.size}, {0x400, new(uint32)}, {0x800, new(uint32)}} {
			if f.flags&field.flag != 0 {
				*field.to = in.u32()
			}
		}
		s.entry = rest[:len(rest)-len(in.rest)]
		f.samples = append(f.samples, s)
	}
	return offset
}

// append writes the fragment of the samples from first to until, whose bytes are data, behind to.
func (f *movieFragment) append(to []byte, first, until int, base uint64, data []byte) []byte {
	flags := f.flags | 0x1
	run := append([]byte{f.run[0], 0, 0, 0}, make([]byte, 8)...) // count and data offset follow
	if flags&0x4 != 0 && first == 0 {
		run = append(run, f.opening...)
	} else {
		flags &^= 0x4
	}
	run[1], run[2], run[3] = byte(flags>>16), byte(flags>>8), byte(flags)
	binary.BigEndian.PutUint32(run[4:], uint32(until-first))
	for _, s := range f.samples[first:until] {
		run = append(run, s.entry...)
	}
	time := binary.BigEndian.AppendUint64([]byte{1, 0, 0, 0}, base)
	size := len(f.header) + 8 + len(time) + 8 + len(run) // of what traf holds
	moof := 8 + 16 + 8 + size
	binary.BigEndian.PutUint32(run[8:], uint32(moof+8))
	to = appendBox(to, "moof", moof-8)
	to = append(appendBox(to, "mfhd", 8), make([]byte, 8)...)
	to = append(appendBox(to, "traf", size), f.header...)
	to = append(appendBox(to, "tfdt", len(time)), time...)
	to = append(appendBox(to, "trun", len(run)), run...)
	return append(appendBox(to, "mdat", len(data)), data...)
}

// appendBox writes the header of a box with size bytes in it.
func appendBox(to []byte, kind string, size int) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(size+8)), kind...)
}
