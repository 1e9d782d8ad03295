package postgres

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/shelflife-db/shelflife/backend"
)

// txn is one run of an Update's callback. It is used by one goroutine.
type txn struct {
	s     *Store
	view  []*batch  // whose writes it sees, the latest first
	held  *pgx.Conn // that holds the scopes' locks and is read from, or nil
	whole bool      // a scope is a whole group
	// believes says that it takes for missing what the callback expects to be.
	believes bool

	began   time.Time
	own     overlay
	reads   map[string]readRow
	ranges  []*readRange
	states  int   // of the store that it has seen: at most one needs no validation
	failed  error // the last error that a read ended with
	visible []func()
	scans   int // running ones
	ended   bool
}

// readRow is a row as the run has read it: from the table or the cache, or from
// what a batch will have written.
type readRow struct {
	row
	from  *batch
	fresh bool // from the table
}

var _ backend.Txn = (*txn)(nil)

func (t *txn) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	if err := t.readable(ctx); err != nil {
		return false, err
	}
	if w, ok := t.own.find(key); ok {
		if w.deleted {
			return false, nil
		}
		return true, fn(clip(w.value))
	}
	r, ok := t.known(key)
	if !ok {
		err := t.read(ctx, func(ctx context.Context, c *pgx.Conn) (_ bool, err error) {
			r.row, err = t.s.queryRow(ctx, c, key)
			return false, err
		})
		if err != nil {
			return false, err
		}
		t.states++
		r.fresh = true
		t.remember(key, r)
	}
	if r.ver == 0 {
		return false, nil
	}
	return true, fn(clip(r.value))
}

func (t *txn) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	if err := t.readable(ctx); err != nil {
		return err
	}
	if t.reads == nil {
		t.reads = make(map[string]readRow, len(keys))
	}
	var missing [][]byte
	seen := backend.ExpectedSeen(ctx)
	for i, key := range keys {
		if _, ok := t.own.find(key); ok {
			continue
		}
		if _, ok := t.known(key); ok {
			continue
		}
		if t.believes && i < len(seen) && seen[i].Version != 0 {
			t.states += 2 // whether it is so still the commit says
			t.remember(key, readRow{row: row{seen[i].Value, seen[i].Version}})
			continue
		}
		missing = append(missing, key)
	}
	if len(missing) > 0 && t.believes && backend.ExpectsMissing(ctx) {
		t.states += 2 // whether they are missing the commit says
		for _, key := range missing {
			t.remember(key, readRow{})
		}
		missing = nil
	}
	if len(missing) > 0 {
		found := make([]row, len(missing))
		err := t.read(ctx, func(ctx context.Context, c *pgx.Conn) (bool, error) {
			clear(found)
			return false, t.s.queryMany(ctx, c, missing, func(i int, value []byte, ver int64) error {
				found[i] = row{bytes.Clone(value), ver}
				return nil
			})
		})
		if err != nil {
			return err
		}
		t.states++
		for i, key := range missing {
			t.remember(key, readRow{row: found[i], fresh: true})
		}
	}
	for i, key := range keys {
		w, own := t.own.find(key)
		if !own {
			r := t.reads[string(key)]
			w = write{r.value, r.ver == 0}
		}
		if w.deleted {
			continue
		}
		if err := fn(i, clip(w.value)); err != nil {
			return err
		}
	}
	return nil
}

func clip(b []byte) []byte { return b[:len(b):len(b)] }

// known returns a row that needs no call: read before, written by the batches
// that the run follows, or in the cache. It remembers it.
func (t *txn) known(key []byte) (readRow, bool) {
	if r, ok := t.reads[string(key)]; ok {
		return r, true
	}
	if w, from, ok := t.pending(key); ok {
		r := readRow{from: from}
		if !w.deleted {
			r.row = row{w.value, from.ver}
		}
		t.states += 2
		t.remember(key, r)
		return r, true
	}
	if t.held != nil {
		return readRow{}, false
	}
	cached, ok := t.s.cache.get(string(key))
	if !ok {
		return readRow{}, false
	}
	t.states += 2
	r := readRow{row: cached}
	t.remember(key, r)
	return r, true
}

// keep puts into the cache what the run has read from the table, but for what it has
// written itself: if that commits, the cache gets it then. It is called when the
// callback has ended.
func (t *txn) keep() {
	for k, r := range t.reads {
		if !r.fresh {
			continue
		}
		if _, written := t.own.keys[k]; !written {
			t.s.cache.put(k, r.row)
		}
	}
}

func (t *txn) remember(key []byte, r readRow) {
	if t.reads == nil {
		t.reads = map[string]readRow{}
	}
	t.reads[string(key)] = r
}

// pending returns what the batches before will have written.
func (t *txn) pending(key []byte) (write, *batch, bool) {
	if len(t.view) == 0 {
		return write{}, nil, false
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, b := range t.view {
		if w, ok := b.writes.find(key); ok {
			return w, b, true
		}
	}
	return write{}, nil, false
}

// read reads from the table: on the connection that holds the locks if there is
// one, as all others may be waiting for these.
func (t *txn) read(ctx context.Context, fn func(context.Context, *pgx.Conn) (bool, error)) error {
	err := error(nil)
	if t.held != nil {
		limited, cancel := context.WithTimeout(ctx, t.s.o.CallTimeout)
		_, err = fn(limited, t.held)
		cancel()
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		} else if err != nil {
			err = readError(err)
		}
	} else {
		err = t.s.read(ctx, fn)
	}
	if err != nil {
		t.failed = err
	}
	return err
}

func (t *txn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		t.scans++
		defer func() { t.scans-- }()
		if err := t.readable(ctx); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		g := t.s.pager(ctx, r, o, true)
		if !g.more {
			return
		}
		m := &merge{t: t, g: g, all: backend.Range{Start: g.start, End: g.end}, read: t.s.newReadRange(g)}
		m.layer()
		complete, err := m.run(ctx, o, yield)
		if !complete {
			m.cut()
		}
		if complete || m.last != nil {
			t.ranges = append(t.ranges, m.read)
		}
		if err != nil {
			yield(backend.Entry{}, err)
		}
	}
}

// A merge yields what is in the table, under what the batches before will have
// written, under what the run itself has.
type merge struct {
	t    *txn
	g    *pager
	all  backend.Range
	page []entry
	keys [][]byte // that are in overlays, in the order of the scan
	read *readRange
	last []byte // the key that was looked at last
}

// layer collects the keys of the overlays. Nothing is added to them that the run
// can see: it holds the scopes, and does not write while it scans.
func (m *merge) layer() {
	m.t.s.mu.Lock()
	defer m.t.s.mu.Unlock()
	overlays := []*overlay{&m.t.own}
	for _, b := range m.t.view {
		overlays = append(overlays, &b.writes)
	}
	m.keys = sortedKeys(m.all, overlays...)
	if m.g.page.reverse {
		slices.Reverse(m.keys)
	}
}

// run reports whether it came to the end of the range.
func (m *merge) run(ctx context.Context, o backend.ScanOptions, yield func(backend.Entry, error) bool) (complete bool, err error) {
	m.read.r = m.all
	for {
		if err := m.t.readable(ctx); err != nil {
			return false, err
		}
		if len(m.page) == 0 && m.g.more {
			err := m.t.read(ctx, func(ctx context.Context, c *pgx.Conn) (_ bool, err error) {
				m.page, err = m.g.fetch(ctx, c)
				return false, err
			})
			if err != nil {
				return false, err
			}
			m.t.states++
			continue
		}
		e, ok := m.next()
		if !ok {
			return true, nil
		}
		m.last = e.key
		out, exists := m.look(e)
		if exists {
			if o.KeysOnly {
				out.Value = nil
			}
			if !yield(out, nil) {
				return false, nil
			}
		}
	}
}

// cut leaves of the range what was looked at: the rest was not read.
func (m *merge) cut() {
	if m.last == nil {
		return
	}
	if m.g.page.reverse {
		m.read.r.Start = m.last
	} else {
		m.read.r.End = append(bytes.Clone(m.last), 0)
	}
}

// next takes the next key, from the table, the overlays or both. The version is
// 0 if it is not in the table.
func (m *merge) next() (e entry, ok bool) {
	order := 1
	if len(m.page) > 0 && len(m.keys) > 0 {
		if order = bytes.Compare(m.page[0].key, m.keys[0]); m.g.page.reverse {
			order = -order
		}
	}
	switch {
	case len(m.page) == 0 && len(m.keys) == 0:
		return entry{}, false
	case len(m.keys) == 0, len(m.page) > 0 && order < 0:
		e, m.page = m.page[0], m.page[1:]
	case len(m.page) > 0 && order == 0:
		e, m.page, m.keys = m.page[0], m.page[1:], m.keys[1:]
	default:
		e, m.keys = entry{key: m.keys[0]}, m.keys[1:]
	}
	return e, true
}

// look puts the overlays over a row, and notes the row below the run's own.
func (m *merge) look(e entry) (backend.Entry, bool) {
	if w, from, ok := m.t.pending(e.key); ok {
		m.t.states += 2
		if e.value, e.ver = w.value, from.ver; w.deleted {
			e.ver = 0
		}
	}
	if e.ver != 0 {
		m.read.add(m.t.s.part(e.key), e.ver)
	}
	if w, ok := m.t.own.find(e.key); ok {
		return backend.Entry{Key: clip(e.key), Value: clip(w.value)}, !w.deleted
	}
	return backend.Entry{Key: clip(e.key), Value: clip(e.value)}, e.ver != 0
}

func (t *txn) Put(key, value []byte) error {
	if err := t.writable(); err != nil {
		return err
	}
	if len(key) > maxKeySize {
		return fmt.Errorf("postgres: key of %d bytes, limit %d: %w", len(key), maxKeySize, backend.ErrTooLarge)
	}
	if len(value) > maxValueSize {
		return fmt.Errorf("postgres: value of %d bytes, limit %d: %w", len(value), maxValueSize, backend.ErrTooLarge)
	}
	t.own.set(string(key), write{value: append(make([]byte, 0, len(value)), value...)})
	return nil
}

func (t *txn) Delete(key []byte, _ int) error {
	if err := t.writable(); err != nil {
		return err
	}
	if w, ok := t.own.find(key); ok && w.deleted {
		return nil // a range has removed it
	}
	t.own.set(string(key), write{deleted: true})
	return nil
}

func (t *txn) DeleteRange(r backend.Range) error {
	if err := t.writable(); err != nil {
		return err
	}
	if !t.whole {
		return fmt.Errorf("postgres: DeleteRange without a whole-group scope: %w", backend.ErrScope)
	}
	if r.Start == nil || r.End == nil {
		return errOpenRange
	}
	if bytes.Compare(r.Start, r.End) < 0 {
		t.own.removeRange(backend.Range{Start: append([]byte{}, r.Start...), End: append([]byte{}, r.End...)})
	}
	return nil
}

func (t *txn) OnVisible(fn func()) { t.visible = append(t.visible, fn) }

func (t *txn) readable(ctx context.Context) error {
	if t.ended {
		return errTxnEnded
	}
	return ctx.Err()
}

func (t *txn) writable() error {
	switch {
	case t.ended:
		return errTxnEnded
	case t.scans > 0:
		return errTxnScan
	}
	return nil
}
