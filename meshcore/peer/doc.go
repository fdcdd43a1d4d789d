// Package peer is the viewer's engine: it decides which chunk to take from whom
// and when, what to give to whom, and whom to be connected with. It does no I/O
// and knows no time but what it is given (compare etcd-io/raft): a driver feeds
// [Engine.Step] with inputs, carries out the effects, and calls again when
// [Engine.NextDeadline] says. input.go says what each input means and what the
// driver owes for each effect. The driver holds bytes, sockets and keys; the
// engine holds who has which chunk. The same seed and inputs give the same effects, on
// every machine: products are rounded before they are added (float64(a*b)+c), because
// some processors would fuse the two.
//
// # The algorithm
//
// A segment is up to 64 chunks; a set of chunks is one 64-bit mask. Of each
// segment the engine knows what it has, what each neighbor has, and what is
// under way from where. Each change makes it plan (schedule.go), which asks, for
// each segment that the player will need and that is not complete: is it time to
// take it from the origin? If not, who can give what is missing of it?
//
// Segments come in the order of before: those whose deadline is near by deadline,
// the others rarest first. For one segment, again and again, the neighbor that
// would deliver first (its round trip plus what it already owes us, at the rate
// it was measured at) is asked for the chunk that the fewest neighbors have. A
// neighbor is asked for no more at once than half a second of its rate, so that
// the choice stays open. One whose rate is not known, because it gave nothing lately,
// is thought to be as fast as the others and asked for one chunk where there is
// time, so that no good neighbor stays unused. Rarest first is BitTorrent's (Cohen, "Incentives build
// robustness in BitTorrent", 2003; Legout et al., "Rarest first and choke
// algorithms are enough", 2006); a deadline window before it is that of
// CoolStreaming (Zhang et al., 2005) and of Zhao, Lui and Chiu, "Exploring the
// optimal chunk selection policy" (2009).
//
// # The origin
//
// Live: of each new segment the fetchers, whose turn follows from the media
// sequence and the rank that the tracker gave (signal.Duty), take the whole at
// once. Who has a slow uplink gets no rank, so a peer soon announces its own. Everybody else waits. If nothing of it is heard, further peers follow in
// the order of the rotation, twice as many in each tenth of the slack, like the
// suppression timers of SRM (Floyd et al., 1997). Who comes waits with all but the
// first segment until its neighbors are there and have said what they have. VOD: what no neighbor has is
// taken when it comes within OriginGoal of the playhead, at times spread by a
// hash, so that one of several viewers at the same place goes first. Whoever takes from
// the origin what no neighbor has says so to them, and they wait for it a second.
//
// Within the urgent window before the deadline, whose length is one and a half
// times what the origin was measured to need for the rest, what is missing and
// not under way comes from the origin by byte range; what is under way is waited
// for as long as the neighbor's rate promises it in time; and in the endgame, when
// the origin would only just make it, everything outstanding is taken from it.
// A peer without neighbors plays from the origin like any player.
//
// Where a quarter or more of what comes is from the origin and neighbors are often busy,
// uplinks do not carry what all watch (share.go). More than its fetchers then take a live segment as soon as it is
// there, which costs nothing, because somebody takes it anyway, and gives uplinks
// something to carry. A neighbor that is busy is asked less and less often.
//
// A peer that plays ahead of its neighbors hears of each live segment when that is due.
// What they have, or have begun to take, it asks them for until the origin would only
// just make it; what nobody has it takes at once, and whoever's turn that was waits for
// it. So one copy leaves the origin, whoever is first.
//
// Where the edge says that its origin cannot serve all who ask, or a crowd sees that its
// fetches crawl, the swarm cooperates (stripes.go): who comes waits for its neighbors,
// takes what they have, and of what none of them has the stripe whose turn is its own, one
// fetch at a time; a slow fetch of what others can spare it is cancelled. After the origin
// was far behind turns are longer, because all lack the same. Where neighbors do
// not bring what they have, a peer steps aside and plays as before.
//
// What the origin gives is learned from how long its answers took, those included that
// passed to the player (measure.go). Drivers pace what they hand over by it, because
// players pick the bitrate by how fast bytes reach them: a neighbor's bytes that lie
// here already must not promise what the origin does not hold. Nor may a wait say that
// there is less: what the player waits for (Need) and no neighbor has is fetched at once.
//
// # Neighbors
//
// The engine looks for two thirds of the neighbors that it has room for. After a switch
// those that play the other rendition count half, so that it finds some of its own;
// of those that were of no use since the last announce, two go with each.
//
// # Giving
//
// Chunks are verified one by one, so they are announced and given before their
// segment is complete. The uplink is given to one chunk after another, because
// to k at once the spread takes longer ((1+k)^(1/k)); in the order of
// sooner: the chunk that was given least often first (super-seeding, BEP 16), then
// the earlier deadline; when the uplink is short, those who only take come last.
// What the measured uplink would not deliver within maxQueue is rejected at once,
// so that the other side can ask elsewhere. The viewer's own download comes first: the
// driver has no more chunks than leave within a quarter of a second, because our requests
// wait behind them, and while the player waits half the uplink is given. Where the origin
// is scarce that would cost everybody who waits: all of it is given, the earlier deadline
// goes before chunks that have their second home, and takes the place of a later one in a
// full queue. A player that has yet to begin is due startGoal after it came.
//
// # Trust
//
// Chunks go to and come from neighbors whose pass is good, as long as it is: a
// neighbor shows a renewed one by another hello, and is dropped when its last has
// run out (pass.go). One whose pass lets it take only is asked for nothing.
//
// A chunk counts only after the driver checked it against the segment's proof,
// which any neighbor may send because the edge signed it, and the neighbor's signature of
// it. A wrong chunk, signature or proof ends the connection, is reported, and bars the
// neighbor, as breaking the protocol does; a wrong chunk with its signature is evidence,
// for which the edge bans it. Of two statements about a segment the newer counts
// (versions.go): what neighbors have of the other is not asked for, and no lie.
//
// # Paths that break
//
// Nobody is barred for being slow or out of reach, because paths break and come back
// (backoff.go). Each timeout halves the rate that a neighbor is thought to give. After
// three in a row one that answers is slow: it is dropped, and left alone for 30 s, twice
// as long each time; its offers are refused meanwhile. So is one that twice announced
// what it does not have. One that says nothing is asked for nothing until it is heard
// again: its driver restores the path, or ends the connection. A peer that could not be
// reached is left alone likewise, but its own offers are taken. All that is forgotten
// when this peer's network changes (NetworkChanged).
package peer
