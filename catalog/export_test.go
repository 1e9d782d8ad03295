package catalog

import "math"

// EagerDeadSpans has c remember runs of a few expired products, which it would
// read again otherwise: for tests that have a few.
func EagerDeadSpans(c *Catalog) {
	c.deadSizes = deadRunSizes{look: 1, keep: 3, least: 2}
	c.dueSizes = dueSizes{after: 2, entries: 1000, again: 1, divide: 0}
}

// WithoutDue has c read the records of all that has expired.
func WithoutDue(c *Catalog) { c.dueSizes.after = math.MaxInt }

// OrdinaryDeadSpans ends EagerDeadSpans.
func OrdinaryDeadSpans(c *Catalog) { c.deadSizes, c.dueSizes = defaultDeadRun, defaultDue }

// EagerBulk has c write in bulk what is otherwise too little for that.
func EagerBulk(c *Catalog) { c.bulk = bulkSizes{items: 2, least: 1, bytes: 4000, most: 40} }
