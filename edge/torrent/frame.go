package torrent

import (
	"encoding/binary"
	"sync"
)

// The opcodes that are written (RFC 6455, section 5.2).
const (
	textFrame  = 0x1
	closeFrame = 0x8
	pingFrame  = 0x9
	pongFrame  = 0xa
)

const (
	// headroom is what the largest header of a frame to a client takes.
	headroom = 10
	// mostKept is the capacity up to which buffers are used again.
	mostKept = 16 << 10
)

// frame is a frame on its way. A payload is appended to its buffer, which has room for the
// header before it.
type frame struct {
	buffer []byte
	from   int // where the header begins
}

var frames = sync.Pool{New: func() any { return new(frame) }}

// newFrame returns a frame whose payload is to be appended to its buffer.
func newFrame() *frame {
	f := frames.Get().(*frame)
	var room [headroom]byte
	f.buffer = append(f.buffer[:0], room[:]...)
	return f
}

// free gives a frame back.
func (f *frame) free() {
	if cap(f.buffer) <= mostKept {
		frames.Put(f)
	}
}

// seal writes the header of a whole message before the payload (RFC 6455, section 5.2).
func (f *frame) seal(opcode byte) {
	n := len(f.buffer) - headroom
	switch {
	case n < 126:
		f.from = headroom - 2
		f.buffer[f.from+1] = byte(n)
	case n < 1<<16:
		f.from = headroom - 4
		f.buffer[f.from+1] = 126
		binary.BigEndian.PutUint16(f.buffer[f.from+2:], uint16(n))
	default:
		f.from = 0
		f.buffer[1] = 127
		binary.BigEndian.PutUint64(f.buffer[2:], uint64(n))
	}
	f.buffer[f.from] = 0x80 | opcode
}

func (f *frame) bytes() []byte { return f.buffer[f.from:] }

// control makes a control frame.
func control(opcode byte, payload string) *frame {
	f := newFrame()
	f.buffer = append(f.buffer, payload...)
	f.seal(opcode)
	return f
}
