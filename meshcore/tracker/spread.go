package tracker

import "slices"

// maxOfPrefix is how many peers of one answer come from one prefix, at most, outside of
// the asking peer's household; of one network (ASN) that is not its own comes a quarter, as
// long as there are others. Who opens many sessions from one place does not surround a
// newcomer so (an eclipse attack: Heilman et al., "Eclipse attacks on Bitcoin's
// peer-to-peer network", 2015).
const maxOfPrefix = 2

type candidate struct {
	m     *member
	score float64
}

// closeness is what stands against one more peer in an answer.
type closeness int

const (
	apart      closeness = iota
	oneNetwork           // it comes if there is nobody else
	onePrefix            // it does not come
)

// spread moves to the front, in their order, at most want candidates that may stand in one
// answer, and returns how many there are; the last are of one network if there are not
// enough others and near is set.
func spread(m *member, c []candidate, want int, near bool) int {
	n := 0
	for _, allowed := range []closeness{apart, oneNetwork} {
		if allowed == oneNetwork && !near {
			break
		}
		for i := n; i < len(c) && n < want; i++ {
			if by := tooCloseFor(m, c[i].m, c[:n], want); by <= allowed {
				chosen := c[i]
				copy(c[n+1:i+1], c[n:i])
				c[n] = chosen
				n++
			}
		}
	}
	return n
}

// tooClose is tooCloseFor for an answer that has room to spare.
func tooClose(m, o *member, chosen []candidate) closeness {
	return tooCloseFor(m, o, chosen, 4*len(chosen)+4)
}

// tooCloseFor reports what stands against o in an answer of want peers to m, beside those
// that are chosen.
func tooCloseFor(m, o *member, chosen []candidate, want int) closeness {
	prefix, network := 0, 0
	for i := range chosen {
		f := &chosen[i].m.facts
		if f.Prefix == o.facts.Prefix {
			prefix++
		}
		if f.ASN == o.facts.ASN {
			network++
		}
	}
	switch {
	case o.facts.Prefix != "" && prefix >= maxOfPrefix && !sameHousehold(m, o):
		return onePrefix
	case o.facts.ASN != 0 && o.facts.ASN != m.facts.ASN && network >= max(1, want/4):
		return oneNetwork
	}
	return apart
}

// sameHousehold reports whether two peers share a public address.
func sameHousehold(m, o *member) bool {
	return m.facts.Household != "" && m.facts.Household == o.facts.Household
}

// haveMet reports whether one of two peers was told of the other.
func haveMet(m, o *member) bool {
	return slices.Contains(m.known, o.id) || slices.Contains(o.known, m.id)
}
