package tokens

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

// The first request of a token pays for its signature, the others for a lookup
// and the checks that depend on the request. "first/again" is how many times
// dearer the first is.

func benchViewer(b *testing.B, make func(remember int) Viewer, r Request) {
	ctx := context.Background()
	verify := func(v Viewer) {
		if _, err := v.Verify(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	forgetful, remembering := make(-1), make(0)
	verify(forgetful)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			verify(forgetful)
		}
	})
	b.Run("again", func(b *testing.B) {
		const rounds = 200
		begin := time.Now()
		for range rounds {
			verify(forgetful)
		}
		first := time.Since(begin) / rounds
		verify(remembering)
		b.ReportAllocs()
		for b.Loop() {
			verify(remembering)
		}
		if again := b.Elapsed() / time.Duration(b.N); again > 0 {
			b.ReportMetric(float64(first)/float64(again), "first/again")
		}
	})
}

func BenchmarkURISigning(b *testing.B) {
	ex, keys := loadRFC(b)
	uri := "http://cdni.example/foo/bar/001.ts"
	benchViewer(b, func(remember int) Viewer {
		return must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}, Remember: remember}))
	}, Request{URI: AddToQuery(uri, DefaultAttribute, ex.Renewal.Token), Time: unix(rfcExpiry - 1), ClientIP: netip.MustParseAddr("192.0.2.1")})
}

func BenchmarkURISigningRenewing(b *testing.B) {
	ex, keys := loadRFC(b)
	signer := must(NewSigner(keys, ""))
	benchViewer(b, func(remember int) Viewer {
		return must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}, Signer: signer, Remember: remember}))
	}, Request{URI: AddToQuery("http://cdni.example/foo/bar/001.ts", DefaultAttribute, ex.Renewal.Token), Time: unix(rfcExpiry - 1)})
}

func benchJWT(b *testing.B, algorithm string, keys *KeySet) {
	token := must(must(NewSigner(keys, "")).Sign(map[string]any{"exp": 200, "iss": "login", "sub": "viewer", "paths": []string{"/live/"}}))
	benchViewer(b, func(remember int) Viewer {
		return must(NewJWT(JWTConfig{Trust: []Trust{{Keys: keys}}, Algorithms: []string{algorithm}, PathsClaim: "paths", From: []Lookup{{InQuery, "token"}}, Remember: remember}))
	}, Request{URI: "https://h/live/720p/a.m4s?token=" + token, Time: unix(100)})
}

func BenchmarkJWTHS256(b *testing.B) { benchJWT(b, HS256, must(SecretKeySet(make([]byte, 32), "k"))) }

func BenchmarkJWTES256(b *testing.B) {
	benchJWT(b, ES256, must(ParseKeySet(makeKeyPair(b, ES256).privateJWK)))
}

func BenchmarkJWTRS256(b *testing.B) {
	benchJWT(b, RS256, must(ParseKeySet(makeKeyPair(b, RS256).privateJWK)))
}

func BenchmarkJWTEdDSA(b *testing.B) {
	benchJWT(b, EdDSA, must(ParseKeySet(makeKeyPair(b, EdDSA).privateJWK)))
}

func BenchmarkVerifySegment(b *testing.B) {
	k := fixedKeyring(b)
	token := must(k.SignSegment(Segment{Path: "/live/720p/seg_000123.m4s", Size: 1 << 20, ChunkSize: 1 << 16, Expires: vectorNow.Add(time.Hour)}))
	memory := NewRemember[Segment](16)
	first := func() Segment { return must(k.Verifier().VerifySegment(token, vectorNow)) }
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			first()
		}
	})
	b.Run("again", func(b *testing.B) {
		memory.Put(token, first(), vectorNow.Add(time.Hour))
		begin := time.Now()
		for range 200 {
			first()
		}
		cost := time.Since(begin) / 200
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := memory.Get(token, vectorNow); !ok {
				b.Fatal("forgotten")
			}
		}
		if again := b.Elapsed() / time.Duration(b.N); again > 0 {
			b.ReportMetric(float64(cost)/float64(again), "first/again")
		}
	})
}
