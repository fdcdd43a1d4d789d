package signal

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// FuzzDecode: a frame is refused with one of the four errors, or what it says
// survives being encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for _, c := range frames {
		if b := expand(c.frame); len(b) < 512 {
			f.Add([]byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			for _, known := range []error{ErrTooLarge, ErrJSON, ErrType, ErrField} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("error %v wraps none of the package's", err)
		}
		first := Encode(&m)
		m, err = Decode(first)
		if errors.Is(err, ErrTooLarge) {
			return // junk in fields that this type does not have
		}
		if err != nil {
			t.Fatalf("%s encodes to %s: %v", b, first, err)
		}
		if second := Encode(&m); !bytes.Equal(first, second) {
			t.Fatalf("%s encodes to %s, then to %s", b, first, second)
		}
	})
}

// FuzzDecodeSession: the same for session requests; an error is one that the edge
// can answer with a problem document.
func FuzzDecodeSession(f *testing.F) {
	for _, c := range sessions {
		if b := expand(c.body); len(b) < 512 {
			f.Add([]byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeSession(b)
		if err != nil {
			var fe *FieldError
			if errors.As(err, &fe) {
				if fe.Field == "" || fe.Detail == "" {
					t.Fatalf("%+v does not say which field, or how", fe)
				}
			} else if !errors.Is(err, ErrRequest) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("error %v wraps none of the package's", err)
			}
			return
		}
		first, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(first) > MaxSession {
			return
		}
		if r, err = DecodeSession(first); err != nil {
			t.Fatalf("%s encodes to %s: %v", b, first, err)
		}
		if second, _ := json.Marshal(r); !bytes.Equal(first, second) {
			t.Fatalf("%s encodes to %s, then to %s", b, first, second)
		}
	})
}
