package tokens

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// counted is a source of keys that counts for how many tokens a signature was checked.
type counted struct {
	*KeySet
	asked int
}

func (c *counted) Keys(ctx context.Context, kid string) (*KeySet, error) {
	c.asked++
	return c.KeySet.Keys(ctx, kid)
}

// forged returns tokens whose signature does not verify, each another one.
func forged(t testing.TB, signer *Signer, n, from int, exp int64) (tokens []string) {
	for i := range n {
		good := must(signer.Sign(map[string]any{"exp": exp, "cdniuc": "regex:.*", "n": from + i}))
		other := must(signer.Sign(map[string]any{"exp": exp, "cdniuc": "regex:.*", "m": from + i}))
		cut := func(s string) (string, string) { a, b, _ := cutLast(s, '.'); return a, b }
		claims, _ := cut(good)
		_, signature := cut(other)
		tokens = append(tokens, claims+"."+signature)
	}
	return tokens
}

// worst is the request that costs most: a token in the query and four cookies.
func worst(tokens []string) Request {
	cookie := ""
	for _, c := range tokens[1:] {
		cookie += "; " + DefaultAttribute + "=" + c
	}
	return Request{URI: "http://h/a?" + DefaultAttribute + "=" + tokens[0], Header: map[string][]string{"Cookie": {cookie[2:]}}, Time: unix(100)}
}

// TestOneTokenIsChecked: whatever a request carries, one signature is checked, and a
// token that was refused is refused for a moment without another check.
func TestOneTokenIsChecked(t *testing.T) {
	keys := must(ParseKeySet(makeKeyPair(t, ES256).privateJWK))
	signer := must(NewSigner(keys, ""))
	source := &counted{KeySet: keys}
	u := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: source}}}))
	verify := func(r Request) (Reason, int) {
		before := source.asked
		_, err := u.Verify(t.Context(), r)
		if err != nil && ReasonOf(err) == "" {
			t.Fatal(err)
		}
		return ReasonOf(err), source.asked - before
	}
	bad := forged(t, signer, 5, 0, 200)
	r := worst(bad)
	for i, want := range []int{1, 0, 0} {
		if reason, n := verify(r); reason != ReasonSignature || n != want {
			t.Errorf("request %d: %s, %d checks, want %d", i, reason, n, want)
		}
	}
	r.Time = r.Time.Add(failuresFor)
	if _, n := verify(r); n != 1 {
		t.Errorf("after a moment: %d checks", n)
	}
	good := must(signer.Sign(map[string]any{"exp": 200, "cdniuc": "regex:.*"}))
	old := must(signer.Sign(map[string]any{"exp": 50, "cdniuc": "regex:.*"}))
	for name, c := range map[string]struct {
		tokens []string
		want   Reason
	}{
		"a renewal beside an expired token":      {[]string{old, good}, ""},
		"a renewal beside what is no token":      {[]string{"nonsense", good}, ""},
		"one that is known, beside a forged one": {[]string{bad[0], bad[1], good}, ""},
		"all expired":                            {[]string{old, old}, ReasonExpired},
	} {
		if reason, n := verify(worst(c.tokens)); reason != c.want || n > 1 {
			t.Errorf("%s: %q, %d checks", name, reason, n)
		}
	}
}

// BenchmarkWorstRefusal is the most expensive bad request: tokens that were never seen,
// in the query and four cookies; "checks" is its cost in checks of one signature.
func BenchmarkWorstRefusal(b *testing.B) {
	keys := must(ParseKeySet(makeKeyPair(b, ES256).privateJWK))
	signer := must(NewSigner(keys, ""))
	u := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}, Remember: -1}))
	requests := make([]Request, 64)
	for i := range requests {
		requests[i] = worst(forged(b, signer, 5, 5*i, 200))
	}
	one := Request{URI: requests[0].URI, Time: unix(100)}
	refused := func(r Request) {
		if _, err := u.Verify(context.Background(), r); ReasonOf(err) != ReasonSignature {
			b.Fatal(fmt.Errorf("not refused for its signature: %w", err))
		}
	}
	for range 50 {
		refused(one)
	}
	begin := time.Now()
	for range 200 {
		refused(one)
	}
	single := time.Since(begin) / 200
	i := 0
	for b.Loop() {
		refused(requests[i%len(requests)])
		i++
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(single), "checks")
}
