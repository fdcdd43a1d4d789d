package socket

import (
	"io"
	"sync"
)

// Message is a message that was read, in a buffer that is used again.
type Message struct{ Data []byte }

var messages = sync.Pool{New: func() any { return new(Message) }}

// Read reads a message, or as much of it as shows that it has more than most bytes.
func Read(r io.Reader, most int) (*Message, error) {
	m := messages.Get().(*Message)
	m.Data = m.Data[:0]
	for len(m.Data) <= most {
		if len(m.Data) == cap(m.Data) {
			m.Data = append(m.Data, make([]byte, max(2<<10, cap(m.Data)))...)[:len(m.Data)]
		}
		n, err := r.Read(m.Data[len(m.Data):cap(m.Data)])
		m.Data = m.Data[:len(m.Data)+n]
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			m.Free()
			return nil, err
		}
	}
	return m, nil
}

// Free has the buffer used again, unless it is large.
func (m *Message) Free() {
	if cap(m.Data) <= 8*mostKept {
		messages.Put(m)
	}
}
