// Package wire is the peer protocol: the messages that two peers exchange
// over one ordered, reliable WebRTC data channel, and their binary encoding.
//
// # Framing
//
// One message is one data channel message of type binary. Integers are
// big-endian. The first byte is the message type; the rest is the body, whose
// fields stand in the order of the table. Bytes after the last field are an
// error. No message is longer than [MaxMessage] (16 KiB), which every browser
// sends and receives whole.
//
//	type          body
//	1 hello       version u8, flags u8, peer u64, rendition u64, pass u16+bytes
//	2 status      flags u8, rendition u64
//	3 have        n u16, n x (segment u64, chunks u8, mask u64, root u32)
//	4 request     segment u64, mask u64, flags u8, within u32 (ms), root u32
//	5 cancel      segment u64, mask u64
//	6 reject      segment u64, mask u64, reason u8, retry u32 (ms)
//	7 proof       segment u64, token u16+bytes, hashes u8 x 32 bytes
//	8 chunk       segment u64, index u8, total u32, offset u32,
//	              signature 64 bytes where offset is 0, data (the rest)
//	9 ping        nonce u32
//	10 pong       nonce u32
//	11 bye        reason u8
//
// A segment has at most 64 chunks, so that a set of chunks is one 64-bit mask:
// bit i is chunk i. A chunk larger than a message is sent as consecutive
// fragments: offset counts from the start of the chunk, total is the length of
// the whole chunk. Other messages may stand between two fragments, fragments
// of another chunk may not. [Assembler] puts them together. The first carries the
// sender's signature of the chunk, made with the key of its pass: Ed25519 over what
// integrity.Given says. It holds the sender to the bytes that it gave.
//
// # Order
//
// Each side sends hello first; anything else before it ends the connection.
// It sends hello again when its pass was renewed, of which only the pass counts;
// a peer whose last good pass has run out gets bye with [ByePass].
// Have replaces what was known of the segments it lists. Mask 0 says that the
// sender has nothing of it: with chunks 0 that it is taking it from the origin, else
// that it has given it up. Chunks 0 says that it does not know their number yet. Root is
// the first four bytes of the root of the statement whose bytes the sender has, because a
// resource may have changed: a peer asks only for bytes of the statement that it knows,
// and for the proof where a neighbor has another. Of two statements the one that was
// issued later counts. Root 0 is any. A request is answered by a chunk for each bit of
// its mask, or a reject that covers it, as is one for another root than the sender has;
// cancel withdraws what has not been sent. With the flag
// [FlagProof] a request also asks for the proof, which then comes before the
// first chunk.
//
// # Versions
//
// Version is 2. A peer that meets another version sends bye with
// [ByeVersion] and closes. A new message type needs a new version: an unknown
// type is an error, because a peer that guesses cannot be held to limits.
package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Version is the version of the protocol that this package speaks.
const Version = 2

// Limits of the protocol. Decode refuses what is over them.
const (
	MaxMessage  = 16 << 10 // bytes in one message
	MaxChunks   = 64       // chunks in a segment
	MaxHaves    = 512      // segments in one have
	MaxToken    = 2 << 10  // bytes in a pass or a segment token
	MaxChunk    = 4 << 20  // bytes in a chunk
	haveSize    = 8 + 1 + 8 + 4
	chunkHeader = 1 + 8 + 1 + 4 + 4
	// SignatureSize is the number of bytes of a signature.
	SignatureSize = 64
	// MaxFragment is the number of bytes of a chunk that fit one message.
	MaxFragment = MaxMessage - chunkHeader - SignatureSize
)

// PeerID names a peer within the edge or the cluster that admitted it. In
// JSON and in logs it is 16 hexadecimal digits.
type PeerID uint64

// String gives the 16 hexadecimal digits.
func (p PeerID) String() string { return fmt.Sprintf("%016x", uint64(p)) }

// MarshalText gives the 16 hexadecimal digits.
func (p PeerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads 16 hexadecimal digits.
func (p *PeerID) UnmarshalText(b []byte) error {
	v, err := parseHex64(b)
	*p = PeerID(v)
	return err
}

// SegmentID names a segment among the peers: the first eight bytes of the
// SHA-256 of what integrity.ID describes. In JSON it is 16 hexadecimal digits.
type SegmentID uint64

// String gives the 16 hexadecimal digits.
func (s SegmentID) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// MarshalText gives the 16 hexadecimal digits.
func (s SegmentID) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 16 hexadecimal digits.
func (s *SegmentID) UnmarshalText(b []byte) error {
	v, err := parseHex64(b)
	*s = SegmentID(v)
	return err
}

func parseHex64(b []byte) (uint64, error) {
	if len(b) != 16 {
		return 0, fmt.Errorf("id of %d characters, want 16 hexadecimal digits", len(b))
	}
	var raw [8]byte
	if _, err := hex.Decode(raw[:], b); err != nil {
		return 0, fmt.Errorf("id is not hexadecimal: %w", err)
	}
	return strconv.ParseUint(string(b), 16, 64)
}

// Type is the first byte of a message.
type Type uint8

// The message types.
const (
	Hello Type = iota + 1
	Status
	Have
	Request
	Cancel
	Reject
	Proof
	Chunk
	Ping
	Pong
	Bye
)

var typeNames = [...]string{Hello: "hello", Status: "status", Have: "have", Request: "request", Cancel: "cancel",
	Reject: "reject", Proof: "proof", Chunk: "chunk", Ping: "ping", Pong: "pong", Bye: "bye"}

// String gives the name that the table of the package uses.
func (t Type) String() string {
	if t >= Hello && t <= Bye {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// Flags of hello, status and request.
const (
	FlagNoUpload uint8 = 1 << 0 // hello, status: the sender gives no chunks
	FlagProof    uint8 = 1 << 0 // request: send the proof first
)

// Reasons of a reject.
const (
	RejectBusy    uint8 = iota + 1 // the uplink is full: ask again after retry, or ask another
	RejectMissing                  // the sender does not have these chunks
	RejectDenied                   // the pass does not cover the segment, or sharing is off
)

// Reasons of a bye.
const (
	ByeLeaving uint8 = iota + 1 // the viewer stops
	ByeVersion                  // another protocol version
	ByePass                     // the pass was not accepted, or has run out
	ByeFault                    // the other side broke the protocol or sent a wrong chunk
	ByeSlow                     // the other side was of no use
	ByeFull                     // too many neighbors
)

// SegmentHave says which chunks of a segment the sender has.
type SegmentHave struct {
	Segment SegmentID
	Chunks  uint8  // number of chunks of the segment, 0 if not known
	Mask    uint64 // bit i: chunk i
	Root    uint32 // first bytes of the root of its statement, 0 if not known
}

// Message is one message. Which fields count follows from Type, as in the
// table of the package. A message that was handed to an engine or taken from
// one must not be changed.
type Message struct {
	Type      Type
	Version   uint8 // hello
	Flags     uint8 // hello, status, request
	Reason    uint8 // reject, bye
	Index     uint8 // chunk
	Within    uint32
	Retry     uint32
	Nonce     uint32
	Total     uint32
	Offset    uint32
	Root      uint32 // request
	Peer      PeerID
	Rendition uint64
	Segment   SegmentID
	Mask      uint64
	Haves     []SegmentHave
	Token     string // hello: the pass; proof: the segment token
	Hashes    []byte // proof: 32 bytes a chunk
	Data      []byte // chunk
	Signature []byte // chunk: 64 bytes, in the first fragment; nil is all zeros
}

// Errors of Decode. Each means that the connection must be closed.
var (
	ErrTooLarge = errors.New("message over the limit")
	ErrShort    = errors.New("message ends too early")
	ErrTrailing = errors.New("message has bytes after its end")
	ErrType     = errors.New("unknown message type")
	ErrVersion  = errors.New("unknown protocol version")
	ErrValue    = errors.New("value out of range")
)
