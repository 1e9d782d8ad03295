package catalog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// deleteBatch is how many products DeleteAccount removes in one Update, during
// which nothing else is written to the account, and sharedDeleteBatch how many where
// processes share the store: there every Update is a request and a transaction of a server,
// which cost as much as forty products.
const (
	deleteBatch       = 64
	sharedDeleteBatch = 128
)

// Delete removes a live product and all it owns. Where no live product has the
// ID it fails with ErrNotFound; but conditions are judged first, as for an
// upsert, and where one does not hold it fails with ErrPreconditionFailed:
//
//	condition            absent or expired      live
//	none                 ErrNotFound            deleted
//	IfVersion, IfExists  ErrPreconditionFailed  deleted if the version is one of them
//	CreateOnly           ErrNotFound            ErrPreconditionFailed
func (c *Catalog) Delete(ctx context.Context, account, externalID string, conds ...Condition) error {
	ctx, call := c.begin(ctx, OpDelete)
	return call.end(c.wrap("delete", externalID, c.delete(ctx, account, externalID, conds)))
}

func (c *Catalog) delete(ctx context.Context, account, id string, conds []Condition) error {
	if err := checkNames(account, id); err != nil {
		return err
	}
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Exit()
	o := c.updateOptions()
	o.Reclaim = true
	return c.update(ctx, []backend.Scope{productScope(account, id)}, o, func(t *tx) error {
		f, err := t.load(account, id)
		if err != nil {
			return err
		}
		if !conditionsHold(conds, f.live) {
			return preconditionFailed(f.live)
		}
		if f.live == nil {
			return ErrNotFound
		}
		return t.write(f, nil, nil)
	})
}

// A DeleteOption changes what DeleteAccount does.
type DeleteOption uint8

// EraseNow has DeleteAccount give back the room and leave nothing of the account
// where the backend keeps its data, values that were deleted before included, as
// [Catalog.Reclaim] does. Image bytes go at once, without Options.ImageGrace:
// a reader of one gets ErrImageGone. It takes as long as writing the files
// concerned anew, and ends early with the context; what was not done then is done
// in the background, as without EraseNow. IDs may stay in the backend's own
// files. On a backend that holds nothing back it only ends the grace.
const EraseNow DeleteOption = 1

// DeleteAccount removes every product of an account whose creation was
// acknowledged before the call began, with all it owns, and staged images that
// were not claimed, and returns how many live products it removed. Each goes
// whole, the account in several steps: after an error some may be gone, and the
// call may be repeated. A product whose record is damaged goes too, and is not
// counted. Without [EraseNow] the backend gives back the room in time.
func (c *Catalog) DeleteAccount(ctx context.Context, account string, o ...DeleteOption) (removed int, err error) {
	ctx, call := c.begin(ctx, OpDeleteAccount)
	err = c.long(ctx, func(ctx context.Context) (err error) {
		removed, err = c.deleteAccount(ctx, account, o)
		return err
	})
	return removed, call.end(c.wrap("delete account", account, err))
}

func (c *Catalog) deleteAccount(ctx context.Context, account string, options []DeleteOption) (removed int, err error) {
	faults := new(ValidationError)
	checkAccount(faults, account)
	if err := faults.err(); err != nil {
		return 0, err
	}
	erase := false
	for _, o := range options {
		if o != EraseNow {
			return 0, fmt.Errorf("DeleteOption %d is none", o)
		}
		erase = true
	}
	if removed, err = c.deleteProducts(ctx, account); err != nil {
		return removed, err
	}
	if err := c.closeGaps(ctx, account); err != nil {
		return removed, err
	}
	if err := c.removeUnowned(ctx, account, erase); err != nil || !erase {
		return removed, err
	}
	return removed, backend.Reclaim(ctx, c.backend)
}

// deletesAhead is how many Updates DeleteAccount has on their way where processes share
// the store: the callback of one reads while the server commits those before it.
const deletesAhead = 3

// deleteProducts removes the products of an account, and returns how many of them lived.
func (c *Catalog) deleteProducts(ctx context.Context, account string) (removed int, err error) {
	start, end := encoding.ProductRange(account)
	todo := []backend.Range{{Start: start, End: end}}
	most := deletesAhead
	if c.exclusive {
		most = 1
	}
	var ahead []*deletion
	var damaged []string
	for len(todo)+len(ahead) > 0 {
		if len(todo) > 0 && len(ahead) < most {
			d := c.beginDeletion(ctx, account, todo[0], most > 1)
			if ahead, d.told = append(ahead, d), <-d.next; d.told != nil {
				todo[0].Start = d.told
			} else {
				todo = todo[1:]
			}
			continue
		}
		d := ahead[0]
		<-d.ended
		ahead = ahead[1:]
		removed += d.some.live
		damaged = append(damaged, d.some.damaged...)
		if d.err != nil {
			err, todo = cmp.Or(err, d.err), nil // those on their way end
			continue
		}
		// A run that did not count has said where the next Update begins, and the one that
		// counts has met others before that.
		until := d.told
		if until == nil {
			until = d.r.End
		}
		if d.some.next != nil && bytes.Compare(d.some.next, until) < 0 {
			todo = append(todo, backend.Range{Start: d.some.next, End: until})
		}
		if len(damaged) >= maxDamaged && err == nil {
			err, damaged = c.removeDamaged(ctx, account, damaged), nil
			if err != nil {
				todo = nil
			}
		}
	}
	if err == nil && len(damaged) > 0 {
		err = c.removeDamaged(ctx, account, damaged)
	}
	return removed, err
}

// A deletion is an Update of deleteSome.
type deletion struct {
	r     backend.Range
	next  chan []byte // has one value: what the first run said of where to go on
	told  []byte      // that value
	ended chan struct{}
	// Set before ended is closed.
	some deletedSome
	err  error
}

// beginDeletion removes the first products of r, in a goroutine of its own if asked to.
func (c *Catalog) beginDeletion(ctx context.Context, account string, r backend.Range, alone bool) *deletion {
	d := &deletion{r: r, next: make(chan []byte, 1), ended: make(chan struct{})}
	run := func() {
		defer close(d.ended)
		first := true
		tell := func(next []byte) {
			if first {
				first = false
				d.next <- next
			}
		}
		scopes := []backend.Scope{{Group: encoding.AccountScope(account)}}
		o := c.updateOptions()
		o.Reclaim = true
		d.err = c.update(ctx, scopes, o, func(t *tx) (err error) {
			if d.some, err = t.deleteSome(account, r); err == nil {
				tell(d.some.next)
			}
			return err
		})
		if d.err != nil {
			d.some = deletedSome{}
		}
		tell(nil)
	}
	if alone {
		go run()
	} else {
		run()
	}
	return d
}

// maxGaps bounds how many ranges closeGaps removes of a space in one Update.
const maxGaps = 64

// closeGaps removes the ranges of an account in which no product is, as ranges:
// what was deleted there one by one may stand in the way of every list, until the
// backend forgets it. There may be products that were created meanwhile.
func (c *Catalog) closeGaps(ctx context.Context, account string) error {
	o := c.updateOptions()
	o.Reclaim = true
	scopes := []backend.Scope{{Group: encoding.AccountScope(account)}}
	return c.update(ctx, scopes, o, func(t *tx) error {
		for _, rangeOf := range [...]func(string) (start, end []byte){encoding.ProductRange, encoding.ListedRange} {
			start, end := rangeOf(account)
			if err := t.closeGaps(start, end); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) closeGaps(start, end []byte) error {
	var gaps []backend.Range
	for e, err := range t.txn.Scan(t.ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return err
		}
		gaps = append(gaps, backend.Range{Start: start, End: slices.Clone(e.Key)})
		if start = encoding.AppendSuccessor(nil, e.Key); len(gaps) == maxGaps {
			end = start
			break
		}
	}
	for _, gap := range append(gaps, backend.Range{Start: start, End: end}) {
		if err := t.txn.DeleteRange(gap); err != nil {
			return err
		}
	}
	return nil
}

// deletedSome is what deleteSome did.
type deletedSome struct {
	live    int      // how many of the removed products lived
	damaged []string // IDs of those that stay: their records can't be read
	next    []byte   // where to go on, nil at the end
}

// deleteSome removes the first products of r whose records can be read.
func (t *tx) deleteSome(account string, r backend.Range) (some deletedSome, err error) {
	// Where every read may be a request to a server, this one brings the records too.
	together, most := !t.c.exclusive, deleteBatch
	if together {
		most = sharedDeleteBatch
		t.fetched = make(map[productkey.Key][]byte, most)
	}
	var ids []string
	records := pieces{size: recordSpace}
	for e, err := range t.txn.Scan(t.ctx, r, backend.ScanOptions{KeysOnly: !together, Limit: most + 1}) {
		if err != nil {
			return some, err
		}
		_, id, err := encoding.DecodeProductKey(e.Key)
		if err != nil {
			return some, err
		}
		if len(ids) == most {
			some.next = append(some.next, e.Key...)
			break
		}
		ids = append(ids, id)
		if together {
			t.fetched[productkey.Of(account, id)] = records.copy(e.Value) // not nil, which is absent
		}
	}
	loaded := make([]*found, 0, len(ids))
	for _, id := range ids {
		f, err := t.load(account, id)
		if errors.Is(err, encoding.ErrCorrupt) {
			some.damaged = append(some.damaged, id)
			continue
		}
		if err != nil {
			return some, err
		}
		if f.live != nil {
			some.live++
		}
		loaded = append(loaded, f)
	}
	if together && len(some.damaged) == 0 && len(ids) > 0 {
		if err := t.removeAll(account, r, some.next, ids); err != nil {
			return some, err
		}
	}
	for _, f := range loaded {
		if err := t.write(f, nil, nil); err != nil {
			return some, err
		}
	}
	return some, nil
}

// recordSpace is the size of the pieces of memory into which deleteSome copies records.
const recordSpace = 32 << 10

// removeAll removes the records of the products of r up to next, which are ids, and
// their places in the list, as ranges: what the products were, and what of them was
// listed, is all that there is in these, and a server removes it for half of what the
// keys cost. It comes before the removals of the products themselves, of which an engine
// then finds that they change nothing.
func (t *tx) removeAll(account string, r backend.Range, next []byte, ids []string) error {
	products := r
	if next != nil {
		products.End = next
	}
	listed := backend.Range{
		Start: encoding.AppendListedKey(nil, account, ids[0]),
		End:   encoding.AppendSuccessor(nil, encoding.AppendListedKey(nil, account, ids[len(ids)-1])),
	}
	return errors.Join(t.txn.DeleteRange(products), t.txn.DeleteRange(listed))
}

// maxDamaged is how many damaged products removeDamaged is given at a time, or some
// more: for all of them it walks the expiry space once.
const maxDamaged = 1000

// removeDamaged removes products whose records can't be read. Their expiry
// entries must go with them, or the sweeper would take what is created under
// the same IDs for what has expired; and which these are the records don't say.
// So the expiry space is walked: these products are not written meanwhile,
// since their records can't be read.
func (c *Catalog) removeDamaged(ctx context.Context, account string, ids []string) error {
	entries, err := c.expiryEntries(ctx, account, ids)
	if err != nil {
		return err
	}
	o := c.updateOptions()
	o.Reclaim = true
	scopes := []backend.Scope{{Group: encoding.AccountScope(account)}}
	for some := range slices.Chunk(ids, deleteBatch) {
		err := c.update(ctx, scopes, o, func(t *tx) error { return t.removeDamaged(account, some, entries) })
		if err != nil {
			return err
		}
	}
	return nil
}

// expiryEntries returns the entries of some products of an account, by their IDs.
func (c *Catalog) expiryEntries(ctx context.Context, account string, ids []string) (map[string][]encoding.Expiry, error) {
	entries := make(map[string][]encoding.Expiry, len(ids))
	for _, id := range ids {
		entries[id] = nil
	}
	start, end := encoding.SpaceRange(encoding.SpaceExpiry)
	for e, err := range c.backend.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return nil, err
		}
		entry, err := encoding.DecodeExpiryKey(e.Key)
		if err != nil || entry.Kind != encoding.ExpiryProduct || entry.Account != account {
			continue
		}
		if of, wanted := entries[entry.ID]; wanted {
			entries[entry.ID] = append(of, entry)
		}
	}
	return entries, nil
}

// removeDamaged removes products whose records can't be read, with the entries that
// are theirs, and the images whose headers say that they are, in an Update of the
// whole account.
func (t *tx) removeDamaged(account string, ids []string, entries map[string][]encoding.Expiry) error {
	var damaged []*found
	for _, id := range ids {
		f, err := t.load(account, id)
		switch {
		case errors.Is(err, encoding.ErrCorrupt):
			damaged = append(damaged, f)
		case err != nil:
			return err
		case f.stored != nil: // it can be read again
			if err := t.write(f, nil, nil); err != nil {
				return err
			}
		}
	}
	if len(damaged) == 0 {
		return nil
	}
	owned, err := t.blobsOwnedBy(account, damaged)
	if err != nil {
		return err
	}
	for _, r := range owned {
		if err := t.releaseBlob(account, r); err != nil {
			return err
		}
	}
	for _, f := range damaged {
		if err := t.write(f, nil, nil); err != nil {
			return err
		}
		for _, e := range entries[f.id] {
			if err := t.deleteExpiry(e); err != nil {
				return err
			}
		}
		// What can't be read doesn't show whether it is listed.
		t.key = encoding.AppendListedKey(t.key[:0], account, f.id)
		if err := t.txn.Delete(t.key, 0); err != nil {
			return err
		}
	}
	return nil
}

// blobsOwnedBy walks the images of an account and returns those of some of its
// products.
func (t *tx) blobsOwnedBy(account string, products []*found) (owned []release, err error) {
	var blobs []encoding.BlobID
	start, end := encoding.BlobRange(account)
	for e, err := range t.txn.Scan(t.ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return nil, err
		}
		if _, blob, n, err := encoding.DecodeBlobKey(e.Key); err == nil && n == 0 {
			blobs = append(blobs, blob)
		}
	}
	for _, blob := range blobs {
		h, err := t.blobHeader(account, blob)
		if errors.Is(err, encoding.ErrCorrupt) {
			continue // its owner can't be read
		}
		if err != nil {
			return nil, err
		}
		if h == nil || h.State != encoding.BlobOwned {
			continue
		}
		if slices.ContainsFunc(products, func(f *found) bool { return f.id == h.Owner }) {
			owned = append(owned, release{blob, h})
		}
	}
	return owned, nil
}
