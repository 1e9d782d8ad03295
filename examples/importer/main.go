// Command importer imports a shop's product feed into a Shelflife server over HTTP:
//
//	SHELFLIFE_KEY=… go run ./examples/importer -server http://127.0.0.1:8080 feed.csv
//
// It sends all rows in one bulk upsert, and goes on behind the last row with a result
// where the connection breaks or the server is down for a while. How far it has come
// it writes into a file beside the feed, so that it goes on there when it is run
// again. Rows that are refused are named, and the others imported all the same.
//
// Exit status: 0 all is imported, 1 it stopped, 2 some rows were refused.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/shelflife-db/shelflife/httpadapter/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv("SHELFLIFE_KEY"), os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, key string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("importer", flag.ContinueOnError)
	flags.SetOutput(errs)
	server := flags.String("server", "http://127.0.0.1:8080", "URL of the API")
	pause := flags.Duration("pause", time.Second, "first pause before it is tried again")
	tries := flags.Int("tries", 5, "how often it is tried without a row that was dealt with in between")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		fmt.Fprintln(errs, "usage: importer [flags] FEED.csv (the key is in SHELFLIFE_KEY)")
		return 1
	}
	c, err := client.New(*server, &client.Options{APIKey: key})
	if err != nil {
		fmt.Fprintln(errs, "importer:", err)
		return 1
	}
	path := flags.Arg(0)
	i := &importer{client: c, feed: path, place: place{path: path + ".place"}, pause: *pause, tries: *tries, errs: errs}
	err = i.run(ctx)
	fmt.Fprintf(out, "%d rows: %d created, %d edited, %d unchanged, %d refused\n",
		i.place.Row-i.begun, i.outcomes[client.Created], i.outcomes[client.Edited], i.outcomes[client.Unchanged], i.refused)
	switch {
	case err != nil:
		fmt.Fprintf(errs, "importer: stopped behind row %d: %v\nThe same command goes on there.\n", i.place.Row, err)
		return 1
	case i.refused > 0:
		return 2
	}
	return 0
}

// importer is an import at work.
type importer struct {
	client *client.Client
	feed   string
	place  place // behind the last row that was dealt with
	begun  int   // the row that it began behind
	pause  time.Duration
	tries  int
	errs   io.Writer

	outcomes map[client.Outcome]int
	refused  int
}

// run imports what the place says is left.
func (i *importer) run(ctx context.Context) error {
	i.outcomes = map[client.Outcome]int{}
	if err := i.place.load(); err != nil {
		return err
	}
	i.begun = i.place.Row
	for failures := 0; ; {
		before := i.place.Row
		err := i.send(ctx)
		if err == nil {
			return i.place.remove()
		}
		if saved := i.place.save(); saved != nil {
			return errors.Join(err, saved)
		}
		if failures++; i.place.Row > before {
			failures = 1
		}
		if ctx.Err() != nil || !isPassing(err) || failures >= i.tries {
			return err
		}
		wait := i.pause << (failures - 1)
		if refused := (*client.Error)(nil); errors.As(err, &refused) {
			wait = max(wait, refused.RetryAfter)
		}
		fmt.Fprintf(i.errs, "behind row %d: %v; trying again\n", i.place.Row, err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isPassing reports whether trying again may help.
func isPassing(err error) bool {
	if refused := (*client.Error)(nil); errors.As(err, &refused) {
		return errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrRateLimited) || errors.Is(err, client.ErrUnknownOutcome) || refused.Code == ""
	}
	return !errors.Is(err, errFeed)
}

// saveEvery is after how many results the place is written.
const saveEvery = 1000

// send sends the rows behind the place in one bulk upsert.
func (i *importer) send(ctx context.Context) error {
	f, err := openFeed(i.feed, i.place)
	if err != nil {
		return err
	}
	defer f.close()
	results := 0
	for r, err := range i.client.Bulk(ctx, f.items) {
		if err != nil {
			return err
		}
		// Rows that were not sent stand before the one that has a result now.
		for {
			row, faulty := f.next()
			i.place.Row, i.place.SKU = row.number, row.sku
			if faulty == nil {
				break
			}
			i.refuse(row, faulty)
		}
		if r.Err != nil {
			i.refuse(row{number: i.place.Row, sku: i.place.SKU}, r.Err)
		} else {
			i.outcomes[r.Outcome]++
		}
		if results++; results%saveEvery == 0 {
			if err := i.place.save(); err != nil {
				return err
			}
		}
	}
	for f.more() {
		row, faulty := f.next()
		i.place.Row, i.place.SKU = row.number, row.sku
		i.refuse(row, faulty)
	}
	return nil
}

func (i *importer) refuse(r row, why error) {
	i.refused++
	fmt.Fprintf(i.errs, "row %d (%s): %v\n", r.number, r.sku, why)
}
