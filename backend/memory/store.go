// Package memory is a [backend.Backend] that keeps everything in this
// process's memory: for tests and for stores that may vanish with the process.
//
// Updates run one at a time, whatever their scopes. Reads never wait for them:
// they use the last committed version of a copy-on-write B-tree, as scans and
// snapshots do, which therefore cost nothing to hold but the memory of what was
// replaced meanwhile. A commit counts as durable at once.
package memory

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"github.com/shelflife-db/shelflife/backend"
)

// Options configure a Store. The zero value is an exclusive store without size
// limits.
type Options struct {
	// Shared makes the store behave like one that other processes write to, for
	// tests of code that must stand that: Properties().Exclusive is false, the
	// callback of an Update runs again at random, with the Updates of others in
	// between, and OnVisible functions run when overlapping Updates may have
	// begun. It does not change what an Update's result is. Default: false.
	Shared bool
	// Seed chooses where Shared reruns a callback; equal seeds give equal
	// choices to equal sequences of Updates. It affects nothing else.
	// Default: 0, a seed like any other.
	Seed uint64
	// Shards is what Properties().Shards states. The store itself has no parts.
	// Default: 0, which callers take as 1.
	Shards int
	// Heals has the store lose, each time that [Store.Heal] is called, what is not
	// durable: only what an Update that is not Buffered, or Durable, has waited for
	// is. It is for tests of code that must stand that, see backend.Healer, and for
	// one handle. Default: false, then every commit is durable at once.
	Heals bool
	// MaxKeySize and MaxValueSize are the largest key and value in bytes;
	// larger ones are refused with backend.ErrTooLarge when they are written.
	// Reads accept keys of any size. Default: 0, no limit.
	MaxKeySize, MaxValueSize int
}

// Store is an ordered key-value store in memory. It is one handle on its data;
// see [Store.Handle].
type Store struct {
	data *data
	life backend.Lifecycle
	heal heal
}

var (
	_ backend.Backend = (*Store)(nil)
	_ backend.Healer  = (*Store)(nil)
)

// data is what the handles of one store have in common.
type data struct {
	options Options

	// writer holds one token, which an Update takes while its callback runs
	// and commits. It guards rerun and the change of committed.
	writer chan struct{}
	rerun  *rand.Rand

	// committed is the newest committed version. A published version is never
	// changed, so that it is read without a lock.
	committed atomic.Pointer[version]
	// settling guards durable, what Heal goes back to. Nothing is locked below it.
	settling sync.Mutex
	durable  *version
}

// version is one state of the store.
type version struct {
	tree  *btree.BTreeG[item]
	bytes int64 // keys and values in tree
}

type item struct {
	key, value []byte
}

func (i item) size() int64 { return int64(len(i.key) + len(i.value)) }

const (
	degree = 32 // of the B-tree's nodes

	// An Update of a Shared store has one chance in rerunOneIn of being rerun,
	// and then up to maxReruns times.
	rerunOneIn = 3
	maxReruns  = 3
)

// New returns an empty store. Nil options are the defaults.
func New(o *Options) *Store {
	d := &data{writer: make(chan struct{}, 1)}
	if o != nil {
		d.options = *o
	}
	d.rerun = rand.New(rand.NewPCG(d.options.Seed, 0))
	d.durable = &version{
		tree: btree.NewG(degree, func(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 }),
	}
	d.committed.Store(d.durable)
	return &Store{data: d}
}

// Handle returns another handle on the same data, as a second process would
// have it, with a Close of its own. It works on a closed Store too: that is
// how to open the data again. Two open handles are exclusive only in name
// unless the store is Shared.
func (s *Store) Handle() *Store { return &Store{data: s.data} }

// Update implements [backend.Backend].
func (s *Store) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	if backend.InUpdate(ctx, s.data) {
		return backend.ErrNested
	}

	ranges := false
	for _, scope := range scopes {
		ranges = ranges || scope.Item == ""
	}
	var reruns int
	for run := 0; ; run++ {
		visible, again, err := s.attempt(ctx, ranges, o.Buffered, fn, func() bool {
			if run == 0 {
				reruns = s.data.drawReruns()
			}
			return run < reruns
		})
		if again {
			continue
		}
		call(visible)
		return err
	}
}

// attempt runs fn once and commits, unless discard, which is asked while the
// writer is held, says that the run must not count: then again is true. It
// returns the functions that are left to call now that the commit is visible.
func (s *Store) attempt(ctx context.Context, ranges, buffered bool, fn func(context.Context, backend.Txn) error, discard func() bool) (visible []func(), again bool, err error) {
	select {
	case s.data.writer <- struct{}{}:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case <-s.life.Closing():
		return nil, false, backend.ErrClosed
	}
	// Deferred, as fn may end the goroutine instead of returning.
	defer func() { <-s.data.writer }()
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}

	again = discard()
	t := newTxn(s.data, ranges)
	defer t.end()
	err = fn(backend.MarkUpdate(ctx, s.data), t)
	if again {
		return nil, true, nil
	}
	if !buffered {
		// What it has read or written, before the next has its turn.
		defer s.data.settle()
	}
	if err != nil {
		return nil, false, err
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if t.changed {
		s.data.committed.Store(&t.version)
	}
	if s.data.options.Shared {
		return t.visible, false, nil
	}
	call(t.visible)
	return nil, false, nil
}

// drawReruns says how often the next Update is to be rerun.
func (d *data) drawReruns() int {
	if !d.options.Shared || d.rerun.IntN(rerunOneIn) != 0 {
		return 0
	}
	return 1 + d.rerun.IntN(maxReruns)
}

func call(fns []func()) {
	for _, fn := range fns {
		fn()
	}
}

// Durable implements [backend.Backend]: there is never anything to wait for.
func (s *Store) Durable(ctx context.Context, _ []backend.Scope) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.Exit()
	s.data.settle()
	return nil
}

// Size implements [backend.Backend]. It counts the bytes of keys and values
// without the tree around them: exactly, at once for the whole keyspace,
// otherwise in time proportional to the number of keys in r.
func (s *Store) Size(ctx context.Context, r backend.Range) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.life.Exit()
	v := s.data.committed.Load()
	if len(r.Start) == 0 && r.End == nil {
		return v.bytes, nil
	}
	var size int64
	var err error
	n := 0
	v.ascend(r, func(i item) bool {
		if n++; n%ctxEvery == 0 {
			err = ctx.Err()
		}
		size += i.size()
		return err == nil
	})
	if err != nil {
		return 0, err
	}
	return size, nil
}

// ctxEvery is the number of keys between two looks at a context.
const ctxEvery = 1024

// Properties implements [backend.Backend].
func (s *Store) Properties() backend.Properties {
	o := s.data.options
	return backend.Properties{
		Name:         "memory",
		Exclusive:    !o.Shared,
		Shards:       o.Shards,
		MaxKeySize:   o.MaxKeySize,
		MaxValueSize: o.MaxValueSize,
	}
}

// Ready implements [backend.Backend].
func (s *Store) Ready() error { return s.closedErr() }

func (s *Store) closedErr() error {
	if s.life.Closed() {
		return backend.ErrClosed
	}
	return nil
}

// Close implements [backend.Backend]. Updates that wait for their turn end
// with ErrClosed; the data stays with the other handles.
func (s *Store) Close() error {
	return s.life.Close(func() error { return nil })
}

// enter counts a call in, which must be counted out when err is nil.
func (s *Store) enter(ctx context.Context) error {
	s.heal.await()
	if err := s.life.Enter(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		s.life.Exit()
		return err
	}
	return nil
}
