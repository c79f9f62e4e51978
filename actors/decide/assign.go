package decide

// assignment gives units of demand to units of supply along allowed edges. It
// is a bipartite flow, kept maximal by augmenting paths: a unit that was given
// to a demander's first choice moves on to its next one when somebody else can
// only use the first. Demanders prefer their edges in the order given.
//
// What a supplier has given never falls, whatever is added later.
type assignment struct {
	edges [][]int  // demander → suppliers, in order of preference, each once
	given [][]int  // demander → units it got, by position in its edges
	users [][]seat // supplier → its demanders, in their order
	spare []int    // supplier → units left
	load  []int    // supplier → units given

	// What one search writes down; kept, so that searching allocates nothing.
	from    []seat // supplier → the seat that it was reached from
	through []int  // demander → position of the supplier that led to it
	queue   []int  // demanders in the order they were reached
	search  int    // number of the current search
	reached []int  // supplier → last search that reached it
	visited []int  // demander → last search that reached it

	// A search that failed has walked through everything that it could have
	// moved, so no later search can succeed there until supply is added.
	supplies int   // number of additions to the supply
	dead     []int // supplier → value of supplies when a search failed at it
}

// seat is a demander's edge: edges[demander][choice].
type seat struct{ demander, choice int }

func newAssignment(edges [][]int, suppliers int) *assignment {
	a := &assignment{
		edges:    make([][]int, len(edges)),
		given:    make([][]int, len(edges)),
		users:    make([][]seat, suppliers),
		spare:    make([]int, suppliers),
		load:     make([]int, suppliers),
		from:     make([]seat, suppliers),
		through:  make([]int, len(edges)),
		reached:  make([]int, suppliers),
		visited:  make([]int, len(edges)),
		supplies: 1,
		dead:     make([]int, suppliers),
	}
	for d, choices := range edges {
		for _, s := range choices {
			if n := len(a.users[s]); n > 0 && a.users[s][n-1].demander == d {
				continue // named twice
			}
			a.users[s] = append(a.users[s], seat{demander: d, choice: len(a.edges[d])})
			a.edges[d] = append(a.edges[d], s)
		}
		a.given[d] = make([]int, len(a.edges[d]))
	}
	return a
}

// supply adds units to a supplier.
func (a *assignment) supply(s, units int) {
	if units > 0 {
		a.spare[s] += units
		a.supplies++
	}
}

// demand gives demander d up to units and returns how many it got. What was
// given before to anybody is never taken away, only moved.
func (a *assignment) demand(d, units int) int {
	got := 0
	for got < units {
		step := a.augment(d, units-got)
		if step == 0 {
			return got
		}
		got += step
	}
	return got
}

// augment finds a shortest path from d to a supplier with spare units and
// moves as many units along it as it carries, at most want.
func (a *assignment) augment(d, want int) int {
	a.search++
	a.visited[d] = a.search
	a.queue = append(a.queue[:0], d)
	for next := 0; next < len(a.queue); next++ {
		current := a.queue[next]
		for choice, s := range a.edges[current] {
			if a.spare[s] > 0 {
				a.from[s] = seat{demander: current, choice: choice}
				return a.push(d, s, want)
			}
		}
		for choice, s := range a.edges[current] {
			if a.reached[s] == a.search || a.dead[s] == a.supplies {
				continue
			}
			a.reached[s] = a.search
			a.from[s] = seat{demander: current, choice: choice}
			a.visit(s)
		}
	}
	for _, current := range a.queue {
		for _, s := range a.edges[current] {
			a.dead[s] = a.supplies
		}
	}
	return 0
}

// visit queues the demanders that could give up units of supplier s.
func (a *assignment) visit(s int) {
	for _, user := range a.users[s] {
		other := user.demander
		if a.visited[other] != a.search && a.given[other][user.choice] > 0 {
			a.visited[other] = a.search
			a.through[other] = user.choice
			a.queue = append(a.queue, other)
		}
	}
}

// push moves units along the path from demander first to supplier last, at
// most want, and returns how many.
func (a *assignment) push(first, last, want int) int {
	units := min(want, a.spare[last])
	for at := a.from[last]; at.demander != first; {
		back := a.through[at.demander]
		units = min(units, a.given[at.demander][back])
		at = a.from[a.edges[at.demander][back]]
	}
	a.spare[last] -= units
	a.load[last] += units
	for at := a.from[last]; ; {
		a.given[at.demander][at.choice] += units
		if at.demander == first {
			return units
		}
		back := a.through[at.demander]
		a.given[at.demander][back] -= units
		at = a.from[a.edges[at.demander][back]]
	}
}
