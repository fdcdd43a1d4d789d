package integrity

import (
	"encoding/hex"
	"testing"

	"github.com/viewmesh/viewmesh/internal/vectors"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// vectorFile is meshcore/testdata/integrity.json, which the browser peer's tests
// run too.
type vectorFile struct {
	About      string            `json:"about"`
	IDs        []idVector        `json:"ids"`
	ChunkSizes []chunkSizeVector `json:"chunk_sizes"`
	Layouts    []layoutVector    `json:"layouts"`
	Digests    []digestVector    `json:"digests"`
	Given      []givenVector     `json:"given"`
}

type givenVector struct {
	Swarm   string         `json:"swarm"`
	Segment wire.SegmentID `json:"segment"`
	Root    string         `json:"root"`
	Index   int            `json:"index"`
	Hash    string         `json:"hash"`
	Signed  string         `json:"signed"`
}

type idVector struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset,omitempty"`
	Length int64  `json:"length,omitempty"`
	ID     string `json:"id"`
}

type chunkSizeVector struct {
	Size      int64 `json:"size"`
	ChunkSize int   `json:"chunk_size"`
}

type layoutVector struct {
	Size      int64    `json:"size"`
	ChunkSize int      `json:"chunk_size"`
	Chunks    int      `json:"chunks,omitempty"`
	Last      [2]int64 `json:"last,omitzero"` // from and to of the last chunk
	Error     string   `json:"error,omitempty"`
}

type digestVector struct {
	Size      int    `json:"size"`
	ChunkSize int    `json:"chunk_size"`
	Hashes    string `json:"hashes"`
	Root      string `json:"root"`
}

const vectorsAbout = "Vectors of segment ids, layouts and digests, run by Go and by JavaScript. ids: the id of a path, or of a byte " +
	"range of it. chunk_sizes: what an edge chooses. layouts: chunks and the bytes of the last one, or an error. digests: of size " +
	"bytes, byte i being the highest byte of i*2654435761 in unsigned 32-bit arithmetic; hexadecimal. given: " +
	"what a peer signs with a chunk. " +
	"Written by: go test ./meshcore/integrity -run Vectors -rewrite"

func makeVectors() vectorFile {
	v := vectorFile{About: vectorsAbout}
	for _, c := range []idVector{
		{Path: "/live/v0/seg-1.m4s"}, {Path: "/live/v0/seg-2.m4s"}, {Path: "/vod/a%20b.mp4"}, {Path: "/"}, {Path: ""},
		{Path: "/vod/all.mp4", Offset: 0, Length: 1}, {Path: "/vod/all.mp4", Offset: 1048576, Length: 524288},
		{Path: "/vod/all.mp4", Offset: 9007199254740991, Length: 1}, {Path: "/vod/all.mp4", Offset: 5},
		{Path: "/vod/\u00e9.mp4"},
	} {
		c.ID = ID(c.Path, c.Offset, c.Length).String()
		v.IDs = append(v.IDs, c)
	}
	for _, size := range []int64{0, 1, 524287, 524288, 524289, 1048576, 1048577, 3000000, MaxSegment, MaxSegment + 1, 1 << 52} {
		v.ChunkSizes = append(v.ChunkSizes, chunkSizeVector{size, ChunkSize(size)})
	}
	for _, c := range []layoutVector{{Size: 1, ChunkSize: 16384}, {Size: 16384, ChunkSize: 16384}, {Size: 16385, ChunkSize: 16384},
		{Size: 64, ChunkSize: 1}, {Size: 65, ChunkSize: 1}, {Size: 0, ChunkSize: 16384}, {Size: 1, ChunkSize: 0},
		{Size: -1, ChunkSize: 16384}, {Size: 268435456, ChunkSize: 4194304}, {Size: 268435457, ChunkSize: 4194304},
		{Size: 1, ChunkSize: 4194305},
	} {
		l, err := NewLayout(c.Size, c.ChunkSize)
		if err != nil {
			c.Error = "size"
		} else {
			c.Chunks = l.Chunks()
			c.Last[0], c.Last[1] = l.Range(l.Chunks() - 1)
		}
		v.Layouts = append(v.Layouts, c)
	}
	for i, swarm := range []string{"", "s-Zm9vYmFy"} {
		root, hash := Root([]byte{byte(i)}), Root([]byte{byte(i + 1)})
		segment := wire.SegmentID(0xfedcba9876543210 << i)
		v.Given = append(v.Given, givenVector{swarm, segment, hex.EncodeToString(root[:]), 63 * i, hex.EncodeToString(hash[:]),
			hex.EncodeToString(Given(swarm, segment, root, 63*i, hash[:]))})
	}
	for _, c := range []struct{ size, chunkSize int }{{1, 16384}, {16384, 16384}, {16385, 16384}, {50000, 16384}, {100, 7}} {
		hashes, root := whole(data(c.size), c.chunkSize)
		v.Digests = append(v.Digests, digestVector{c.size, c.chunkSize, hex.EncodeToString(hashes), hex.EncodeToString(root[:])})
	}
	return v
}

func TestVectors(t *testing.T) {
	v := vectors.Kept(t, "integrity.json", makeVectors(), "ids or digests have changed, which breaks every deployed peer")
	for _, c := range v.Digests {
		l, err := NewLayout(int64(c.Size), c.ChunkSize)
		if err != nil {
			t.Fatal(err)
		}
		hashes, err := hex.DecodeString(c.Hashes)
		if err != nil {
			t.Fatal(err)
		}
		root, err := hex.DecodeString(c.Root)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(hashes, [HashSize]byte(root)); err != nil {
			t.Errorf("%d bytes: %v", c.Size, err)
		}
		b := data(c.Size)
		for i := range l.Chunks() {
			from, to := l.Range(i)
			if err := l.Check(hashes, i, b[from:to]); err != nil {
				t.Errorf("%d bytes: %v", c.Size, err)
			}
		}
	}
}

// TestKnownID holds the id of one path against a value that was computed with
// sha256sum, not with this package.
func TestKnownID(t *testing.T) {
	if got, want := ID("/live/v0/seg-1.m4s", 0, 0).String(), "667c67c6f66266e9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ID("/vod/all.mp4", 1048576, 524288).String(), "130ddbef857b8a70"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
