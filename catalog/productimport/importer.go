package productimport

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/internal/verbatim"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// A batch is written when it holds batchEntries entries or batchBytes bytes, unless
// Options.BatchBytes says otherwise.
const (
	batchEntries = 256
	batchBytes   = 1 << 20
)

// Options of New. The zero value means the defaults.
type Options struct {
	// Strict refuses names that are not known: see productjson.Options. Default:
	// they are ignored.
	Strict bool
	// Preview says what would become of each entry and writes nothing: see
	// Catalog.Preview. Of a product that an earlier entry names too the fields
	// alone are judged, and the outcome is Edited. It holds 8 bytes for each
	// product. Default: entries are upserted.
	Preview bool
	// BatchBytes is about how many bytes of entries are written together. What is new
	// costs a third less in batches of 16 MiB or more; the importer holds two batches,
	// some six times their bytes. At most 32,768 entries. Default: 0, 1 MiB and at most 256
	// entries; negative is the same.
	BatchBytes int
	// Report is called for each entry that was dealt with, in their order, by the
	// goroutine that calls Add or Flush, up to a batch later. Default: not called.
	Report func(Result)
	// Failed is called for each entry that could not be dealt with, for no fault of
	// its own, among those of Report: Result.Err says why. Default: not called, and
	// Flush's error is that of the first.
	Failed func(Result)
}

// Result is what became of an entry.
type Result struct {
	Entry Entry
	// ExternalID is "" where the entry could not be read that far.
	ExternalID string
	// Outcome is zero for an entry that was refused.
	Outcome catalog.Outcome
	// Faults are why it was refused, at their paths in the entry.
	Faults []catalog.FieldError
	// Err is why it could not be dealt with, for no fault of its own: an error of the
	// catalog, such as catalog.ErrUnknownOutcome. It is nil for Options.Report.
	Err error
}

// Refused reports whether the entry was refused.
func (r *Result) Refused() bool { return len(r.Faults) > 0 }

// Importer upserts entries in batches: while one is written the next is read and
// judged. One goroutine uses it at a time, and its last call is Flush or one that
// failed: nothing is being written after either.
type Importer struct {
	catalog *catalog.Catalog
	account string
	options Options

	batch   []decoded
	bytes   int
	writing *writing // nil if nothing is being written
	done    Entry
	seed    maphash.Seed
	seen    map[uint64]struct{} // hashes of the IDs that were previewed
}

// New returns an importer into the account, which owns nothing.
func New(c *catalog.Catalog, account string, o Options) *Importer {
	return &Importer{catalog: c, account: account, options: o, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
}

// Done returns the last entry up to which all were dealt with, without its text;
// its Number is 0 where there is none.
func (m *Importer) Done() Entry { return m.done }

// decoded is an entry that is to be imported, or was refused already.
type decoded struct {
	Result
	upsert *productjson.Upsert // nil if it could not be read
}

// writing is a batch that is being written. Its results may be read once it has
// ended.
type writing struct {
	batch   []decoded
	results []catalog.UpsertManyResult // of the entries that are not refused
	ended   sync.WaitGroup
}

// Add puts an entry into the batch. When that is full it reports on the batch before,
// which it waits for, and begins to write this one. Its errors are as those of Flush.
func (m *Importer) Add(ctx context.Context, e Entry) error {
	m.bytes += len(e.Text)
	d := decoded{Result: Result{Entry: e}}
	if err := m.read(&d); err != nil {
		return errors.Join(err, m.settle())
	}
	m.batch = append(m.batch, d)
	if m.isFull() {
		return m.next(ctx)
	}
	return nil
}

// isFull reports whether the batch is to be written.
func (m *Importer) isFull() bool {
	if m.options.BatchBytes > 0 {
		return m.bytes >= m.options.BatchBytes || len(m.batch) >= verbatim.BulkMost
	}
	return len(m.batch) >= batchEntries || m.bytes >= batchBytes
}

// read decodes and validates an entry.
func (m *Importer) read(d *decoded) (err error) {
	if d.Entry.TooLong() {
		d.Faults = []catalog.FieldError{{Code: catalog.CodePayloadTooLarge, Message: fmt.Sprintf("is longer than %d bytes", MaxEntryBytes)}}
		return nil
	}
	d.upsert, err = productjson.Decode(d.Entry.Text, productjson.Options{
		Limits:            m.catalog.Limits(),
		RequireExternalID: true,
		Strict:            m.options.Strict,
	})
	if err == nil {
		d.ExternalID, _ = d.upsert.ExternalID.Get()
		err = d.upsert.Validate(m.catalog, m.account)
	}
	return d.refuse(err)
}

// refuse takes what is wrong with the entry alone out of err, and returns any other
// error.
func (d *decoded) refuse(err error) error {
	var invalid *catalog.ValidationError
	var quota *catalog.QuotaError
	switch {
	case errors.As(err, &invalid):
		d.Faults = invalid.Fields
	case errors.As(err, &quota):
		d.Faults = []catalog.FieldError{{Code: catalog.CodeQuotaExceeded, Message: quota.Error()}}
	default:
		return err
	}
	return nil
}

// Flush deals with what was added and reports on it. An error is not about
// the entries: the import can't go on, and the entries that it is silent about
// were not dealt with. A batch is written whole even if ctx ends meanwhile: the caller
// stops between two entries. A preview ends with ctx.
func (m *Importer) Flush(ctx context.Context) error {
	if err := m.next(ctx); err != nil {
		return err
	}
	return m.settle()
}

// next reports on the batch before, and begins to write the one that was collected: a
// later entry of the same product must find what an earlier one has made, so two
// batches are never written at once.
func (m *Importer) next(ctx context.Context) error {
	err := m.settle()
	batch := m.batch
	m.batch, m.bytes = nil, 0
	if err != nil {
		return err // and the batch is left out: Done must not pass by what failed
	}
	if m.options.Preview {
		return m.preview(ctx, batch)
	}
	w := &writing{batch: batch}
	m.writing = w
	w.ended.Go(func() {
		var items []catalog.UpsertItem
		for i := range batch {
			if d := &batch[i]; !d.Refused() {
				items = append(items, catalog.UpsertItem{ExternalID: d.ExternalID, Patch: d.upsert.Patch})
			}
		}
		w.results = m.catalog.UpsertMany(context.WithoutCancel(ctx), m.account, items)
	})
	return nil
}

// settle waits for the batch that is being written, if there is one, and reports on
// its entries.
func (m *Importer) settle() error {
	w := m.writing
	if w == nil {
		return nil
	}
	m.writing = nil
	w.ended.Wait()
	results := w.results
	var failure error
	for i := range w.batch {
		d := &w.batch[i]
		if !d.Refused() {
			r := results[0]
			results = results[1:]
			d.Outcome = r.Outcome
			if d.Err = d.refuse(d.upsert.Rewrite(r.Err)); d.Err != nil {
				if failure == nil {
					failure = fmt.Errorf("%s: %w", d.Entry, d.Err)
				}
				if m.options.Failed != nil {
					m.options.Failed(d.Result)
				}
				continue
			}
		}
		m.report(d, failure == nil)
	}
	return failure
}

// preview says what would become of a batch.
func (m *Importer) preview(ctx context.Context, batch []decoded) error {
	for i := range batch {
		d := &batch[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.Refused() {
			hash := maphash.String(m.seed, d.ExternalID)
			if _, again := m.seen[hash]; again {
				// What it will find is what the earlier entry has made.
				d.Outcome = catalog.Edited
			} else {
				outcome, err := m.catalog.Preview(ctx, m.account, d.ExternalID, d.upsert.Patch)
				if err := d.refuse(d.upsert.Rewrite(err)); err != nil {
					return fmt.Errorf("%s: %w", d.Entry, err)
				}
				if d.Outcome = outcome; !d.Refused() {
					m.seen[hash] = struct{}{}
				}
			}
		}
		m.report(d, true)
	}
	return nil
}

// report reports an entry; all says that every one before was dealt with too.
func (m *Importer) report(d *decoded, all bool) {
	if all {
		m.done = Entry{Number: d.Entry.Number, Line: d.Entry.Line}
	}
	if m.options.Report != nil {
		m.options.Report(d.Result)
	}
}
