package rules

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// graph has an arrow from v to w where graph[v][w].
type graph [][]bool

// upward counts the arrows that run up between nodes that stand in this order, the
// top floor first.
func (g graph) upward(order []int) int {
	n := 0
	for i, v := range order {
		for _, above := range order[:i] {
			n += arrow(g[v][above])
		}
	}
	return n
}

// floors orders the nodes of g so that few arrows run up. Components that are
// strongly connected stand in topological order, where no arrow between them runs
// up. Within one, the order is that of Eades, Lin and Smyth ("A fast and effective
// heuristic for the feedback arc set problem", 1993), from which single nodes then
// move to better places, and again from shuffled orders. The same g has the same
// order.
func (g graph) floors() []int {
	var order []int
	for _, part := range g.components() {
		best := g.settle(g.eadesLinSmyth(part))
		least := g.upward(best)
		chance := rand.New(rand.NewPCG(1, uint64(len(part))))
		for range 20 * len(part) {
			if least <= 1 {
				break // a component of more than one node has at least one
			}
			next := slices.Clone(best)
			for range 1 + len(part)/6 {
				i, j := chance.IntN(len(part)), chance.IntN(len(part))
				next[i], next[j] = next[j], next[i]
			}
			next = g.settle(next)
			if n := g.upward(next); n <= least {
				best, least = next, n
			}
		}
		order = append(order, best...)
	}
	return order
}

// components are the strongly connected components of g, those that others point
// to last (Tarjan, 1972).
func (g graph) components() [][]int {
	var parts [][]int
	var stack []int
	seen, low := make([]int, len(g)), make([]int, len(g))
	on := make([]bool, len(g))
	count := 0
	var visit func(v int)
	visit = func(v int) {
		count++
		seen[v], low[v] = count, count
		stack = append(stack, v)
		on[v] = true
		for w := range g {
			if !g[v][w] {
				continue
			}
			if seen[w] == 0 {
				visit(w)
				low[v] = min(low[v], low[w])
			} else if on[w] {
				low[v] = min(low[v], seen[w])
			}
		}
		if low[v] != seen[v] {
			return
		}
		at := slices.Index(stack, v)
		part := slices.Clone(stack[at:])
		for _, w := range part {
			on[w] = false
		}
		stack = stack[:at]
		slices.Sort(part)
		parts = append(parts, part)
	}
	for v := range g {
		if seen[v] == 0 {
			visit(v)
		}
	}
	slices.Reverse(parts)
	return parts
}

// eadesLinSmyth takes sinks to the bottom and sources to the top; where there is
// neither, it takes the node to the top that has most arrows out against those in.
func (g graph) eadesLinSmyth(part []int) []int {
	left := slices.Clone(part)
	var top, bottom []int
	for len(left) > 0 {
		pick, surplus, sink := 0, -len(g)-1, false
		for i, v := range left {
			in, out := 0, 0
			for _, w := range left {
				if g[v][w] {
					out++
				}
				if g[w][v] {
					in++
				}
			}
			if out == 0 {
				pick, sink = i, true
				break
			}
			if in == 0 {
				out += len(g)
			}
			if out-in > surplus {
				pick, surplus = i, out-in
			}
		}
		if sink {
			bottom = append(bottom, left[pick])
		} else {
			top = append(top, left[pick])
		}
		left = slices.Delete(left, pick, pick+1)
	}
	slices.Reverse(bottom)
	return append(top, bottom...)
}

// settle moves single nodes of an order to where fewer arrows run up, until no
// move helps.
func (g graph) settle(order []int) []int {
	for moved := true; moved; {
		moved = false
		for at, v := range order {
			to, most := at, 0
			for _, step := range []int{-1, 1} {
				gain := 0 // of arrows that run down, when v has passed those up to i
				for i := at + step; i >= 0 && i < len(order); i += step {
					in, out := arrow(g[order[i]][v]), arrow(g[v][order[i]])
					if gain += step * (in - out); gain > most {
						to, most = i, gain
					}
				}
			}
			if most > 0 {
				order = slices.Insert(slices.Delete(order, at, at+1), to, v)
				moved = true
			}
		}
	}
	return order
}

func arrow(there bool) int {
	if there {
		return 1
	}
	return 0
}

// TestFloorsOfGraphs holds the order against every order of small graphs.
func TestFloorsOfGraphs(t *testing.T) {
	chance := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		g := make(graph, 1+chance.IntN(7))
		for v := range g {
			g[v] = make([]bool, len(g))
			for w := range g[v] {
				g[v][w] = v != w && chance.IntN(3) == 0
			}
		}
		order := g.floors()
		if len(order) != len(g) || !slices.Equal(order, g.floors()) {
			t.Fatalf("%v: orders %v and %v", g, order, g.floors())
		}
		least := len(g) * len(g)
		permute(make([]int, 0, len(g)), len(g), func(order []int) { least = min(least, g.upward(order)) })
		if got := g.upward(order); got != least {
			t.Errorf("%v: %d arrows run up in order %v, and %d is possible", g, got, order, least)
		}
	}
}

// permute calls f with every order of 0 to n-1 that begins with order.
func permute(order []int, n int, f func([]int)) {
	if len(order) == n {
		f(order)
	}
	for v := range n {
		if !slices.Contains(order, v) {
			permute(append(order, v), n, f)
		}
	}
}
