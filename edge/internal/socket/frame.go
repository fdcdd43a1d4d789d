package socket

import (
	"encoding/binary"
	"sync"
)

// The opcodes of frames that are written (RFC 6455, section 5.2).
const (
	Text    = 0x1
	closing = 0x8
	Ping    = 0x9
	Pong    = 0xa
)

const (
	// headroom is what the largest header of a frame to a client takes.
	headroom = 10
	// mostKept is the capacity up to which buffers are used again.
	mostKept = 16 << 10
)

// Frame is a message, or a control frame, on its way. Its payload is appended to Buffer, which has
// room for the header before it. Whoever queues a frame has no use of it any more.
type Frame struct {
	Buffer []byte
	from   int // where the header begins
}

var frames = sync.Pool{New: func() any { return new(Frame) }}

// NewFrame returns a frame whose payload is to be appended to its buffer.
func NewFrame() *Frame {
	f := frames.Get().(*Frame)
	var room [headroom]byte
	f.Buffer = append(f.Buffer[:0], room[:]...)
	return f
}

// free gives a frame back.
func (f *Frame) free() {
	if cap(f.Buffer) <= mostKept {
		frames.Put(f)
	}
}

// Seal writes the header of a whole message before the payload (RFC 6455, section 5.2).
func (f *Frame) Seal(opcode byte) {
	n := len(f.Buffer) - headroom
	switch {
	case n < 126:
		f.from = headroom - 2
		f.Buffer[f.from+1] = byte(n)
	case n < 1<<16:
		f.from = headroom - 4
		f.Buffer[f.from+1] = 126
		binary.BigEndian.PutUint16(f.Buffer[f.from+2:], uint16(n))
	default:
		f.from = 0
		f.Buffer[1] = 127
		binary.BigEndian.PutUint64(f.Buffer[2:], uint64(n))
	}
	f.Buffer[f.from] = 0x80 | opcode
}

func (f *Frame) bytes() []byte { return f.Buffer[f.from:] }

// Control makes a control frame.
func Control(opcode byte, payload string) *Frame {
	f := NewFrame()
	f.Buffer = append(f.Buffer, payload...)
	f.Seal(opcode)
	return f
}
