package catalog

// EagerDeadSpans has c remember runs of a few expired products, which it would
// read again otherwise: for tests that have a few.
func EagerDeadSpans(c *Catalog) { c.deadSizes = deadRunSizes{look: 1, keep: 3, least: 2} }

// OrdinaryDeadSpans ends EagerDeadSpans.
func OrdinaryDeadSpans(c *Catalog) { c.deadSizes = defaultDeadRun }
