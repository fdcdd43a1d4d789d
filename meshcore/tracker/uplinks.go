package tracker

import "math/bits"

// fewUplinks is the number of announced uplinks below which nobody counts as slow.
const fewUplinks = 8

// uplinks counts the uploaders of a rendition by what they announced of their
// uplink, in half octaves of bit/s. It tells who is slow, whatever some claim: the
// median does not follow them.
type uplinks struct {
	counts [128]int32
	known  int32
}

// move puts m where its announcement belongs.
func (u *uplinks) move(m *member) {
	u.remove(m)
	if bps := uint64(m.uplinkBPS); bps > 1 {
		n := bits.Len64(bps)
		m.octave = int16(2*n + int(bps>>(n-2)&1))
		u.counts[m.octave]++
		u.known++
	}
}

func (u *uplinks) remove(m *member) {
	if m.octave >= 0 {
		u.counts[m.octave]--
		u.known--
		m.octave = -1
	}
}

// slow says whether m would take too long to give a segment away for the first time:
// its uplink is in a lower half octave than the median.
func (u *uplinks) slow(m *member) bool {
	if u.known < fewUplinks || m.octave < 0 {
		return false
	}
	below := int32(0)
	for _, c := range u.counts[:m.octave+1] {
		below += c
	}
	return below <= u.known/2
}
