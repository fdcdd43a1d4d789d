package wire

import (
	"encoding/binary"
	"fmt"
)

// Append appends the encoding of m to b. It panics if m breaks a limit of the
// protocol, which is a fault of the caller and never of a peer: whatever Append
// takes, Decode accepts (but for a hello of another Version).
func Append(b []byte, m *Message) []byte {
	start := len(b)
	b = append(b, byte(m.Type))
	be := binary.BigEndian
	switch m.Type {
	case Hello:
		b = append(b, m.Version, m.Flags)
		b = be.AppendUint64(b, uint64(m.Peer))
		b = be.AppendUint64(b, m.Rendition)
		b = appendToken(b, m.Token)
	case Status:
		b = append(b, m.Flags)
		b = be.AppendUint64(b, m.Rendition)
	case Have:
		if len(m.Haves) > MaxHaves {
			panic("wire: too many segments in a have")
		}
		b = be.AppendUint16(b, uint16(len(m.Haves)))
		for _, h := range m.Haves {
			if !h.valid() {
				panic("wire: a have with bits beyond its chunks")
			}
			b = be.AppendUint64(b, uint64(h.Segment))
			b = append(b, h.Chunks)
			b = be.AppendUint64(b, h.Mask)
			b = be.AppendUint32(b, h.Root)
		}
	case Request:
		b = appendMask(b, m)
		b = append(b, m.Flags)
		b = be.AppendUint32(b, m.Within)
		b = be.AppendUint32(b, m.Root)
	case Cancel:
		b = appendMask(b, m)
	case Reject:
		b = appendMask(b, m)
		b = append(b, m.Reason)
		b = be.AppendUint32(b, m.Retry)
	case Proof:
		b = be.AppendUint64(b, uint64(m.Segment))
		b = appendToken(b, m.Token)
		if len(m.Hashes) == 0 || len(m.Hashes)%32 != 0 || len(m.Hashes) > 32*MaxChunks {
			panic("wire: hashes are not 1 to 64 times 32 bytes")
		}
		b = append(b, byte(len(m.Hashes)/32))
		b = append(b, m.Hashes...)
	case Chunk:
		if !m.validFragment() {
			panic("wire: a fragment that lies outside its chunk")
		}
		b = be.AppendUint64(b, uint64(m.Segment))
		b = append(b, m.Index)
		b = be.AppendUint32(b, m.Total)
		b = be.AppendUint32(b, m.Offset)
		if m.Offset == 0 {
			b = append(append(b, m.Signature...), make([]byte, SignatureSize-len(m.Signature))...)
		}
		b = append(b, m.Data...)
	case Ping, Pong:
		b = be.AppendUint32(b, m.Nonce)
	case Bye:
		b = append(b, m.Reason)
	default:
		panic("wire: " + m.Type.String())
	}
	if len(b)-start > MaxMessage {
		panic(fmt.Sprintf("wire: %v of %d bytes", m.Type, len(b)-start))
	}
	return b
}

func appendMask(b []byte, m *Message) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.Segment))
	return binary.BigEndian.AppendUint64(b, m.Mask)
}

func appendToken(b []byte, s string) []byte {
	if len(s) > MaxToken {
		panic("wire: token over the limit")
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// Fragments calls emit with the encoding of each message that carries chunk
// index of the segment, which its sender has signed. The slice is valid only during the call. It stops at
// the first error of emit and returns it.
func Fragments(segment SegmentID, index uint8, data, signature []byte, emit func([]byte) error) error {
	buf := make([]byte, 0, min(MaxMessage, chunkHeader+len(data)))
	for off := 0; off < len(data); off += MaxFragment {
		m := Message{Type: Chunk, Segment: segment, Index: index, Total: uint32(len(data)), Offset: uint32(off),
			Data: data[off:min(off+MaxFragment, len(data))], Signature: signature}
		if err := emit(Append(buf[:0], &m)); err != nil {
			return err
		}
	}
	return nil
}

// Decode reads one message. Data of the result shares memory with b, which the
// caller must not reuse while Data is in use; the other fields are copies.
// The error wraps one of ErrTooLarge, ErrShort, ErrTrailing, ErrType,
// ErrVersion and ErrValue.
func Decode(b []byte) (Message, error) {
	if len(b) > MaxMessage {
		return Message{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxMessage)
	}
	r := reader{b: b}
	m := Message{Type: Type(r.u8())}
	switch m.Type {
	case Hello:
		m.Version = r.u8()
		if r.err == nil && m.Version != Version {
			return m, fmt.Errorf("%w: %d, want %d", ErrVersion, m.Version, Version)
		}
		m.Flags = r.u8()
		m.Peer = PeerID(r.u64())
		m.Rendition = r.u64()
		m.Token = r.token()
	case Status:
		m.Flags = r.u8()
		m.Rendition = r.u64()
	case Have:
		n := int(r.u16())
		if n > MaxHaves {
			return m, fmt.Errorf("%w: have of %d segments, at most %d", ErrValue, n, MaxHaves)
		}
		if r.err == nil && len(r.b) < n*haveSize {
			r.err = ErrShort
			break
		}
		m.Haves = make([]SegmentHave, n)
		for i := range m.Haves {
			h := SegmentHave{Segment: SegmentID(r.u64()), Chunks: r.u8(), Mask: r.u64(), Root: r.u32()}
			if !h.valid() {
				return m, fmt.Errorf("%w: have with mask %x of %d chunks", ErrValue, h.Mask, h.Chunks)
			}
			m.Haves[i] = h
		}
	case Request:
		r.mask(&m)
		m.Flags = r.u8()
		m.Within = r.u32()
		m.Root = r.u32()
	case Cancel:
		r.mask(&m)
	case Reject:
		r.mask(&m)
		m.Reason = r.u8()
		m.Retry = r.u32()
	case Proof:
		m.Segment = SegmentID(r.u64())
		m.Token = r.token()
		n := int(r.u8())
		if n == 0 || n > MaxChunks {
			return m, errOr(r.err, fmt.Errorf("%w: proof with %d hashes", ErrValue, n))
		}
		m.Hashes = append([]byte(nil), r.take(32*n)...)
	case Chunk:
		m.Segment = SegmentID(r.u64())
		m.Index = r.u8()
		m.Total = r.u32()
		m.Offset = r.u32()
		if m.Offset == 0 {
			m.Signature = append([]byte(nil), r.take(SignatureSize)...)
		}
		m.Data = r.take(len(r.b))
		if r.err == nil && !m.validFragment() {
			return m, fmt.Errorf("%w: chunk %d, %d bytes at %d of %d", ErrValue, m.Index, len(m.Data), m.Offset, m.Total)
		}
	case Ping, Pong:
		m.Nonce = r.u32()
	case Bye:
		m.Reason = r.u8()
	default:
		if r.err == nil {
			return m, fmt.Errorf("%w: %d", ErrType, m.Type)
		}
	}
	if r.err != nil {
		return m, fmt.Errorf("%v: %w", m.Type, r.err)
	}
	if len(r.b) != 0 {
		return m, fmt.Errorf("%v: %w: %d", m.Type, ErrTrailing, len(r.b))
	}
	return m, nil
}

func (h *SegmentHave) valid() bool {
	return h.Chunks <= MaxChunks && (h.Chunks == 0 || h.Mask&^All(int(h.Chunks)) == 0)
}

// validFragment says whether the fields of a chunk keep to the protocol.
func (m *Message) validFragment() bool {
	return m.Index < MaxChunks && m.Total <= MaxChunk && len(m.Data) > 0 &&
		uint64(m.Offset)+uint64(len(m.Data)) <= uint64(m.Total)
}

func errOr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// All is the mask of n chunks, for n from 0 to 64.
func All(n int) uint64 {
	if n >= 64 {
		return ^uint64(0)
	}
	return 1<<uint(n) - 1
}

// reader takes fields off the front of b and remembers the first error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || len(r.b) < n {
		if r.err == nil {
			r.err = ErrShort
		}
		return nil
	}
	t := r.b[:n:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) mask(m *Message) {
	m.Segment = SegmentID(r.u64())
	m.Mask = r.u64()
}

func (r *reader) token() string {
	n := int(r.u16())
	if n > MaxToken {
		r.err = errOr(r.err, fmt.Errorf("%w: token of %d bytes, at most %d", ErrTooLarge, n, MaxToken))
		return ""
	}
	return string(r.take(n))
}
