package manifest

import (
	"encoding/hex"
	"strings"
	"time"
)

// splice is what a splice_info_section says of ads (ANSI/SCTE 35): that a break
// begins, or that one ends.
type splice struct {
	begins, ends bool
	length       time.Duration // of the break, 0 if not said
}

// Commands and descriptors of SCTE 35, sections 9.7 and 10.3.3.
const (
	spliceInsert        = 0x05
	timeSignal          = 0x06
	segmentationTag     = 0x02
	segmentationCUEI    = "CUEI"
	spliceClock         = 90_000 // ticks a second
	unknownCommandBytes = 0xfff  // of old encoders
)

// breakTypes are the segmentation types that begin a break or an ad in one (table
// 23); each ends with the next higher type.
var breakTypes = map[byte]bool{0x22: true, 0x30: true, 0x32: true, 0x34: true, 0x36: true, 0x38: true, 0x3a: true, 0x44: true, 0x46: true}

// decodeSplice reads a splice_info_section as EXT-X-DATERANGE has it: 0x and
// hexadecimal digits (RFC 8216, section 4.3.2.7.1). ok is false if it cannot be read
// or is encrypted.
func decodeSplice(s string) (sp splice, ok bool) {
	s, is := strings.CutPrefix(strings.ToLower(s), "0x")
	data, err := hex.DecodeString(s)
	if !is || err != nil {
		return sp, false
	}
	r := spliceReader{data: data, ok: true}
	if r.byte() != 0xfc {
		return sp, false
	}
	r.take(3) // length, version
	encrypted := r.byte()>>7 == 1
	r.take(5) // the rest of the adjustment, cw_index
	tier := r.take(3)
	if encrypted || !r.ok {
		return sp, false
	}
	commandBytes := int(tier[1]&0x0f)<<8 | int(tier[2])
	kind := r.byte()
	command := r
	switch kind {
	case spliceInsert:
		sp = command.insert()
	case timeSignal:
		command.spliceTime()
	default:
		return sp, r.ok
	}
	if commandBytes == unknownCommandBytes {
		r = command
	} else {
		r.take(commandBytes)
	}
	loop := spliceReader{data: r.take(int(r.number(2))), ok: true}
	for len(loop.data) > 0 && loop.ok {
		tag := loop.byte()
		d := spliceReader{data: loop.take(int(loop.byte())), ok: true}
		if string(d.take(4)) == segmentationCUEI && tag == segmentationTag {
			d.segmentation(&sp)
		}
	}
	return sp, command.ok && r.ok && loop.ok
}

// spliceReader takes bytes from the front; ok is false once there were too few.
type spliceReader struct {
	data []byte
	ok   bool
}

func (r *spliceReader) take(n int) []byte {
	if n > len(r.data) {
		r.ok = false
		r.data = nil
		return make([]byte, min(n, 16))
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *spliceReader) byte() byte { return r.take(1)[0] }

// number is one of up to 5 bytes.
func (r *spliceReader) number(bytes int) (n uint64) {
	for _, b := range r.take(bytes) {
		n = n<<8 | uint64(b)
	}
	return n
}

// spliceTime passes over a splice_time.
func (r *spliceReader) spliceTime() {
	if r.byte()>>7 == 1 {
		r.take(4)
	}
}

// insert reads a splice_insert.
func (r *spliceReader) insert() (sp splice) {
	r.take(4) // event
	if r.byte()>>7 == 1 {
		return sp // it is cancelled
	}
	flags := r.byte()
	out, program, timed, immediate := flags>>7&1 == 1, flags>>6&1 == 1, flags>>5&1 == 1, flags>>4&1 == 1
	if program && !immediate {
		r.spliceTime()
	}
	if !program {
		for range r.byte() {
			r.byte()
			if !immediate {
				r.spliceTime()
			}
		}
	}
	if timed {
		sp.length = ticks(r.number(5) & (1<<33 - 1))
	}
	r.take(4) // program, avails
	sp.begins, sp.ends = out, !out
	return sp
}

// segmentation reads a segmentation_descriptor behind its identifier.
func (r *spliceReader) segmentation(sp *splice) {
	r.take(4) // event
	if r.byte()>>7 == 1 {
		return
	}
	flags := r.byte()
	if flags>>7 == 0 {
		r.take(6 * int(r.byte())) // components
	}
	var length time.Duration
	if flags>>6&1 == 1 {
		length = ticks(r.number(5))
	}
	r.byte() // type of the UPID
	r.take(int(r.byte()))
	switch kind := r.byte(); {
	case !r.ok:
	case breakTypes[kind]:
		sp.begins, sp.length = true, max(sp.length, length)
	case breakTypes[kind-1]:
		sp.ends = true
	}
}

// ticks is a time of the splice clock; one of more than a day is none.
func ticks(n uint64) time.Duration {
	if n > 24*3600*spliceClock {
		return 0
	}
	return time.Duration(n) * time.Second / spliceClock
}
