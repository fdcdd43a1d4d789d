package insight

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/store"
	"github.com/axiomhq/hyperloglog"
)

// codecVersion is the first byte of a block.
const codecVersion = 1

// maxBlock bounds what a block holds when it is unpacked, in bytes.
const maxBlock = 64 << 20

// errBlock says that a block of a file cannot be read.
var errBlock = errors.New("damaged block of history")

// encodeRows makes one block of rows. Its keys stand in it once; then come the counters one
// by one, each over all cells and rows, because alike numbers pack well; then the sketches. What is
// packed has no sketches, and its numbers are rounded.
func encodeRows(rows []Row, packed bool) []byte {
	index := map[Key]int{}
	var keys []Key
	for _, r := range rows {
		for i := range r.Cells {
			if _, known := index[r.Cells[i].Key]; !known {
				index[r.Cells[i].Key] = 0
				keys = append(keys, r.Cells[i].Key)
			}
		}
	}
	slices.SortFunc(keys, Key.compare)
	for i, k := range keys {
		index[k] = i
	}
	grid := make([]*Cell, len(keys)*len(rows))
	for i, r := range rows {
		for j := range r.Cells {
			grid[index[r.Cells[j].Key]*len(rows)+i] = &r.Cells[j]
		}
	}
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for _, r := range rows {
		b = binary.AppendVarint(b, r.Time.Unix())
	}
	b = binary.AppendUvarint(b, uint64(len(keys)))
	before := ""
	for _, k := range keys {
		if k.Presentation != before {
			before = k.Presentation
			b = append(b, 1)
			text(k.Presentation)
		} else {
			b = append(b, 0)
		}
		b = append(b, byte(k.Dimension))
		text(k.Value)
	}
	b = binary.AppendUvarint(b, uint64(counters))
	for c := range counters {
		for _, cell := range grid {
			v := int64(0)
			if cell != nil {
				v = cell.Counters[c]
			}
			if packed {
				v = rounded(v)
			}
			b = binary.AppendVarint(b, v)
		}
	}
	for _, cell := range grid {
		var startup, audience []byte
		if cell != nil && cell.startup != nil && !packed {
			cell.startup.Encode(&startup, true)
		}
		if cell != nil && cell.audience != nil && !packed {
			audience, _ = cell.audience.MarshalBinary() // it has no error
		}
		text(string(startup))
		text(string(audience))
	}
	var out bytes.Buffer
	out.WriteByte(codecVersion)
	w, _ := flate.NewWriter(&out, flate.DefaultCompression) // an error is for unknown levels
	_, _ = w.Write(b)                                       // a bytes.Buffer takes all
	_ = w.Close()
	return out.Bytes()
}

// rounded rounds to 7 bits of precision: by 0.4 % at most, up or down.
func rounded(v int64) int64 {
	if v < 0 {
		return -rounded(-v)
	}
	drop := max(0, bits.Len64(uint64(v))-7)
	half := int64(1) << drop >> 1
	return (v + half) >> drop << drop
}

// decoder reads the numbers and strings of a block; the first error stays.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errBlock
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errBlock
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errBlock
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) text() string { return string(d.bytes(d.uvarint())) }

// number reads how many things follow, each of at least a byte.
func (d *decoder) number() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errBlock
		return 0
	}
	return int(n)
}

// decodeRows reads a block. Cells that counted nothing are left out.
func decodeRows(block []byte) ([]Row, error) {
	if len(block) == 0 || block[0] != codecVersion {
		return nil, fmt.Errorf("%w: unknown version", errBlock)
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(block[1:])), maxBlock))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	d := &decoder{b: b}
	rows := make([]Row, d.number())
	for i := range rows {
		rows[i].Time = time.Unix(d.varint(), 0).UTC()
	}
	keys := make([]Key, d.number())
	before := ""
	for i := range keys {
		if first := d.bytes(1); len(first) == 1 && first[0] == 1 {
			before = d.text()
		}
		keys[i].Presentation = before
		if dim := d.bytes(1); len(dim) == 1 && Dimension(dim[0]) < dimensions {
			keys[i].Dimension = Dimension(dim[0])
		} else {
			d.err = errBlock
		}
		keys[i].Value = d.text()
	}
	known := d.uvarint()
	if d.err != nil || known > 256 || uint64(len(keys))*uint64(len(rows))*known > uint64(len(d.b)) {
		return nil, errBlock
	}
	grid := make([]Cell, len(keys)*len(rows))
	for c := range known {
		for i := range grid {
			if v := d.varint(); c < uint64(counters) { // a later version may have more
				grid[i].Counters[c] = v
			}
		}
	}
	for i := range grid {
		grid[i].Key = keys[i/len(rows)]
		startup, audience := d.bytes(d.uvarint()), d.bytes(d.uvarint())
		if d.err != nil {
			return nil, d.err
		}
		if err := grid[i].decodeSketches(startup, audience); err != nil {
			return nil, err
		}
		if c := &grid[i]; !c.idle() || c.audience != nil {
			r := &rows[i%len(rows)]
			r.Cells = append(r.Cells, *c)
		}
	}
	return rows, nil
}

func (c *Cell) decodeSketches(startup, audience []byte) (err error) {
	if len(startup) > 0 {
		if c.startup, err = ddsketch.DecodeDDSketch(startup, store.SparseStoreConstructor, keyMapping); err != nil {
			return fmt.Errorf("%w: %w", errBlock, err)
		}
	}
	if len(audience) > 0 {
		c.audience = new(hyperloglog.Sketch)
		if err := c.audience.UnmarshalBinary(audience); err != nil {
			return fmt.Errorf("%w: %w", errBlock, err)
		}
	}
	return nil
}
