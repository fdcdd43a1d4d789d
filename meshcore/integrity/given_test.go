package integrity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
)

// BenchmarkGiven is what signatures cost a peer at 5 Mbit/s: it checks one of each chunk
// that comes, and signs one for each chunk that it gives as much as it takes. "percent" is
// the share of one processor, of the signatures alone.
func BenchmarkGiven(b *testing.B) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		bytes int
	}{{"64KiB", 64 << 10}, {"16KiB", 16 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			hash := sha256.Sum256(make([]byte, c.bytes))
			for b.Loop() {
				given := Given("s-Zm9vYmFyYmF6cXV4", 1, hash, 3, hash[:])
				if !ed25519.Verify(public, given, ed25519.Sign(private, given)) {
					b.Fatal("it does not verify")
				}
			}
			perSecond := 5e6 / 8 / float64(c.bytes)
			b.ReportMetric(100*perSecond*b.Elapsed().Seconds()/float64(b.N), "percent")
		})
	}
}

// TestGivenSaysAll: what is signed differs in each of its parts.
func TestGivenSaysAll(t *testing.T) {
	one, other := Root([]byte("a")), Root([]byte("b"))
	seen := map[string]bool{}
	for _, b := range [][]byte{
		Given("s", 1, one, 0, one[:]), Given("t", 1, one, 0, one[:]), Given("", 1, one, 0, one[:]), Given("s", 2, one, 0, one[:]),
		Given("s", 1, other, 0, one[:]), Given("s", 1, one, 1, one[:]), Given("s", 1, one, 0, other[:]),
	} {
		if seen[string(b)] {
			t.Errorf("%q is signed twice", b)
		}
		seen[string(b)] = true
	}
}
