package tracker

// maxOfPrefix is how many peers of one answer come from one prefix, at most, outside of
// the asking peer's household; of one network (ASN) that is not its own comes a quarter, as
// long as there are others. Who opens many sessions from one place does not surround a
// newcomer so (an eclipse attack: Heilman et al., "Eclipse attacks on Bitcoin's
// peer-to-peer network", 2015). Whom it was introduced to before, and who is still there, counts
// as much as the answer does, so that asking again gets no more of them: from another's prefix
// come a quarter of all, from the own prefix more where nobody else is new.
const maxOfPrefix = 2

// candidate is a member, and how good it is as a neighbor of the one that asks.
type candidate struct {
	m     *member
	score float64
	// met is how many others of its prefix the one that asks knows.
	met int
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
			if by := tooCloseFor(m, &c[i], c[:n], want); by <= allowed {
				chosen := c[i]
				copy(c[n+1:i+1], c[n:i])
				c[n] = chosen
				n++
			}
		}
	}
	return n
}

// tooCloseFor reports what stands against o in an answer of want peers to m, beside those
// that are chosen.
func tooCloseFor(m *member, o *candidate, chosen []candidate, want int) closeness {
	prefix, network := 0, 0
	at := &o.m.place
	for i := range chosen {
		p := &chosen[i].m.place
		if p.prefix == at.prefix {
			prefix++
		}
		if p.asn == at.asn {
			network++
		}
	}
	if at.prefix != 0 && !m.place.sameHousehold(at) {
		most := max(maxOfPrefix, (len(m.known.ids)+want)/4)
		switch own := m.place.SamePrefix(at); {
		case prefix >= maxOfPrefix, !own && prefix+o.met >= most:
			return onePrefix
		case own && prefix+o.met >= most:
			return oneNetwork
		}
	}
	if at.asn != 0 && at.asn != m.place.asn && network >= max(1, want/4) {
		return oneNetwork
	}
	return apart
}
