package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// killedEdits is how many edits a store takes before it is killed: about as
// many bytes as a memtable of Pebble holds.
const killedEdits = 20_000

// cleanOpens is how often a closed store is opened in a round.
const cleanOpens = 5

// openings measures how long it takes until a closed, and a killed, store has
// answered its first read.
func (r *run) openings(ctx context.Context) error {
	for round := range r.Rounds {
		for _, p := range r.peers {
			t := &turn{run: r, peer: p}
			if t.wants(openClean) {
				if err := r.timeOpenClean(ctx, openClean, p, r.dir(p), r.set, round); err != nil {
					return err
				}
			}
			if t.wants(openKilled) {
				if err := r.timeOpenKilled(ctx, openKilled, p, r.dir(p), r.set, round); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *run) timeOpenKilled(ctx context.Context, w result.Workload, p peer.Peer, dir string, s *dataset.Set, round int) error {
	if err := r.editAndDie(ctx, p, dir, s); err != nil {
		return fmt.Errorf("%s: killed writer: %w", p.Name, err)
	}
	elapsed, err := r.timeOpen(ctx, p, dir, s, round)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.Name, w.Name, err)
	}
	r.add(w, p.Name, round, result.Observation{Value: elapsed.Seconds() * 1000})
	return nil
}

// timeOpenClean opens a closed store several times, and once before for what its
// last opening left to be done; the median counts.
func (r *run) timeOpenClean(ctx context.Context, w result.Workload, p peer.Peer, dir string, s *dataset.Set, round int) error {
	var took []time.Duration
	for range 1 + cleanOpens {
		elapsed, err := r.timeOpen(ctx, p, dir, s, round)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", p.Name, w.Name, err)
		}
		took = append(took, elapsed)
	}
	took = took[1:]
	slices.Sort(took)
	r.add(w, p.Name, round, result.Observation{Value: took[len(took)/2].Seconds() * 1000})
	return nil
}

// timeOpen opens a store, reads a product, and checks some more afterwards. What
// was written before is on the disk then: an opening syncs files of its own, and
// would have to wait for others.
func (r *run) timeOpen(ctx context.Context, p peer.Peer, dir string, s *dataset.Set, round int) (time.Duration, error) {
	flushDisk()
	o := r.options(false)
	var store peer.Store
	var got any
	var elapsed time.Duration
	first := round * 7919 % s.Len()
	err := r.profiled(round, func() (err error) {
		began := time.Now()
		if store, err = p.Open(ctx, dir, o); err != nil {
			return err
		}
		got, err = store.Get(ctx, s.Key(first), true)
		elapsed = time.Since(began)
		return err
	})
	if store == nil {
		return 0, err
	}
	if err == nil {
		err = r.checkOpened(ctx, p, store, s, first, got)
	}
	return elapsed, errors.Join(err, store.Close())
}

// checkOpened checks the product that was read first, and others: whatever
// edits the kill took, none may be there in part.
func (r *run) checkOpened(ctx context.Context, p peer.Peer, store peer.Store, s *dataset.Set, first int, got any) error {
	check := func(i int, got any) error {
		product, err := store.Product(got)
		if err == nil {
			_, err = r.edits.Check(s, i, &product, p.Floor)
		}
		return err
	}
	if err := check(first, got); err != nil {
		return fmt.Errorf("wrong data: %w", err)
	}
	for i := 0; i < s.Len(); i += max(1, s.Len()/verifiedProducts) {
		got, err := store.Get(ctx, s.Key(i), true)
		if err != nil {
			return err
		}
		if err := check(i, got); err != nil {
			return fmt.Errorf("wrong data: %w", err)
		}
	}
	return nil
}
