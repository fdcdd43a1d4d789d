package tokens

import "testing"

func BenchmarkSignPass(b *testing.B) {
	k, p := fixedKeyring(b), testPass(vectorNow)
	b.ReportAllocs()
	for b.Loop() {
		must(k.SignPass(p))
	}
}

func BenchmarkVerifyPass(b *testing.B) {
	k := fixedKeyring(b)
	token := must(k.SignPass(testPass(vectorNow)))
	b.ReportAllocs()
	for b.Loop() {
		must(k.Verifier().VerifyPass(token, vectorNow))
	}
}

func BenchmarkSignSegment(b *testing.B) {
	k := fixedKeyring(b)
	s := Segment{Path: "/live/720p/seg_000123.m4s", Size: 1 << 20, ChunkSize: 1 << 16, Expires: vectorNow}
	b.ReportAllocs()
	for b.Loop() {
		must(k.SignSegment(s))
	}
}
