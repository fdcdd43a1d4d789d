package tracker

import "strconv"

// Place is where a peer is, for comparing: the strings of [Facts] as hashes (FNV-1a), so that
// two places are compared without following a pointer. 0 is not known.
type Place struct {
	prefix, household, region uint64
	asn                       uint32
	country                   uint32
}

// Place returns where a peer of these facts is.
func (f *Facts) Place() Place {
	return Place{prefix: hash(f.Prefix), household: hash(f.Household), region: hash(f.Region), asn: f.ASN, country: uint32(hash(f.Country))}
}

// Locality is how near two peers are, as part of a score: 5 in one household or site, 4 in one
// prefix, 3 in one network (ASN), 1 in one region, half in one country, 0 for far away or
// unknown. Within a network it weighs as much as all that tells peers of one rendition apart
// by uplink and load.
func (p *Place) Locality(o *Place) float64 {
	switch {
	case p.sameHousehold(o):
		return 5
	case p.SamePrefix(o):
		return 4
	case p.asn != 0 && p.asn == o.asn:
		return 3
	case p.region != 0 && p.region == o.region:
		return 1
	case p.country != 0 && p.country == o.country:
		return 0.5
	}
	return 0
}

// SamePrefix reports whether two peers are known to be of one prefix.
func (p *Place) SamePrefix(o *Place) bool { return p.prefix != 0 && p.prefix == o.prefix }

// sameHousehold reports whether two peers share a public address.
func (p *Place) sameHousehold(o *Place) bool { return p.household != 0 && p.household == o.household }

// locality is the word by which peers count as near: network before region.
func (f *Facts) locality() string {
	if f.ASN != 0 {
		return "AS" + strconv.FormatUint(uint64(f.ASN), 10)
	}
	return f.Region
}

// hash is FNV-1a; 0 for no text.
func hash(text string) uint64 {
	if text == "" {
		return 0
	}
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h | 1
}
