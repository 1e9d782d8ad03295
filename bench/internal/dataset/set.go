package dataset

import (
	"fmt"
	"sort"
)

// A Set is a fixed sequence of products over many accounts. It is safe for
// concurrent use.
type Set struct {
	seed uint64
	n    int
	// small makes products of some 300 bytes.
	small bool
	// prefix stands before every account.
	prefix string
	// one says that there is one account, prefix.
	one bool
	// step, where not 0, has product i be what would be product i × step.
	step int
	// days, where not 0, is the lifetime of every product.
	days int
	// lines, where not empty, are the contents that the products take turns
	// in having.
	lines []Product
}

// New returns n generated products of about 1.1 KB.
func New(n int, seed uint64) *Set { return &Set{n: n, seed: seed, prefix: "acct"} }

// Resize returns the set with n products. The first ones are the same.
func (s *Set) Resize(n int) *Set {
	out := *s
	out.n = n
	return &out
}

// Small returns the set with products of some 300 bytes.
func (s *Set) Small() *Set {
	out := *s
	out.small, out.lines = true, nil
	return &out
}

// Mortal returns the set under accounts of its own, which begin with prefix,
// and with a lifetime of one day for all products.
func (s *Set) Mortal(prefix string) *Set {
	out := *s
	out.prefix, out.days = prefix, 1
	return &out
}

// Under returns the set under accounts of its own, which begin with prefix.
func (s *Set) Under(prefix string) *Set {
	out := *s
	out.prefix = prefix
	return &out
}

// OneAccount returns the set with all products in one account.
func (s *Set) OneAccount(name string) *Set {
	out := *s
	out.prefix, out.one = name, true
	return &out
}

// Every returns the set of the first of every step products, with its keys: a
// part of it that is spread over the whole.
func (s *Set) Every(step int) *Set {
	out := *s
	out.n, out.step = (s.n+step-1)/step, step
	return &out
}

// number returns what product i is made from.
func (s *Set) number(i int) int { return i * max(s.step, 1) }

// Len returns the number of products.
func (s *Set) Len() int { return s.n }

// accountEnds cut each block of products into accounts of different sizes.
var accountEnds = [...]int{160, 260, 330, 380, 400}

const accountBlock = 400

// accountOf returns the number of the account of product i, and its first
// product and the one behind its last.
func (s *Set) accountOf(i int) (account, first, end int) {
	if s.one {
		return 0, 0, s.n
	}
	block, offset := i/accountBlock, i%accountBlock
	n := sort.SearchInts(accountEnds[:], offset+1)
	if n > 0 {
		first = accountEnds[n-1]
	}
	base := block * accountBlock
	return block*len(accountEnds) + n, base + first, min(base+accountEnds[n], s.n)
}

// Key returns the key of product i. Within an account the IDs ascend with i.
func (s *Set) Key(i int) Key {
	i = s.number(i)
	account, _, _ := s.accountOf(i)
	return Key{fmt.Sprintf("%s-%06d", s.prefix, account), fmt.Sprintf("sku-%08d", i)}
}

// Keys returns the keys of all products.
func (s *Set) Keys() []Key {
	keys := make([]Key, s.n)
	for i := range keys {
		keys[i] = s.Key(i)
		if i > 0 && keys[i-1].Account == keys[i].Account {
			keys[i].Account = keys[i-1].Account
		}
	}
	return keys
}

// Product returns product i. It is the caller's.
func (s *Set) Product(i int) Product {
	var p Product
	switch {
	case len(s.lines) > 0:
		p = s.lines[s.number(i)%len(s.lines)]
	case s.small:
		p = generateSmall(s.seed, s.number(i))
	default:
		p = generate(s.seed, s.number(i))
	}
	p.Key = s.Key(i)
	if s.days != 0 {
		p.ValidForDays = s.days
	}
	return p
}

// Batch returns the products from begin up to end, or up to the last.
func (s *Set) Batch(begin, end int) []Product {
	out := make([]Product, 0, max(min(end, s.n)-begin, 0))
	for i := begin; i < min(end, s.n); i++ {
		out = append(out, s.Product(i))
	}
	return out
}

// A Page is a page of a list: Limit products of an account behind the ID After.
type Page struct {
	Account, After string
	Limit          int
	// First is the number of the product that the page begins with.
	First int
}

// Pages returns a page of limit products for each account that has as many,
// from positions spread over the account. It is not for a set of Every.
func (s *Set) Pages(limit int) []Page {
	var pages []Page
	for i := 0; i < s.n; {
		_, first, end := s.accountOf(i)
		i = end
		if spare := end - first - limit; spare >= 0 {
			begin := first + int(mix(s.seed, uint64(first))%uint64(spare+1))
			p := Page{Account: s.Key(first).Account, Limit: limit, First: begin}
			if begin > first {
				p.After = s.Key(begin - 1).ID
			}
			pages = append(pages, p)
		}
	}
	return pages
}

// mix hashes two numbers, with the finalizer of SplitMix64.
func mix(a, b uint64) uint64 {
	z := a + (b+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
