package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// killedEdits is how many edits a store takes before it is killed: about as
// many bytes as a memtable of Pebble holds.
const killedEdits = 20_000

// openings measures how long it takes until a closed, and a killed, store has
// answered its first read.
func (r *run) openings(ctx context.Context) error {
	for round := range r.Rounds {
		for _, p := range r.peers {
			if r.wants(openClean) {
				if err := r.timeOpen(ctx, openClean, p, r.dir(p), r.set, round); err != nil {
					return err
				}
			}
			if r.wants(openKilled) {
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
	return r.timeOpen(ctx, w, p, dir, s, round)
}

// timeOpen opens a store, reads a product, and checks some more afterwards.
func (r *run) timeOpen(ctx context.Context, w result.Workload, p peer.Peer, dir string, s *dataset.Set, round int) error {
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
		return fmt.Errorf("%s: open: %w", p.Name, err)
	}
	if err == nil {
		err = r.checkOpened(ctx, p, store, s, first, got)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("%s: %s: %w", p.Name, w.Name, err)
	}
	r.add(w, p.Name, round, result.Observation{Value: elapsed.Seconds() * 1000})
	return nil
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
