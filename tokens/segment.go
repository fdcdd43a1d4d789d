package tokens

import (
	"fmt"
	"time"
)

// MaxChunkSize bounds Segment.ChunkSize, in bytes (1 GiB).
const MaxChunkSize = 1 << 30

// Segment is the edge's statement that a segment may be shared and what its
// digest is. It names no viewer: it is the same for all, so it caches.
type Segment struct {
	// Path of the resource in its percent-encoded form, from "/", without
	// query. Dot segments and encoded slashes are refused.
	Path string
	// Query is the part of the query that names the resource, without the question
	// mark; "" for none. It is percent-encoded and holds no fragment.
	Query string
	// Offset is the first byte of a byte range, in bytes; 0 for a whole
	// resource.
	Offset int64
	// Size is the length of the resource or range, in bytes, at least 1.
	// Offset+Size is at most 2^53-1.
	Size int64
	// ChunkSize is the length of each chunk but the last, in bytes, 1 to
	// MaxChunkSize.
	ChunkSize int
	// Root is the digest over the chunk hashes, as meshcore/integrity makes it.
	Root [32]byte
	// Issued is since when the resource has these bytes, kept to the second, in UTC;
	// zero if the token does not say. Of two statements about one resource the one that
	// was issued later counts.
	Issued time.Time
	// Expires is kept to the second, in UTC, and later than Issued. The token is dead
	// from then on.
	Expires time.Time
}

type segmentClaims struct {
	Path      string `json:"pth"`
	Query     string `json:"qry,omitempty"`
	Offset    int64  `json:"off,omitempty"`
	Size      int64  `json:"siz"`
	ChunkSize int64  `json:"chk"`
	Root      string `json:"rot"`
	Issued    int64  `json:"iat,omitempty"`
	Expires   int64  `json:"exp"`
}

// claims are those of a segment token that is about to be signed.
func (s Segment) claims() (segmentClaims, error) {
	c := segmentClaims{
		Path: s.Path, Query: s.Query, Offset: s.Offset, Size: s.Size, ChunkSize: int64(s.ChunkSize),
		Root: b64.EncodeToString(s.Root[:]), Expires: s.Expires.Unix(),
	}
	if !s.Issued.IsZero() {
		c.Issued = s.Issued.Unix()
	}
	return c, c.check()
}

// readSegment reads the payload of a segment token whose signature holds.
func readSegment(payload []byte, now time.Time) (Segment, error) {
	var c segmentClaims
	if err := decodeObject(payload, &c); err != nil {
		return Segment{}, fmt.Errorf("%w: claims are not of the known shape", ErrMalformed)
	}
	if err := c.check(); err != nil {
		return Segment{}, err
	}
	root, err := decodeB64(c.Root)
	if err != nil || len(root) != 32 {
		return Segment{}, fmt.Errorf("%w: root must be 32 bytes in base64url", ErrMalformed)
	}
	s := Segment{
		Path: c.Path, Query: c.Query, Offset: c.Offset, Size: c.Size, ChunkSize: int(c.ChunkSize),
		Root: [32]byte(root), Expires: time.Unix(c.Expires, 0).UTC(),
	}
	if c.Issued != 0 {
		s.Issued = time.Unix(c.Issued, 0).UTC()
	}
	if !now.Before(s.Expires) {
		return Segment{}, ErrExpired
	}
	return s, nil
}

func (c segmentClaims) check() error {
	switch {
	case !isPlainPath(c.Path):
		return fmt.Errorf("%w: path must be percent-encoded, start with \"/\" and hold no query, no dot segment and no encoded slash", ErrMalformed)
	case !isQuery(c.Query):
		return fmt.Errorf("%w: query must be percent-encoded, of at most %d bytes, without fragment", ErrMalformed, MaxTokenSize)
	case c.Offset < 0 || c.Size < 1 || c.Offset > maxSafeInteger || c.Size > maxSafeInteger-c.Offset:
		return fmt.Errorf("%w: size must be at least 1 and offset at least 0", ErrMalformed)
	case c.ChunkSize < 1 || c.ChunkSize > MaxChunkSize:
		return fmt.Errorf("%w: chunk size must be 1 to %d", ErrMalformed, MaxChunkSize)
	case c.Issued < 0 || c.Expires <= c.Issued || c.Expires > maxSafeInteger:
		return fmt.Errorf("%w: expiry must be later than the issue time", ErrMalformed)
	}
	return nil
}

// isQuery reports whether a query can stand in a URL as it is (RFC 3986, section 3.4;
// browsers leave more as it is).
func isQuery(s string) bool {
	if len(s) > MaxTokenSize {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '#' {
			return false
		}
	}
	return true
}

// Name returns the path, and the query after a question mark if there is one: what
// meshcore/integrity makes segment ids of.
func (s Segment) Name() string {
	if s.Query == "" {
		return s.Path
	}
	return s.Path + "?" + s.Query
}
