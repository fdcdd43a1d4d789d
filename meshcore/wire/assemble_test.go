package wire

import (
	"bytes"
	"errors"
	"testing"
)

// fragments gives the decoded messages that carry data.
func fragments(t testing.TB, segment SegmentID, index uint8, data []byte) []Message {
	t.Helper()
	var out []Message
	err := Fragments(segment, index, data, nil, func(b []byte) error {
		m, err := Decode(bytes.Clone(b))
		out = append(out, m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func TestAssembler(t *testing.T) {
	var a Assembler
	for _, size := range []int{1, MaxFragment - 1, MaxFragment, MaxFragment + 1, 3*MaxFragment + 17, 20 * MaxFragment, MaxChunk} {
		data := pattern(size)
		fr := fragments(t, 5, 63, data)
		if want := (size + MaxFragment - 1) / MaxFragment; len(fr) != want {
			t.Errorf("%d bytes went in %d fragments, want %d", size, len(fr), want)
		}
		for i, f := range fr {
			whole, ok, err := a.Add(f)
			if err != nil {
				t.Fatalf("%d bytes, fragment %d: %v", size, i, err)
			}
			if ok != (i == len(fr)-1) {
				t.Fatalf("%d bytes: ok is %v at fragment %d of %d", size, ok, i, len(fr))
			}
			if ok && (!bytes.Equal(whole.Data, data) || whole.Segment != 5 || whole.Index != 63 || whole.Offset != 0 || int(whole.Total) != size) {
				t.Fatalf("%d bytes came back as %d bytes of chunk %d of %v", size, len(whole.Data), whole.Index, whole.Segment)
			}
		}
	}
}

func TestAssembledDataBelongsToTheCaller(t *testing.T) {
	var a Assembler
	data := pattern(2 * MaxFragment)
	var first []byte
	for range 2 {
		for _, f := range fragments(t, 1, 0, data) {
			whole, ok, err := a.Add(f)
			clear(f.Data) // the message's buffer is used again
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				continue
			}
			if !bytes.Equal(whole.Data, data) {
				t.Fatal("the chunk changed with the buffer of its fragments")
			}
			if first == nil {
				first = whole.Data
			}
		}
	}
	if !bytes.Equal(first, data) {
		t.Fatal("the first chunk changed while the second was put together")
	}
}

func TestAssemblerOrder(t *testing.T) {
	fr := fragments(t, 1, 0, pattern(3*MaxFragment))
	other := fragments(t, 1, 1, pattern(3*MaxFragment))
	elsewhere := fragments(t, 2, 0, pattern(3*MaxFragment))
	shorter := fragments(t, 1, 0, pattern(2*MaxFragment))
	for name, seq := range map[string][]Message{
		"begins in the middle":       {fr[1]},
		"leaves one out":             {fr[0], fr[2]},
		"says one twice":             {fr[0], fr[1], fr[1]},
		"begins again":               {fr[0], fr[0]},
		"another chunk in between":   {fr[0], other[0]},
		"goes on in another chunk":   {fr[0], other[1]},
		"goes on in another segment": {fr[0], elsewhere[1]},
		"changes its length":         {fr[0], shorter[1]},
		"goes on after its end":      {fr[0], fr[1], fr[2], fr[2]},
	} {
		var a Assembler
		for i, f := range seq {
			_, ok, err := a.Add(f)
			if last := i == len(seq)-1; last != (err != nil) || last && (ok || !errors.Is(err, ErrValue)) {
				t.Errorf("%s: message %d: ok %v, error %v", name, i, ok, err)
			}
		}
	}
}

func TestFragmentsStopsAtAnError(t *testing.T) {
	full := errors.New("buffer is full")
	n := 0
	err := Fragments(1, 0, pattern(5*MaxFragment), nil, func([]byte) error {
		if n++; n == 2 {
			return full
		}
		return nil
	})
	if err != full || n != 2 {
		t.Errorf("error %v after %d messages, want %v after 2", err, n, full)
	}
}

// TestAssemblerMemory: a peer that promises much and sends little costs little.
func TestAssemblerMemory(t *testing.T) {
	var a Assembler
	if _, _, err := a.Add(Message{Type: Chunk, Total: MaxChunk, Data: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	if cap(a.data) > 256<<10 {
		t.Errorf("one byte made it hold %d bytes", cap(a.data))
	}
}
