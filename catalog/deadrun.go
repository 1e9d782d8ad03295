package catalog

import (
	"bytes"

	"github.com/shelflife-db/shelflife/catalog/internal/deadspans"
	"github.com/shelflife-db/shelflife/encoding"
)

// deadRunSizes are numbers of expired records in a row.
type deadRunSizes struct {
	// look is after how many a walk looks whether it has come to a span, and
	// watches the account to make one of them.
	look int
	// keep is after how many it keeps what it has come to: one that is ended early
	// has not read for nothing.
	keep int
	// least is how many are worth a span.
	least int
}

var defaultDeadRun = deadRunSizes{look: 64, keep: 4096, least: 256}

// deadRun is the run of expired records in which a walk is. The walk passes by the
// spans that are known, and leaves what it has read as such a span; see the
// package deadspans.
//
// The zero deadRun passes by nothing and keeps nothing.
type deadRun struct {
	// spanAt returns the end of the span in which a key lies, "" if there is none;
	// nil where none may be passed by.
	spanAt func(key []byte) (end string)
	// watchFor begins a watch; nil where nothing may be kept.
	watchFor func() *deadspans.Watch
	sizes    deadRunSizes
	watch    *deadspans.Watch // nil: not begun

	first []byte // where the run, or what is not kept of it, begins
	last  []byte // the last record of it
	count int    // of records since first
	total int    // of those before it too
}

// deadRun returns that of a walk over what is in the store now, listed is whether over
// listed products alone.
func (c *Catalog) deadRun(account string, listed bool) deadRun {
	if c.dead == nil {
		return deadRun{}
	}
	return deadRun{
		spanAt: func(key []byte) string {
			end := c.dead.Behind(account, key)
			if end == "" && listed {
				end = c.deadListed.Behind(account, key)
			}
			return end
		},
		watchFor: func() *deadspans.Watch { return c.dead.Watch(account) },
		sizes:    c.deadSizes,
	}
}

// knownDead is what a walk over a snapshot may pass by.
type knownDead struct{ all, listed deadspans.Known }

// knownDead returns what a walk over a snapshot that is about to be made may pass
// by, listed is whether one over listed products alone.
func (c *Catalog) knownDead(account string, listed bool) (k knownDead) {
	if c.dead == nil {
		return k
	}
	k.all = c.dead.Known(account)
	if listed {
		k.listed = c.deadListed.Known(account)
	}
	return k
}

// Holds reports whether anything is left of k that has not become untrue.
func (k *knownDead) Holds() bool {
	all, listed := k.all.Holds(), k.listed.Holds()
	return all || listed
}

// Behind returns the end of the span in which key lies, "" if it lies in none.
func (k *knownDead) Behind(key []byte) (end string) {
	if end = k.all.Behind(key); end == "" {
		end = k.listed.Behind(key)
	}
	return end
}

// behind returns the end of the span in which a key lies, and begins a run there,
// which a few more records are worth adding to; nil if there is none.
func (d *deadRun) behind(key []byte) (end []byte) {
	if d.spanAt == nil {
		return nil
	}
	if at := d.spanAt(key); at != "" {
		end = []byte(at)
		d.next(end, d.sizes.least)
	}
	return end
}

// start says that the walk reads on at a key.
func (d *deadRun) start(key []byte) {
	if d.spanAt == nil {
		return
	}
	if string(d.first) != string(key) { // else it stands at the end of a span, or where it began to watch
		d.next(key, 0)
	}
}

// next ends the run and begins the next at a key, which goes on one of so many
// records.
func (d *deadRun) next(first []byte, total int) {
	d.keep()
	d.first, d.total = append(d.first[:0], first...), total
}

// pass counts an expired record. If at is not nil the walk goes on there: at the
// end of a span, or anew where the run began.
func (d *deadRun) pass(key []byte) (at []byte) {
	if d.spanAt == nil {
		return nil
	}
	if d.count%d.sizes.look == 0 {
		if at = d.behind(key); at != nil {
			return at
		}
	}
	d.count++
	d.total++
	d.last = append(d.last[:0], key...)
	switch {
	case d.watch != nil && d.count >= d.sizes.keep:
		d.next(encoding.AppendSuccessor(nil, key), d.total)
	case d.watch == nil && d.count == d.sizes.look && d.watchFor != nil:
		// What was read before it can't be kept: it is read again.
		d.watch = d.watchFor()
		d.count, d.total = 0, 0
		return bytes.Clone(d.first)
	}
	return nil
}

// breakAt ends the run at a record that has not expired, or is not known to have.
func (d *deadRun) breakAt(key []byte) {
	if d.spanAt != nil {
		d.keep()
		d.first, d.total = encoding.AppendSuccessor(d.first[:0], key), 0
	}
}

// stop ends the run at what can't be read, behind which it is not known where the
// next begins.
func (d *deadRun) stop() {
	d.keep()
	d.spanAt = nil
}

// keep leaves the run so far as a span.
func (d *deadRun) keep() {
	if d.watch != nil && d.count > 0 && d.total >= d.sizes.least {
		d.watch.Keep(string(d.first), string(encoding.AppendSuccessor(nil, d.last)), d.count)
	}
	d.count = 0
}

// end ends the walk.
func (d *deadRun) end() {
	d.keep()
	if d.watch != nil {
		d.watch.End()
	}
}
