package store

// versions tells whether all that has come of a segment may be of one version. The origin
// may have another one than neighbors, and another one with the next answer.
type versions struct {
	earlier []byte // the longest stream that was begun anew
	differ  bool   // there are two
	first   int64  // the first byte in which they do
	turn    int    // counts when readers go on with another one from there on
}

// begin notes that the stream is begun anew.
func (v *versions) begin(raw []byte) {
	if len(raw) > len(v.earlier) {
		v.earlier = raw
	}
}

// compare compares a at one offset with b at another where they overlap.
func (v *versions) compare(at int64, a []byte, bt int64, b []byte) {
	from, until := max(at, bt), min(at+int64(len(a)), bt+int64(len(b)))
	if v.differ {
		until = min(until, v.first)
	}
	for i := from; i < until; i++ {
		if a[i-at] != b[i-bt] {
			v.differ, v.first = true, i
			v.turn++
			return
		}
	}
}

// apart reports whether a reader that has read up to an offset when the versions were
// other may have read one, and would go on with another.
func (v versions) apart(when versions, at int64) bool {
	return v.turn != when.turn && at > v.first
}

// stream compares the next bytes of the stream, from an offset on, with what readers may
// have got of the stream before and of chunks.
func (v *versions) stream(at int64, p []byte, proof *Proof, chunks [][]byte) {
	v.compare(at, p, 0, v.earlier)
	for i, c := range chunks {
		if c != nil {
			start, _ := proof.Layout.Range(i)
			v.compare(at, p, start, c)
		}
	}
}
