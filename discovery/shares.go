package discovery

import "math/bits"

// shares divides a line of positions among instances: each has as many, side by side, as its weight. To find whose a position is takes about
// as long for thousands of instances as for two, however their weights differ.
type shares struct {
	total uint64   // positions; the weights' common factor is taken out
	ends  []uint64 // by instance: where its positions end
	guide []int32  // by position>>shift: the instance that has the first of these positions
	shift int
}

func newShares(instances []Instance) *shares {
	factor := uint64(0)
	for i := range instances {
		factor = gcd(factor, weightOf(&instances[i]))
	}
	sh := &shares{ends: make([]uint64, len(instances))}
	for i := range instances {
		sh.total += weightOf(&instances[i]) / factor
		sh.ends[i] = sh.total
	}
	// As many steps of the guide as instances, or up to four times that: one step then has one instance's end in it, on average.
	sh.shift = max(0, bits.Len64(sh.total-1)-bits.Len(uint(len(instances)))-1)
	sh.guide = make([]int32, (sh.total-1)>>sh.shift+1)
	owner := int32(0)
	for step := range sh.guide {
		for sh.ends[owner] <= uint64(step)<<sh.shift {
			owner++
		}
		sh.guide[step] = owner
	}
	return sh
}

// at returns the index of the instance that a position belongs to; it must be below total.
func (sh *shares) at(position uint64) int {
	if sh.total == uint64(len(sh.ends)) {
		return int(position) // all have the same weight
	}
	i := int(sh.guide[position>>sh.shift])
	for position >= sh.ends[i] {
		i++
	}
	return i
}

// random turns an evenly distributed number into that of an instance.
func (sh *shares) random(r uint64) int {
	position, _ := bits.Mul64(r, sh.total)
	return sh.at(position)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
