package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// InputKind is what an [Input] is.
type InputKind uint8

// EffectKind is what an [Effect] is.
type EffectKind uint8

// The inputs, with the fields that each uses.
const (
	// Tick only lets time pass.
	Tick InputKind = iota

	// Manifest: the player's media playlist is now Input.Manifest. The engine
	// keeps the pointer; the driver must not change what it points to.
	ManifestIn
	// Play: the playhead is at Position of media time and runs if Playing. To be
	// given when it starts, stalls, goes on, or is moved.
	Play
	// Need: the player waits for Segment and must have it within Within. It may wait
	// for a segment of each of its tracks.
	Need

	// NeighborUp: the data channel to Peer is open. Relayed says that its bytes
	// go over a relay. It comes again when they go another way.
	NeighborUp
	// NeighborDown: the data channel to Peer closed or could not be opened.
	NeighborDown
	// Offered: Peer offers a connection; the answer is Accept, Disconnect, or nothing
	// where our own offer to Peer stands.
	Offered
	// Receive: Message came from Peer; chunks are whole (wire.Assembler).
	Receive
	// Sent: the chunk of a SendChunk to Peer has left: the path to Peer can take
	// another. Bytes is its length.
	Sent

	// PassChecked: the answer to CheckPass; OK says whether the pass is good, and
	// Within for how long from now; 0 is until the connection ends, for passes that
	// have no end. With ReceiveOnly the pass lets Peer take and not give.
	PassChecked
	// ProofChecked: the answer to CheckProof. If OK, Layout, Root and Issued are those of
	// the statement that the driver keeps of the segment: the newest. Where it replaces
	// one of other bytes, the driver has forgotten those.
	ProofChecked
	// ChunkChecked: the answer to CheckChunk for Chunk of Segment from Peer; if
	// OK the driver has stored it. If not OK, Evidence convicts Peer, or is nil because
	// its signature is not good, which is no less a reason to drop it. If Former, it is a chunk of another statement that is
	// still valid, which is no lie.
	ChunkChecked

	// OriginProof: the origin's answer said, with a good signature, that Segment
	// has Layout and may be shared; Root and Issued are as with ProofChecked.
	OriginProof
	// OriginChunk: Chunk of Segment came from the origin, matched its digest, and
	// is stored. Bytes is its length. May come only after OriginProof.
	OriginChunk
	// OriginDone: the request of a FetchOrigin ended. If OK all bytes asked for
	// have come and are stored; without a proof they are Bytes in all and are for
	// this player alone. If OK, with a proof, and Bytes is not 0, the origin's bytes
	// were not those of the proof: the whole segment is stored as the origin has it,
	// for this player alone. If not OK, Bytes says how many came all the same.
	OriginDone
	// OriginTimed: an answer of the origin with Bytes of segments is over, whole or
	// broken off. Its head came Within after the request, 0 if that is not known, and
	// the last byte Took after it. To be given for each, whether the engine asked for it
	// or it passed to the player, as soon as the bytes are over; but not where the origin
	// waited for a part to be made, or the player for itself. It counts nothing: from
	// this alone the engine learns what the origin gives.
	OriginTimed

	// Signal: Signal came from the edge, of type peers or drop.
	SignalIn
	// Joined: the signaling WebSocket is open, for the first time or anew; what was
	// sent before may be lost.
	Joined
	// SetUpload: uploading is allowed from now on if OK.
	SetUpload
	// Renewed: this peer's pass is Pass from now on. Neighbors are shown it, because
	// they drop a peer whose pass has run out.
	Renewed
	// NetworkChanged: this peer has another network, address or set of ICE servers, so
	// that what could not be reached before may be reached now.
	NetworkChanged
)

// The effects: what the driver owes, and how failure comes back.
const (
	// Connect: open a connection to Peer and a data channel on it. It comes back
	// as NeighborUp or NeighborDown, always.
	Connect EffectKind = iota
	// Accept: answer the offer of Peer. It comes back as NeighborUp or
	// NeighborDown, always.
	Accept
	// Disconnect: send what is queued, then close the connection to Peer or give
	// up opening it; refuse an offer of Peer that is not answered (signal.Refuse).
	// The engine has forgotten Peer already: no NeighborDown.
	Disconnect
	// Send: send Message to Peer. A failure comes as NeighborDown.
	Send
	// SendChunk: sign Chunk of Segment (integrity.Given) and send it to Peer in fragments
	// (wire.Fragments), and
	// give Sent when the channel's buffer is low again. If the chunk is not stored
	// any more, give Sent with Bytes 0 at once.
	SendChunk

	// SendProof: send the proof of Segment, kept from CheckProof or OriginProof, to
	// Peer, ahead of any SendChunk that follows.
	SendProof

	// CheckPass: verify the pass Message.Token of Peer: signature, expiry, swarm,
	// that its subject is Peer. One without a key is as one that is ReceiveOnly. Answer PassChecked. It comes again when Peer shows a
	// pass that it was given since; keep the newer one if that is good.
	CheckPass
	// CheckProof: verify the segment token Message.Token and Message.Hashes that
	// came from Peer for Segment: signature, expiry, id, root. Keep both, unless a newer
	// statement is kept; forget the bytes of an older one, but for a player that reads
	// them. Answer ProofChecked.
	CheckProof
	// CheckChunk: check Data, which Peer sent as Chunk of Segment, and Signature, against
	// the proof and the key of Peer's pass; store it if both are good. Answer ChunkChecked.
	CheckChunk

	// FetchOrigin: take Chunks of Segment from the origin by byte range, or the
	// whole segment if Chunks is 0. Comes back as OriginProof, OriginChunk and, always, OriginDone.
	FetchOrigin
	// CancelOrigin: stop the fetch of Segment; OriginDone still comes, not OK.
	CancelOrigin

	// Complete: all bytes of Segment are stored.
	Complete
	// Evict: forget all of Segment. The player has it or will not want it.
	Evict
	// Signal: send Signal (announce, report, complain) to the edge. If the
	// WebSocket is not open, drop it; Joined has the next announce sent.
	Signal
)

// Segment is one media segment, init section or part of a manifest.
type Segment struct {
	ID wire.SegmentID
	// Sequence is the media sequence number, the same for all viewers of the
	// rendition; below 0 if there is none.
	Sequence int64
	// Start and Duration are on the presentation's timeline; an init section has
	// the duration 0 and the start of the first segment that needs it.
	Start, Duration time.Duration
	// Size is the number of bytes, 0 if not known.
	Size int64
	// Private says that it must come from the origin and must not be shared.
	Private bool
}

// Manifest is a media playlist as the engine sees it.
type Manifest struct {
	// Rendition names the rendition among the peers, on the wire as the number.
	Rendition string
	Number    uint64
	Live      bool
	// From is where the player needs this rendition from: what starts before it
	// is not wanted, because the player has that stretch in another rendition.
	From time.Duration
	// Wait is how long the edge says that a chunk waits at its origin, which cannot
	// serve all who ask; 0 where it can, or where nothing is said of it.
	Wait time.Duration
	// Segments are in playing order. Without any the engine takes nothing of peers.
	Segments []Segment
}

// Input is one input. Which fields count follows from Kind.
type Input struct {
	Kind        InputKind
	Peer        wire.PeerID
	Segment     wire.SegmentID
	Chunk       uint8
	OK          bool
	Playing     bool
	Relayed     bool
	ReceiveOnly bool
	Former      bool
	Bytes       int64
	Position    time.Duration
	Within      time.Duration
	Took        time.Duration
	Layout      integrity.Layout
	Root        uint32 // first four bytes of the statement's root, 0 if they do not matter
	Issued      int64  // when the statement was issued, in Unix seconds
	Message     *wire.Message
	Manifest    *Manifest
	Signal      *signal.Message
	Pass        string
	Evidence    *signal.Evidence
}

// Effect is one effect. Which fields count follows from Kind.
type Effect struct {
	Kind    EffectKind
	Peer    wire.PeerID
	Segment wire.SegmentID
	Chunk   uint8
	Chunks  uint64
	Data    []byte
	Message wire.Message
	Signal  *signal.Message

	Signature []byte
}
