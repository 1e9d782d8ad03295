package dataset

import (
	"math"
	"math/rand/v2"
)

// An Access chooses which product comes next: a number from 0 on. It is safe
// for concurrent use with different sources of randomness.
type Access interface {
	Next(r *rand.Rand) int
}

// Uniform chooses among n products, all equally often.
type Uniform int

var _ Access = Uniform(0)

// Next implements Access.
func (u Uniform) Next(r *rand.Rand) int { return r.IntN(int(u)) }

// ZipfExponent is that of YCSB.
const ZipfExponent = 0.99

// Zipf chooses among n products, the one of rank k with a probability
// proportional to 1/k^ZipfExponent. The ranks are scattered over the products.
// It draws in constant time, from an alias table.
type Zipf struct {
	slots []zipfSlot
}

// zipfSlot is an entry of the alias table: two products that share a slot.
type zipfSlot struct {
	keep       float32 // probability of own
	own, other int32
}

var _ Access = (*Zipf)(nil)

// NewZipf returns a Zipf over n products, at least one.
func NewZipf(n int, seed uint64) *Zipf {
	weights := make([]float64, n)
	sum := 0.0
	for k := range weights {
		weights[k] = math.Pow(float64(k+1), -ZipfExponent)
		sum += weights[k]
	}
	products := rand.New(rand.NewPCG(seed, 1)).Perm(n) // by rank
	z := &Zipf{slots: make([]zipfSlot, n)}
	var below, above []int
	for k := range weights {
		weights[k] *= float64(n) / sum
		z.slots[k] = zipfSlot{1, int32(products[k]), int32(products[k])}
		if weights[k] < 1 {
			below = append(below, k)
		} else {
			above = append(above, k)
		}
	}
	for len(below) > 0 && len(above) > 0 {
		b, a := below[len(below)-1], above[len(above)-1]
		below = below[:len(below)-1]
		z.slots[b].keep, z.slots[b].other = float32(weights[b]), int32(products[a])
		if weights[a] -= 1 - weights[b]; weights[a] < 1 {
			above = above[:len(above)-1]
			below = append(below, a)
		}
	}
	return z
}

// Next implements Access.
func (z *Zipf) Next(r *rand.Rand) int {
	slot := &z.slots[r.IntN(len(z.slots))]
	if r.Float32() >= slot.keep {
		return int(slot.other)
	}
	return int(slot.own)
}
