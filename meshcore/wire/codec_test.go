package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// hashes is n hashes of 32 bytes that tell themselves apart.
func hashes(n int) []byte {
	b := make([]byte, 32*n)
	for i := range b {
		b[i] = byte(i/32 + i)
	}
	return b
}

// unsigned is no signature, in hexadecimal.
var unsigned = strings.Repeat("00", SignatureSize)

func haves(n int) []SegmentHave {
	h := make([]SegmentHave, n)
	for i := range h {
		h[i] = SegmentHave{Segment: SegmentID(i) << 32, Chunks: uint8(i % (MaxChunks + 1)), Mask: All(i % (MaxChunks + 1))}
	}
	return h
}

// valid is one message of every kind, at both ends of every limit.
var valid = []struct {
	name string
	m    Message
}{
	{"hello", Message{Type: Hello, Version: 2, Peer: 0x0123456789abcdef, Rendition: 0xfedcba9876543210, Token: "pass"}},
	{"hello that gives nothing", Message{Type: Hello, Version: 2, Flags: FlagNoUpload, Peer: 1}},
	{"hello with the longest pass", Message{Type: Hello, Version: 2, Peer: ^PeerID(0), Rendition: ^uint64(0), Token: strings.Repeat("t", MaxToken)}},
	{"status", Message{Type: Status, Flags: FlagNoUpload, Rendition: 7}},
	{"have of nothing", Message{Type: Have, Haves: []SegmentHave{}}},
	{"have", Message{Type: Have, Haves: []SegmentHave{
		{Segment: 1, Chunks: 3, Mask: 5, Root: 0xdeadbeef}, {Segment: 2, Chunks: 0, Mask: 1 << 63}, {Segment: 3, Chunks: 64, Mask: ^uint64(0)}, {Segment: 4, Chunks: 9}}}},
	{"have of the most segments", Message{Type: Have, Haves: haves(MaxHaves)}},
	{"request", Message{Type: Request, Segment: 0xa1, Mask: 0x8000000000000001, Flags: FlagProof, Within: 2500, Root: 0xdeadbeef}},
	{"request without hurry", Message{Type: Request, Segment: 0xa1, Mask: 1, Within: ^uint32(0)}},
	{"cancel", Message{Type: Cancel, Segment: 0xa1, Mask: 6}},
	{"reject", Message{Type: Reject, Segment: 0xa1, Mask: 6, Reason: RejectBusy, Retry: 400}},
	{"proof of one chunk", Message{Type: Proof, Segment: 0xa1, Token: "statement", Hashes: hashes(1)}},
	{"proof of the most chunks", Message{Type: Proof, Segment: 0xa1, Token: strings.Repeat("t", MaxToken), Hashes: hashes(MaxChunks)}},
	{"chunk of one byte", Message{Type: Chunk, Segment: 0xa1, Total: 1, Data: []byte{9}, Signature: hashes(2)}},
	{"chunk that fills a message", Message{Type: Chunk, Segment: 0xa1, Index: 63, Total: MaxFragment, Data: bytes.Repeat([]byte{9}, MaxFragment), Signature: hashes(2)}},
	{"last fragment of the largest chunk", Message{Type: Chunk, Segment: 0xa1, Index: 63, Total: MaxChunk, Offset: MaxChunk - 2, Data: []byte{1, 2}}},
	{"ping", Message{Type: Ping, Nonce: 0xdeadbeef}},
	{"pong", Message{Type: Pong, Nonce: 0xdeadbeef}},
	{"bye", Message{Type: Bye, Reason: ByeSlow}},
}

func TestEveryMessageComesBack(t *testing.T) {
	seen := map[Type]bool{}
	for _, c := range valid {
		seen[c.m.Type] = true
		b := Append([]byte("before"), &c.m)
		if !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("%s: Append did not append", c.name)
		}
		got, err := Decode(b[len("before"):])
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !reflect.DeepEqual(got, c.m) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.m)
		}
	}
	for ty := Hello; ty <= Bye; ty++ {
		if !seen[ty] {
			t.Errorf("no case for %v", ty)
		}
	}
}

// TestCutAndPadded takes every prefix of every message, and every message with a
// byte too many: none of them is a message.
func TestCutAndPadded(t *testing.T) {
	for _, c := range valid {
		b := Append(nil, &c.m)
		step := max(1, len(b)/64)
		for n := 0; n < len(b); n += step {
			m, err := Decode(b[:n])
			header := chunkHeader
			if c.m.Offset == 0 {
				header += SignatureSize
			}
			if c.m.Type == Chunk && n > header {
				// A shorter fragment is a fragment.
				if err != nil || len(m.Data) != n-header {
					t.Errorf("%s cut to %d bytes: %d bytes of data, %v", c.name, n, len(m.Data), err)
				}
				continue
			}
			want := ErrShort
			if c.m.Type == Chunk && n == header {
				want = ErrValue
			}
			if !errors.Is(err, want) {
				t.Errorf("%s cut to %d bytes: error %v, want %v", c.name, n, err, want)
			}
		}
		if c.m.Type == Chunk || len(b) == MaxMessage {
			continue
		}
		if _, err := Decode(append(b, 0)); !errors.Is(err, ErrTrailing) {
			t.Errorf("%s with a byte too many: error %v, want %v", c.name, err, ErrTrailing)
		}
	}
}

// malformed is what no peer may send. Where fill is set, times bytes of it
// follow hex.
var malformed = []struct {
	name  string
	hex   string
	fill  byte
	times int
	err   error
}{
	{"nothing", "", 0, 0, ErrShort},
	{"type 0", "00", 0, 0, ErrType},
	{"type after the last", "0c00", 0, 0, ErrType},
	{"type 255", "ff", 0, 0, ErrType},
	{"one byte over the limit", "08", 0, MaxMessage, ErrTooLarge},
	{"hello of version 0", "01000000000000000000010000000000000000" + "0000", 0, 0, ErrVersion},
	{"hello of version 1, whatever follows", "0101ff", 0, 0, ErrVersion},
	{"hello with a pass over the limit", "0102000000000000000001" + "0000000000000000" + "0801", 't', MaxToken + 1, ErrTooLarge},
	{"hello with less pass than it says", "0102000000000000000001" + "0000000000000000" + "0005", 't', 4, ErrShort},
	{"hello with more pass than it says", "0102000000000000000001" + "0000000000000000" + "0003", 't', 4, ErrTrailing},
	{"have of too many segments", "030201", 0, haveSize * 513, ErrValue},
	{"have of too many segments, none there", "03ffff", 0, 0, ErrValue},
	{"have with less than it says", "030002" + "0000000000000001" + "01" + "0000000000000001", 0, 0, ErrShort},
	{"have with 65 chunks", "030001" + "0000000000000001" + "41" + "0000000000000001" + "00000000", 0, 0, ErrValue},
	{"have with a bit beyond its chunks", "030001" + "0000000000000001" + "03" + "0000000000000008" + "00000000", 0, 0, ErrValue},
	{"have with bit 63 of 63 chunks", "030001" + "0000000000000001" + "3f" + "8000000000000000" + "00000000", 0, 0, ErrValue},
	{"proof without hashes", "07" + "00000000000000a1" + "0001" + "74" + "00", 0, 0, ErrValue},
	{"proof with 65 hashes", "07" + "00000000000000a1" + "0001" + "74" + "41", 1, 65 * 32, ErrValue},
	{"proof with half a hash", "07" + "00000000000000a1" + "0001" + "74" + "01", 1, 16, ErrShort},
	{"proof with a token over the limit", "07" + "00000000000000a1" + "0801", 't', MaxToken + 34, ErrTooLarge},
	{"chunk 64", "08" + "00000000000000a1" + "40" + "00000001" + "00000000" + unsigned + "09", 0, 0, ErrValue},
	{"chunk without data", "08" + "00000000000000a1" + "00" + "00000001" + "00000000" + unsigned, 0, 0, ErrValue},
	{"chunk of no bytes", "08" + "00000000000000a1" + "00" + "00000000" + "00000000" + unsigned, 0, 0, ErrValue},
	{"chunk over the limit", "08" + "00000000000000a1" + "00" + "00400001" + "00000000" + unsigned + "09", 0, 0, ErrValue},
	{"chunk with half a signature", "08" + "00000000000000a1" + "00" + "00000001" + "00000000" + unsigned[:64], 0, 0, ErrShort},
	{"fragment past the end", "08" + "00000000000000a1" + "00" + "00000002" + "00000001" + "0909", 0, 0, ErrValue},
	{"fragment whose end wraps around", "08" + "00000000000000a1" + "00" + "00000002" + "ffffffff" + "0909", 0, 0, ErrValue},
	{"request without its last byte", "04" + "00000000000000a1" + "0000000000000001" + "00" + "000000", 0, 0, ErrShort},
	{"cancel with a byte too many", "05" + "00000000000000a1" + "0000000000000001" + "00", 0, 0, ErrTrailing},
	{"ping without a nonce", "09", 0, 0, ErrShort},
	{"bye without a reason", "0b", 0, 0, ErrShort},
	{"bye with two reasons", "0b0102", 0, 0, ErrTrailing},
}

func TestMalformed(t *testing.T) {
	for _, c := range malformed {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := Decode(append(b, bytes.Repeat([]byte{c.fill}, c.times)...)); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
	}
}

// TestAppendRefusesWhatDecodeWould: a fault of the caller shows where it was
// made, not as a connection that the other side closes.
func TestAppendRefusesWhatDecodeWould(t *testing.T) {
	for name, m := range map[string]Message{
		"no type":                 {},
		"type after the last":     {Type: Bye + 1},
		"pass over the limit":     {Type: Hello, Version: 2, Token: strings.Repeat("t", MaxToken+1)},
		"too many segments":       {Type: Have, Haves: haves(MaxHaves + 1)},
		"65 chunks":               {Type: Have, Haves: []SegmentHave{{Chunks: 65}}},
		"bit beyond the chunks":   {Type: Have, Haves: []SegmentHave{{Chunks: 1, Mask: 2}}},
		"no hashes":               {Type: Proof, Token: "t"},
		"65 hashes":               {Type: Proof, Token: "t", Hashes: hashes(65)},
		"half a hash":             {Type: Proof, Token: "t", Hashes: make([]byte, 48)},
		"token over the limit":    {Type: Proof, Token: strings.Repeat("t", MaxToken+1), Hashes: hashes(1)},
		"chunk 64":                {Type: Chunk, Index: 64, Total: 1, Data: []byte{1}},
		"chunk without data":      {Type: Chunk, Total: 1},
		"fragment past the end":   {Type: Chunk, Total: 1, Offset: 1, Data: []byte{1}},
		"chunk over the limit":    {Type: Chunk, Total: MaxChunk + 1, Data: []byte{1}},
		"fragment over the limit": {Type: Chunk, Total: MaxChunk, Data: make([]byte, MaxFragment+1)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Append took it", name)
				}
			}()
			Append(nil, &m)
		}()
	}
}

func TestDecodeSharesOnlyData(t *testing.T) {
	for _, c := range valid {
		b := Append(nil, &c.m)
		m, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] ^= 0xff
		}
		m.Data = c.m.Data
		if !reflect.DeepEqual(m, c.m) {
			t.Errorf("%s: a field other than Data shares memory with the input", c.name)
		}
	}
}

func TestIDText(t *testing.T) {
	p, s := PeerID(0xa1), SegmentID(0xfedcba9876543210)
	if p.String() != "00000000000000a1" || s.String() != "fedcba9876543210" {
		t.Errorf("got %v and %v", p, s)
	}
	for _, text := range []string{"00000000000000a1", "FEDCBA9876543210", "ffffffffffffffff"} {
		var p PeerID
		var s SegmentID
		if err := errors.Join(p.UnmarshalText([]byte(text)), s.UnmarshalText([]byte(text))); err != nil {
			t.Error(err)
		}
		if !strings.EqualFold(p.String(), text) || !strings.EqualFold(s.String(), text) {
			t.Errorf("%s came back as %v and %v", text, p, s)
		}
	}
	for _, text := range []string{"", "a1", "00000000000000a", "00000000000000a1 ", "+0000000000000a1", "0x000000000000a1", "0_000000000000a1", "zzzzzzzzzzzzzzzz"} {
		if p.UnmarshalText([]byte(text)) == nil || s.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was taken for an id", text)
		}
	}
}

func TestAll(t *testing.T) {
	for n, want := range map[int]uint64{0: 0, 1: 1, 5: 31, 63: 1<<63 - 1, 64: ^uint64(0)} {
		if got := All(n); got != want {
			t.Errorf("All(%d) = %x, want %x", n, got, want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	if Hello.String() != "hello" || Bye.String() != "bye" || Type(0).String() != "type 0" || Type(12).String() != "type 12" {
		t.Errorf("got %v %v %v %v", Hello, Bye, Type(0), Type(12))
	}
}

func BenchmarkDecodeChunk(b *testing.B) {
	msg := Append(nil, &Message{Type: Chunk, Segment: 1, Total: MaxFragment, Data: make([]byte, MaxFragment)})
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(msg); err != nil {
			b.Fatal(err)
		}
	}
}
