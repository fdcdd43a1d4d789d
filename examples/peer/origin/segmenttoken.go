package origin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

const (
	maxStatement  = 64 << 10
	statementWait = 3 * time.Second
)

// statementPauses are the waits before asking again for a statement that the edge
// does not know yet: it knows it when the first response has gone through.
var statementPauses = []time.Duration{20 * time.Millisecond, 80 * time.Millisecond, 250 * time.Millisecond}

// refused says whether the header of a segment tells that there is no statement and
// will be none.
func refused(h http.Header) bool { return h.Get(HeaderDigests) == "?0" }

// errNoStatement: the edge makes no statement about the segment.
var errNoStatement = errors.New("the edge makes no statement")

// Statement is what the edge says of a segment, not verified yet.
type Statement struct {
	Token  string
	Hashes []byte
}

// statementOf reads the statement in the header of a segment.
func statementOf(h http.Header) (Statement, bool) {
	token, digests := h.Get(HeaderSegment), h.Get(HeaderDigests)
	// RFC 9651, section 3.3.5: a byte sequence stands between colons.
	if token == "" || len(digests) < 2 || digests[0] != ':' || digests[len(digests)-1] != ':' {
		return Statement{}, false
	}
	hashes, err := base64.StdEncoding.DecodeString(digests[1 : len(digests)-1])
	return Statement{token, hashes}, err == nil
}

// Statement asks the edge for the statement about a segment, at its URL.
func (c *Client) Statement(ctx context.Context, u *url.URL) (Statement, error) {
	ctx, cancel := context.WithTimeout(ctx, statementWait)
	defer cancel()
	for try := 0; ; try++ {
		s, again, err := c.askStatement(ctx, u)
		if err == nil || !again || try >= len(statementPauses) {
			return s, err
		}
		select {
		case <-time.After(statementPauses[try]):
		case <-ctx.Done():
			return Statement{}, ctx.Err()
		}
	}
}

// askStatement asks once; again says that asking later may help.
func (c *Client) askStatement(ctx context.Context, u *url.URL) (s Statement, again bool, err error) {
	resp, err := c.get(ctx, u, 0, 0)
	if err != nil {
		return s, false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxStatement))
	if err != nil {
		return s, false, err
	}
	if resp.StatusCode != http.StatusOK {
		return s, false, &StatusError{resp.StatusCode}
	}
	var answer signal.SegmentStatement
	if err := json.Unmarshal(b, &answer); err != nil {
		return s, false, fmt.Errorf("read the statement: %w", err)
	}
	if answer.Token == "" {
		return s, answer.Code == signal.NotKnown, fmt.Errorf("%w: %s", errNoStatement, answer.Code)
	}
	return Statement{answer.Token, answer.Hashes}, false, nil
}
