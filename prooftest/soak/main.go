// Command soak keeps a catalog on a real disk under a mixed load, and says
// every minute, and at the end, what it uses and how long calls take:
//
//	go run ./soak -for 30m
//
// The catalog's clock runs faster than real time, so that products expire all
// along. It fails when memory, goroutines, open files or the disk have grown
// between the second quarter of the run and the last, the store is broken, or it
// does not heal where the disk had no room for a while.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

var (
	length  = flag.Duration("for", 30*time.Minute, "how long")
	clients = flag.Int("clients", 8, "callers at a time")
	folder  = flag.String("dir", "", "folder for the store; empty: a temporary one")
	seed    = flag.Uint64("seed", 1, "seed of what the callers do")
	noRoom  = flag.Duration("no-room", 0, "how often the disk has no room for a second, after which the store heals; 0: never")
	pause   = flag.Duration("pause", time.Millisecond, "pause of a caller between two calls")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := soak(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func soak(ctx context.Context) (err error) {
	dir := *folder
	if dir == "" {
		if dir, err = os.MkdirTemp("", "shelflife-soak-*"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	dir = filepath.Join(dir, "store")
	o := &pebble.Options{CacheSize: 32 << 20, MemTableSize: 4 << 20}
	var disk crowded
	if *noRoom > 0 {
		o.FS = disk.fs()
	}
	b, err := pebble.Open(ctx, dir, o)
	if err != nil {
		return err
	}
	c, err := catalog.Open(ctx, b, &catalog.Options{Clock: newFastClock(), CacheBytes: 4 << 20, UseWindow: time.Hour})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	running, cancel := context.WithTimeout(ctx, *length)
	defer cancel()
	var wg sync.WaitGroup
	callers := make([]*caller, *clients)
	failed := make([]error, *clients)
	for i := range callers {
		callers[i] = newCaller(c, i)
		wg.Go(func() {
			if failed[i] = callers[i].run(running); failed[i] != nil {
				cancel()
			}
		})
	}
	if *noRoom > 0 {
		wg.Go(func() { disk.crowd(running, *noRoom) })
	}
	samples, err := watch(running, dir, callers)
	wg.Wait()
	if err = errors.Join(append(failed, err)...); err != nil {
		return err
	}
	printLatencies(callers)
	if *noRoom > 0 {
		if err := healed(c); err != nil {
			return err
		}
		refused := 0
		for _, w := range callers {
			refused += w.refused
		}
		fmt.Printf("the disk had no room %d times: the store healed %d times, and refused %d calls\n", disk.times, b.Generation(), refused)
		if disk.times > 0 && b.Generation() == 0 {
			return errors.New("the store met none of it")
		}
	}
	report, err := c.Check(ctx)
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%d broken invariants, the first: %v", len(report.Problems), report.Problems[0])
	}
	fmt.Printf("sound: %d products, %d stored images\n", report.Products, report.Blobs)
	return flat(samples)
}
