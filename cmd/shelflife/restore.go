package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/ttl"
)

// restoreCmd is shelflife restore.
type restoreCmd struct {
	Source          string `arg:"" name:"SRC" help:"Backup to read, or - for standard input."`
	Data            string `required:"" placeholder:"DIR" help:"Folder of the new store: one that is missing or empty."`
	ExtendLifetimes bool   `help:"Let every product live as much longer as the backup is old."`
}

// Help returns the details.
func (*restoreCmd) Help() string {
	return `Makes a store of what shelflife backup has written, and checks it. Every byte is compared: of a backup that is cut off or was changed nothing is made. What is in the folder after a command that failed is no store, and is removed, or refused by every command until restore is called again. Once all bytes have been compared it is a store, also if the command is killed while it checks that.

Lifetimes go on while a backup lies there: what has expired since is gone for every reader, and is removed when a server opens the store. How many products that are is said first. With --extend-lifetimes each product lives as much longer as the backup is old, and what had expired since lives again; versions stay.`
}

// Run makes a store of a backup.
func (c *restoreCmd) Run(p *process) (err error) {
	in := p.stdin
	if c.Source != "-" {
		f, err := os.Open(c.Source)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	clock := ttl.SystemClock()
	info, err := pebble.Restore(p.ctx, c.Data, in, nil)
	if errors.Is(err, pebble.ErrNotEmpty) {
		return fmt.Errorf("%w: choose an empty folder, or one that does not exist", err)
	}
	if err != nil {
		return err
	}
	age := max(clock.Now().Sub(info.Taken), 0)
	fmt.Fprintf(p.stdout, "taken           %s, %s ago\n", info.Taken.Format("2006-01-02 15:04:05 UTC"), inWords(age))
	return c.finish(p, age)
}

// finish checks the new store, and lets its products live longer if that is asked
// for.
func (c *restoreCmd) finish(p *process, age time.Duration) (err error) {
	at := place{dir: c.Data}
	cat, err := openQuietly(p.ctx, at)
	if err != nil {
		return fmt.Errorf("the new store: %w", err)
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	report, err := cat.Check(p.ctx)
	if err != nil {
		return fmt.Errorf("the new store: %w", err)
	}
	if !report.Sound() {
		return fmt.Errorf("the new store is not sound: %d problems, see shelflife check", len(report.Problems))
	}
	fmt.Fprintf(p.stdout, "products        %d, of which %d have expired\nstored images   %d\n", report.Products, report.Expired, report.Blobs)
	if !c.ExtendLifetimes {
		if report.Expired > 0 {
			fmt.Fprintln(p.stdout, "they are removed when a server opens the store; --extend-lifetimes, in another restore, keeps what has expired since the backup")
		}
		return nil
	}
	n, err := cat.ExtendLifetimes(p.ctx, age)
	if err != nil {
		return fmt.Errorf("not all lifetimes were extended, restore again to another folder: %w", err)
	}
	fmt.Fprintf(p.stdout, "extended        %d lifetimes, by %s\n", n, inWords(age))
	return nil
}

// inWords returns a duration as people say it.
func inWords(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
