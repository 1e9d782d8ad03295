package workload

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
)

func (r *run) durableWrites(ctx context.Context) error {
	list := append(r.editsBy(true),
		timed{create, r.writers(), createTask},
		timed{useDurable, r.writers(), useTask},
		timed{imageUpload, 1, uploadTask})
	return r.turns(ctx, r.options(true), workloadsOf(list), func(ctx context.Context, t *turn) error {
		if err := t.touch(ctx); err != nil {
			return err
		}
		return t.repeat(ctx, list)
	})
}

func (r *run) bufferedWrites(ctx context.Context) error {
	list := r.editsBy(false)
	return r.turns(ctx, r.options(false), workloadsOf(list), func(ctx context.Context, t *turn) error {
		if err := t.touch(ctx); err != nil {
			return err
		}
		return t.repeat(ctx, list)
	})
}

// editsBy returns the edits by every number of writers.
func (r *run) editsBy(durable bool) []timed {
	var list []timed
	for _, w := range r.Writers {
		list = append(list, timed{editWorkload(durable, false, w), w, editTask(dataset.Uniform(r.set.Len()))})
	}
	most := r.mostWriters()
	return append(list, timed{editWorkload(durable, true, most), most, editTask(r.zipf)})
}

// revisionOf names edit n of a writer in a segment; it is never 0.
func revisionOf(segment uint64, writer, n int) uint64 {
	return segment<<segmentShift | uint64(writer)<<opBits | uint64(n)
}

// verifiedProducts is how many of the products that a segment wrote are looked
// at afterwards.
const verifiedProducts = 200

// editTask edits products. Afterwards each of a number of them must be the last
// edit of one of the writers, else an update was lost.
func editTask(access dataset.Access) func(*turn, uint64, int) (task, error) {
	return func(t *turn, segment uint64, workers int) (task, error) {
		random, buffers := t.sources(segment, workers), make([][]byte, workers)
		op := func(ctx context.Context, w, n int) error {
			i := access.Next(random[w])
			buffers[w] = t.edits.Append(buffers[w][:0], revisionOf(segment, w, n))
			return t.store.Edit(ctx, t.keys[i], buffers[w])
		}
		verify := func(ctx context.Context, s measure.Sample) error {
			return t.verifyEdits(ctx, segment, workers, access, s, func(int) bool { return true })
		}
		return task{op, verify}, nil
	}
}

// mixedTask reads products, and edits one after every mixedReads.
func mixedTask(access dataset.Access) func(*turn, uint64, int) (task, error) {
	return func(t *turn, segment uint64, workers int) (task, error) {
		random, buffers := t.sources(segment, workers), make([][]byte, workers)
		op := func(ctx context.Context, w, n int) error {
			i := access.Next(random[w])
			if !isMixedEdit(n) {
				_, err := t.store.Get(ctx, t.keys[i], false)
				return err
			}
			buffers[w] = t.edits.Append(buffers[w][:0], revisionOf(segment, w, n))
			return t.store.Edit(ctx, t.keys[i], buffers[w])
		}
		verify := func(ctx context.Context, s measure.Sample) error {
			return t.verifyEdits(ctx, segment, workers, access, s, isMixedEdit)
		}
		return task{op, verify}, nil
	}
}

// isMixedEdit reports whether operation n of a goroutine in a mixed load is an edit.
func isMixedEdit(n int) bool { return n%(mixedReads+1) == mixedReads }

// verifyEdits reads back products that were edited. Of the operations, which all
// choose one product, those are edits that the function says.
func (t *turn) verifyEdits(
	ctx context.Context, segment uint64, workers int, access dataset.Access, s measure.Sample, edits func(n int) bool,
) error {
	revision := func(w, n int) uint64 { return revisionOf(segment, w, n) }
	for i, revisions := range lastEdits(t.sources(segment, workers), access, s, edits, revision) {
		revision, err := t.readBack(ctx, i)
		if err != nil {
			return err
		}
		if !revisions[revision] {
			return fmt.Errorf("product %v has revision %x: an update was lost", t.keys[i], revision)
		}
	}
	return nil
}

// lastEdits returns, of some products, the revisions that each worker wrote to
// them last: one of these must be there. The sequences of products are random but
// repeatable.
func lastEdits(
	sources []*rand.Rand, access dataset.Access, s measure.Sample, edits func(n int) bool, revision func(w, n int) uint64,
) map[int]map[uint64]bool {
	last := map[int]map[uint64]bool{}
	for w, r := range sources {
		of := map[int]int{}
		for n := range s.Ops[w] {
			if i := access.Next(r); edits(n) {
				of[i] = n
			}
		}
		for i, n := range of {
			if last[i] == nil {
				if len(last) == verifiedProducts {
					continue
				}
				last[i] = map[uint64]bool{}
			}
			last[i][revision(w, n)] = true
		}
	}
	return last
}

// readBack reads product i, checks it and returns its revision.
func (t *turn) readBack(ctx context.Context, i int) (uint64, error) {
	got, err := t.store.Get(ctx, t.keys[i], true)
	if err != nil {
		return 0, err
	}
	return t.check(i, got)
}

// createTask creates products.
func createTask(t *turn, segment uint64, workers int) (task, error) {
	set := t.set.Under(fmt.Sprintf("new%d", segment))
	number := func(w, n int) int { return n*workers + w }
	op := func(ctx context.Context, w, n int) error {
		p := set.Product(number(w, n))
		return t.store.Create(ctx, &p)
	}
	verify := func(ctx context.Context, s measure.Sample) error {
		for w, ops := range s.Ops {
			for n := 0; n < ops; n += max(1, ops*workers/verifiedProducts) {
				want := set.Product(number(w, n))
				got, err := t.store.Get(ctx, want.Key, true)
				if err != nil {
					return err
				}
				p, err := t.store.Product(got)
				if err == nil {
					err = dataset.Same(&want, &p)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
	return task{op, verify}, nil
}

// uploadTask gives products another image each time.
func uploadTask(t *turn, _ uint64, workers int) (task, error) {
	keys, now := t.photos.Keys(), t.photoOf[dataName(t.peer)]
	op := func(ctx context.Context, w, n int) error {
		i := (n*workers + w) % len(keys)
		now[i] = (now[i] + 1) % len(t.images)
		return t.store.PutImage(ctx, keys[i], t.images[now[i]])
	}
	verify := func(ctx context.Context, _ measure.Sample) error {
		for i, k := range keys {
			data, err := t.store.GetImage(ctx, k, nil)
			if err != nil {
				return err
			}
			if !bytes.Equal(data, t.images[now[i]]) {
				return fmt.Errorf("image of %v is not the last that was uploaded", k)
			}
		}
		return nil
	}
	return task{op, verify}, nil
}
