package wire

import "fmt"

// Assembler puts the fragments of chunks together for one connection. The zero
// value is ready. It holds at most one chunk, of at most MaxChunk bytes.
type Assembler struct {
	segment SegmentID
	index   uint8
	total   uint32
	data    []byte
	signed  []byte
}

// Add takes a message of type Chunk. When it is the last fragment, ok is true
// and the result is a message of the whole chunk, whose Data belongs to the
// caller. An error, which wraps ErrValue, means that fragments came out of
// order: close the connection.
//
// Beyond the first 256 KiB memory grows with what arrives, never with what is
// promised.
func (a *Assembler) Add(m Message) (whole Message, ok bool, err error) {
	if m.Offset == 0 {
		if len(a.data) != 0 {
			return Message{}, false, fmt.Errorf("%w: chunk %d of %v begins inside another", ErrValue, m.Index, m.Segment)
		}
		a.segment, a.index, a.total, a.signed = m.Segment, m.Index, m.Total, m.Signature
		a.data = make([]byte, 0, min(int(m.Total), 16*MaxFragment))
	} else if m.Segment != a.segment || m.Index != a.index || m.Total != a.total || int(m.Offset) != len(a.data) {
		return Message{}, false, fmt.Errorf("%w: fragment at %d of chunk %d of %v is out of order", ErrValue, m.Offset, m.Index, m.Segment)
	}
	a.data = append(a.data, m.Data...)
	if len(a.data) < int(a.total) {
		return Message{}, false, nil
	}
	m.Offset, m.Data, m.Signature = 0, a.data, a.signed
	a.data = nil
	return m, true, nil
}
