package postgres

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/shelflife-db/shelflife/backend"
)

const (
	firstPage    = 128     // rows of a page, which then grow
	largestPage  = 4096    // rows
	maxPageBytes = 4 << 20 // after which the rest of a page is fetched again
	arenaSize    = 16 << 10
)

// endOfKeys is greater than every key.
var endOfKeys = bytes.Repeat([]byte{0xFF}, maxKeySize+1)

// page says what a page of a scan consists of.
type page struct{ onePart, reverse, keysOnly, versions, timed bool }

// entry is a row as a scan found it.
type entry struct {
	key, value []byte
	ver        int64
}

// A pager fetches a range page by page. It is used by one goroutine.
type pager struct {
	s          *Store
	page       page
	part       int32 // or the number of parts
	start, end []byte
	size       int  // of the next page
	more       bool // there may be entries that were not fetched
}

// pager begins at the beginning of r, which it copies.
func (s *Store) pager(ctx context.Context, r backend.Range, o backend.ScanOptions, versions bool) *pager {
	g := &pager{s: s, size: firstPage, more: true}
	g.start, g.end = append([]byte{}, r.Start...), endOfKeys
	part, one := s.o.Partition.RangePart(g.start, r.End, s.parts)
	if r.End != nil {
		g.end = append([]byte{}, r.End...)
	}
	if g.part = int32(s.parts); one {
		g.part = int32(part)
	}
	g.page = page{onePart: one, reverse: o.Reverse, keysOnly: o.KeysOnly, versions: versions, timed: backend.ReadTimeOf(ctx) != nil}
	if o.Limit > 0 {
		g.size = min(o.Limit, largestPage)
	}
	if bytes.Compare(g.start, g.end) >= 0 {
		g.more = false
	}
	return g
}

// again is a pager at the same place, to read the same from another state.
func (g *pager) again() *pager {
	c := *g
	return &c
}

// fetch returns the next page, in memory of its own.
func (g *pager) fetch(ctx context.Context, c *pgx.Conn) ([]entry, error) {
	if g.page.timed {
		if err := g.s.freshClock(ctx, c); err != nil {
			return nil, err
		}
	}
	rows, err := c.Query(ctx, g.s.sql.page(g.page), g.part, g.start, g.end, g.size)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var mem arena
	var all []entry
	var key, value pgtype.DriverBytes
	var ver int64
	var now time.Time
	n, size := 0, 0
	cut := false
	for rows.Next() {
		if n++; size > maxPageBytes {
			cut = true
			continue // to the end of the answer, without keeping it
		}
		if err := rows.Scan(&key, &value, &ver, &now); err != nil {
			return nil, err
		}
		e := entry{key: mem.copy(key), ver: ver}
		if !g.page.keysOnly {
			e.value = mem.copy(value)
		}
		size += len(key) + len(value)
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if t := backend.ReadTimeOf(ctx); t != nil && n > 0 {
		g.s.observe(t, now)
	}
	g.more = cut || n == g.size
	if g.more {
		if last := all[len(all)-1].key; g.page.reverse {
			g.end = append([]byte{}, last...)
		} else {
			g.start = append(append([]byte{}, last...), 0)
		}
		// As many as fill a page of the size that these have.
		g.size = max(1, min(largestPage, 4*g.size, len(all)*maxPageBytes/(size+1)))
	}
	return all, nil
}

// An arena makes many small copies in few allocations.
type arena struct{ free []byte }

func (a *arena) copy(b []byte) []byte {
	if len(b) > cap(a.free)-len(a.free) {
		if len(b) > arenaSize/4 {
			return append(make([]byte, 0, len(b)), b...)
		}
		a.free = make([]byte, 0, arenaSize)
	}
	begin := len(a.free)
	a.free = append(a.free, b...)
	return a.free[begin:len(a.free):len(a.free)]
}

// Scan implements [backend.Reader]. What fits one page is one statement, which
// holds nothing when the loop begins. What does not is read in a transaction, on
// one of the connections for loops, until the loop ends. With a Limit every page
// is a statement of its own.
func (s *Store) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		if err := s.step(ctx); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		g := s.pager(ctx, r, o, o.Versions)
		fetch := func() ([]entry, error) { return s.fetchPage(ctx, g) }
		var x *session
		if o.Limit <= 0 && g.more {
			begin := g.again()
			first, err := fetch()
			switch {
			case err != nil:
				yield(backend.Entry{}, err)
				return
			case !g.more:
				check := func() error { return s.step(ctx) }
				if yieldAll(first, o, check, yield) {
					loop(g, nil, o, check, yield) // the end
				}
				return
			}
			// There is more than a page: from the beginning, in one state.
			if x, err = s.begin(ctx); err != nil {
				yield(backend.Entry{}, err)
				return
			}
			defer x.end(backend.ErrClosed)
			g = begin
			fetch = func() ([]entry, error) { return x.fetchPage(ctx, g) }
		}
		loop(g, fetch, o, func() error { return s.step(ctx) }, yield)
	}
}

// step says why a loop can't go on.
func (s *Store) step(ctx context.Context) error {
	if s.life.Closed() {
		return backend.ErrClosed
	}
	return ctx.Err()
}

// fetchPage fetches a page by a statement that stands alone.
func (s *Store) fetchPage(ctx context.Context, g *pager) (all []entry, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.Exit()
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) (_ bool, err error) {
		all, err = g.fetch(ctx, c)
		return false, err
	})
	return all, err
}

// loop yields page after page. check says before each step whether it may be
// taken; the end of the keys is a step too.
func loop(g *pager, fetch func() ([]entry, error), o backend.ScanOptions, check func() error, yield func(backend.Entry, error) bool) {
	for g.more {
		all, err := fetch()
		if err != nil {
			yield(backend.Entry{}, err)
			return
		}
		if !yieldAll(all, o, check, yield) {
			return
		}
	}
	if err := check(); err != nil {
		yield(backend.Entry{}, err)
	}
}

// yieldAll is false when the loop has ended.
func yieldAll(all []entry, o backend.ScanOptions, check func() error, yield func(backend.Entry, error) bool) bool {
	for _, e := range all {
		if err := check(); err != nil {
			yield(backend.Entry{}, err)
			return false
		}
		out := backend.Entry{Key: e.key, Version: e.ver}
		if !o.KeysOnly {
			out.Value = e.value
		}
		if !yield(out, nil) {
			return false
		}
	}
	return true
}
