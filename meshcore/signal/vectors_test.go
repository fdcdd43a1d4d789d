package signal

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/viewmesh/viewmesh/internal/vectors"
)

// vectorFile is meshcore/testdata/signal.json, which the browser peer's tests run
// too.
type vectorFile struct {
	About    string          `json:"about"`
	Frames   []frameVector   `json:"frames"`
	Sessions []sessionVector `json:"sessions"`
}

type frameVector struct {
	Name    string          `json:"name"`
	Frame   string          `json:"frame"`
	Code    string          `json:"code,omitempty"`
	Message json.RawMessage `json:"message,omitempty"`
}

type sessionVector struct {
	Name  string `json:"name"`
	Body  string `json:"body"`
	Error string `json:"error,omitempty"`
	Field string `json:"field,omitempty"`
}

const vectorsAbout = "Vectors of the signaling and session messages, run by Go and by JavaScript. frames: the frame is refused with " +
	"code, or says message (which is absent where the frame is long). sessions: the body is refused for this field, or as a whole " +
	"with error, or is good. {{p*3}} in a frame or body stands for ppp. Written by: go test ./meshcore/signal -run Vectors -rewrite"

func makeVectors() vectorFile {
	v := vectorFile{About: vectorsAbout}
	for _, c := range frames {
		f := frameVector{Name: c.name, Frame: c.frame, Code: c.code}
		if m, err := Decode([]byte(expand(c.frame))); err == nil && c.code == "" {
			if b := Encode(&m); len(b) < 512 {
				f.Message = b
			}
		}
		v.Frames = append(v.Frames, f)
	}
	for _, c := range sessions {
		s := sessionVector{Name: c.name, Body: c.body}
		switch c.field {
		case "!":
			s.Error = "not_an_object"
		case "!!":
			s.Error = "too_large"
		default:
			s.Field = c.field
		}
		v.Sessions = append(v.Sessions, s)
	}
	return v
}

func TestVectors(t *testing.T) {
	v := vectors.Kept(t, "signal.json", makeVectors(), "are the messages still those of version 1?")
	for _, c := range v.Frames {
		m, err := Decode([]byte(expand(c.Frame)))
		code := ""
		if err != nil {
			code = Code(err)
		}
		if code != c.Code {
			t.Errorf("%s: %v, want code %q", c.Name, err, c.Code)
		}
		if c.Message == nil {
			continue
		}
		var want bytes.Buffer
		if err := json.Compact(&want, c.Message); err != nil {
			t.Fatal(err)
		}
		if got := Encode(&m); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: says %s, want %s", c.Name, got, want.Bytes())
		}
	}
	for _, c := range v.Sessions {
		want := map[string]string{"": c.Field, "not_an_object": "!", "too_large": "!!"}[c.Error]
		if _, err := DecodeSession([]byte(expand(c.Body))); fault(err) != want {
			t.Errorf("%s: %v, want fault %q", c.Name, err, want)
		}
	}
}
