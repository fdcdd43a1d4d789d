package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// FuzzDecode: whatever decodes encodes to the same bytes, and every error is one
// of those that Decode names.
func FuzzDecode(f *testing.F) {
	for _, c := range valid {
		if b := Append(nil, &c.m); len(b) < 512 {
			f.Add(b)
		}
	}
	for _, c := range malformed {
		if b, err := hex.DecodeString(c.hex); err == nil && c.times < 64 {
			f.Add(append(b, bytes.Repeat([]byte{c.fill}, c.times)...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			for _, known := range []error{ErrTooLarge, ErrShort, ErrTrailing, ErrType, ErrVersion, ErrValue} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("error %v wraps none of the package's", err)
		}
		if again := Append(nil, &m); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, m, again)
		}
	})
}

// FuzzAssembler sends what a hostile neighbor could: b is read as a sequence of
// fragments, each of a header byte and a body that is built from it. Whatever is
// put together is what was sent, in order, and no longer than a chunk.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0x03, 0x13, 0x23})             // three fragments of one chunk
	f.Add([]byte{0x03, 0x23})                   // one left out
	f.Add([]byte{0x00, 0x40, 0x80, 0xc0})       // whole chunks of one byte
	f.Add([]byte{0x03, 0x43, 0x13})             // another chunk in between
	f.Add([]byte{0x01, 0x11, 0x01, 0x11, 0x01}) // one after the other
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Assembler
		var sent []byte
		for i, op := range b {
			// Bits 0-1: length of the chunk less one, in units; 4-5: place of this
			// fragment; 6-7: index of the chunk; 2: segment; 3: half a unit only.
			const unit = 8
			total, at := uint32(op&3+1)*unit, uint32(op>>4&3)*unit
			n := min(unit, total-min(at, total))
			if op&8 != 0 {
				n /= 2
			}
			in := Message{Type: Chunk, Segment: SegmentID(op >> 2 & 1), Index: op >> 6, Total: total, Offset: at,
				Data: bytes.Repeat([]byte{byte(i + 1)}, int(n))}
			if !in.validFragment() {
				continue
			}
			m, err := Decode(Append(nil, &in))
			if err != nil {
				t.Fatal(err)
			}
			if m.Offset == 0 {
				sent = sent[:0]
			}
			whole, ok, err := a.Add(m)
			if err != nil {
				if !errors.Is(err, ErrValue) || ok {
					t.Fatalf("ok %v, error %v", ok, err)
				}
				return // the connection is closed
			}
			sent = append(sent, m.Data...)
			if ok != (len(sent) == int(total)) || ok && !bytes.Equal(whole.Data, sent) {
				t.Fatalf("ok %v with %d of %d bytes, data %x, sent %x", ok, len(sent), total, whole.Data, sent)
			}
			if ok {
				sent = sent[:0]
			}
			if cap(a.data) > MaxChunk {
				t.Fatalf("holds %d bytes", cap(a.data))
			}
		}
	})
}
