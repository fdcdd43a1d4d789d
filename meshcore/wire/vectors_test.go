package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/viewmesh/viewmesh/internal/vectors"
)

// vectorFile is meshcore/testdata/wire.json, which the browser peer's tests run
// too. 64-bit numbers and bytes are hexadecimal there.
type vectorFile struct {
	About    string        `json:"about"`
	Messages []vector      `json:"messages"`
	Errors   []errorVector `json:"errors"`
	Chunks   []chunkVector `json:"chunks"`
}

type vector struct {
	Name    string         `json:"name"`
	Hex     string         `json:"hex"`
	Message map[string]any `json:"message"`
}

type errorVector struct {
	Name  string `json:"name"`
	Hex   string `json:"hex"`
	Fill  string `json:"fill,omitempty"`  // one byte, that follows hex
	Times int    `json:"times,omitempty"` // this often
	Error string `json:"error"`
}

// chunkVector is a sequence of messages for an Assembler: either they make the
// whole chunk, or the last of them is an error.
type chunkVector struct {
	Name      string   `json:"name"`
	Fragments []string `json:"fragments"`
	Whole     string   `json:"whole,omitempty"`
	Error     string   `json:"error,omitempty"`
}

const vectorsAbout = "Vectors of the peer protocol, run by Go and by JavaScript. messages: hex decodes to message, and message " +
	"encodes to hex. errors: hex followed by times bytes of fill is refused for this reason. chunks: the fragments, each given " +
	"to an assembler, make whole; or the last one is refused. 64-bit numbers and bytes are hexadecimal. " +
	"Written by: go test ./meshcore/wire -run Vectors -rewrite"

var errorNames = map[error]string{ErrTooLarge: "too_large", ErrShort: "short", ErrTrailing: "trailing", ErrType: "type",
	ErrVersion: "version", ErrValue: "value"}

func errorName(err error) string {
	for e, name := range errorNames {
		if errors.Is(err, e) {
			return name
		}
	}
	return ""
}

func hex64(v uint64) string { return SegmentID(v).String() }

// fields gives the fields of m that count for its type.
func fields(m *Message) map[string]any {
	f := map[string]any{"type": m.Type.String()}
	switch m.Type {
	case Hello:
		f["version"], f["flags"], f["peer"], f["rendition"], f["pass"] = m.Version, m.Flags, m.Peer.String(), hex64(m.Rendition), m.Token
	case Status:
		f["flags"], f["rendition"] = m.Flags, hex64(m.Rendition)
	case Have:
		list := []any{}
		for _, h := range m.Haves {
			list = append(list, map[string]any{"segment": h.Segment.String(), "chunks": h.Chunks, "mask": hex64(h.Mask), "root": h.Root})
		}
		f["haves"] = list
	case Request:
		f["segment"], f["mask"], f["flags"], f["within"], f["root"] = m.Segment.String(), hex64(m.Mask), m.Flags, m.Within, m.Root
	case Cancel:
		f["segment"], f["mask"] = m.Segment.String(), hex64(m.Mask)
	case Reject:
		f["segment"], f["mask"], f["reason"], f["retry"] = m.Segment.String(), hex64(m.Mask), m.Reason, m.Retry
	case Proof:
		f["segment"], f["token"], f["hashes"] = m.Segment.String(), m.Token, hex.EncodeToString(m.Hashes)
	case Chunk:
		f["segment"], f["index"], f["total"], f["offset"], f["data"] = m.Segment.String(), m.Index, m.Total, m.Offset, hex.EncodeToString(m.Data)
		if m.Offset == 0 {
			f["signature"] = hex.EncodeToString(m.Signature)
		}
	case Ping, Pong:
		f["nonce"] = m.Nonce
	case Bye:
		f["reason"] = m.Reason
	}
	return f
}

func makeVectors() vectorFile {
	v := vectorFile{About: vectorsAbout}
	for _, c := range valid {
		if b := Append(nil, &c.m); len(b) <= 512 {
			v.Messages = append(v.Messages, vector{c.name, hex.EncodeToString(b), fields(&c.m)})
		}
	}
	for _, c := range malformed {
		e := errorVector{Name: c.name, Hex: c.hex, Error: errorNames[c.err]}
		if c.times > 0 {
			e.Fill, e.Times = hex.EncodeToString([]byte{c.fill}), c.times
		}
		v.Errors = append(v.Errors, e)
	}
	frag := func(segment SegmentID, index uint8, total, offset int, data string) string {
		return hex.EncodeToString(Append(nil, &Message{Type: Chunk, Segment: segment, Index: index, Total: uint32(total),
			Offset: uint32(offset), Data: []byte(data)}))
	}
	whole := func(s string) string { return hex.EncodeToString([]byte(s)) }
	v.Chunks = []chunkVector{
		{"one message", []string{frag(1, 0, 5, 0, "whole")}, whole("whole"), ""},
		{"three fragments", []string{frag(1, 2, 8, 0, "abc"), frag(1, 2, 8, 3, "de"), frag(1, 2, 8, 5, "fgh")}, whole("abcdefgh"), ""},
		{"begins in the middle", []string{frag(1, 0, 8, 3, "de")}, "", "value"},
		{"a gap", []string{frag(1, 0, 8, 0, "abc"), frag(1, 0, 8, 4, "e")}, "", "value"},
		{"an overlap", []string{frag(1, 0, 8, 0, "abc"), frag(1, 0, 8, 2, "cd")}, "", "value"},
		{"begins again", []string{frag(1, 0, 8, 0, "abc"), frag(1, 0, 8, 0, "abc")}, "", "value"},
		{"another chunk in between", []string{frag(1, 0, 8, 0, "abc"), frag(1, 1, 3, 0, "abc")}, "", "value"},
		{"another segment in between", []string{frag(1, 0, 8, 0, "abc"), frag(2, 0, 8, 3, "de")}, "", "value"},
		{"changes its length", []string{frag(1, 0, 8, 0, "abc"), frag(1, 0, 9, 3, "de")}, "", "value"},
	}
	return v
}

func TestVectors(t *testing.T) {
	v := vectors.Kept(t, "wire.json", makeVectors(), "the encoding of a message has changed, which needs a new Version")
	for _, c := range v.Messages {
		m, err := Decode(unhex(t, c.Hex))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if got := hex.EncodeToString(Append(nil, &m)); got != c.Hex {
			t.Errorf("%s: encodes to %s, want %s", c.Name, got, c.Hex)
		}
		asJSON, _ := json.Marshal(fields(&m))
		var got map[string]any
		_ = json.Unmarshal(asJSON, &got)
		if !reflect.DeepEqual(got, c.Message) {
			t.Errorf("%s: decodes to %v, want %v", c.Name, got, c.Message)
		}
	}
	for _, c := range v.Errors {
		_, err := Decode(append(unhex(t, c.Hex), bytes.Repeat(unhex(t, c.Fill), c.Times)...))
		if errorName(err) != c.Error {
			t.Errorf("%s: error %v, want %q", c.Name, err, c.Error)
		}
	}
	for _, c := range v.Chunks {
		var a Assembler
		var whole []byte
		var err error
		for _, h := range c.Fragments {
			var m Message
			if m, err = Decode(unhex(t, h)); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			m, _, err = a.Add(m)
			whole = m.Data
		}
		if hex.EncodeToString(whole) != c.Whole || errorName(err) != c.Error {
			t.Errorf("%s: %x and error %v, want %s and %q", c.Name, whole, err, c.Whole, c.Error)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
