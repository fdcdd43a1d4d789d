package sim

import "time"

// cut is a time in which nothing passes between a viewer and others, although both stay and
// reach the edge: its router has forgotten them, or its network changed. What is sent
// meanwhile comes when the path is back, as SCTP sends it again (RFC 9260, section 6.3).
type cut struct{ from, until time.Duration }

// holds reports whether it is under way.
func (c *cut) holds(now time.Duration) bool { return c.from <= now && now < c.until }

// dead reports whether nothing passes between two viewers.
func dead(now time.Duration, a, b *node) bool { return a.cut.holds(now) || b.cut.holds(now) }

// passes is when what would be there at a time is, given what is cut; the order stays.
func passes(w *shard, n *node, to int32, at time.Duration) time.Duration {
	for _, x := range [...]*node{n, w.nodes[to]} {
		if x.cut.holds(w.now) {
			at = max(at, x.cut.until+(at-x.cut.from)/1000)
		}
	}
	return at
}

// pathsDie has the paths of every second viewer die. Where they stay dead for longer than
// drivers wait, the connections end.
func pathsDie(w *shard) {
	hit := true
	for _, n := range w.nodes {
		if !n.here {
			continue
		}
		if hit {
			n.cut = cut{w.now, w.now + seconds(w.sc.PathsBackS)}
			for i, to := range n.to {
				if at := w.now + seconds(w.sc.DeadAfterS); n.cut.holds(at) {
					w.push(event{at: at, kind: evDown, from: to, to: n.id, ref: n.links[i].version})
					if l := w.nodes[to].link(n.id); l != nil {
						w.push(event{at: at, kind: evDown, from: n.id, to: to, ref: l.version})
					}
				}
			}
		}
		hit = !hit
	}
}

// recovered is how long after the paths were back the first ten seconds were over in which
// peers gave as large a share as before they died, within 5 points; never if there were none.
func (sc *Scenario) recovered(series []Point) time.Duration {
	var peers, all int64
	for _, p := range series {
		at := seconds(p.Seconds)
		switch {
		case at < seconds(sc.PathsDieS)/2: // the swarm is still growing together
		case at+window <= seconds(sc.PathsDieS):
			peers += p.PeerBytes
			all += p.PeerBytes + p.OriginBytes
		case at >= seconds(sc.PathsDieS) && p.Offload() >= float64(peers)/float64(max(1, all))-0.05:
			return max(0, at+window-seconds(sc.PathsDieS+sc.PathsBackS))
		}
	}
	return never
}
