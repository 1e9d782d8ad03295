package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog/dump"
)

// dumpCmd is shelflife dump.
type dumpCmd struct {
	storeFlags
	Admin      string `placeholder:"ADDR" help:"Take the dump from the running server whose --admin-addr this is: http://HOST:PORT or unix:PATH. Instead of --data."`
	PastDamage bool   `help:"Leave out products that can't be read, and name them, rather than fail."`
	Out        string `arg:"" name:"OUT" help:"File to write, an existing folder for one that is named after the time, or - for standard output."`
}

// Help returns the details.
func (*dumpCmd) Help() string {
	return `Writes every product that lives into one file, which shelflife load takes into any other store, whatever that is kept in and whichever version serves it: with its times, its version, one-shots, and the bytes of its images. Cursors of lists are of one store: clients begin a list again. What has expired or was deleted is left out. To copy a store as it is, shelflife backup is faster.

The file is read back and compared before it gets its name. It is a tar archive of JSON lines and images, compressed by zstd: tar --zstd -tf lists it. Two dumps of equal stores are equal.

With --admin it is taken from a running server, which goes on: the dump has the store as it was at one instant. A store in --data must not be in use by a server, unless that runs with --read-only; one in a database may.

Exit status: 0 if all products are in it, 2 if --past-damage left some out, 1 if there is no dump.`
}

// dumpSuffix ends the names of dumps in a folder: what other programs take it for.
const dumpSuffix = ".tar.zst"

// Run writes a dump.
func (c *dumpCmd) Run(p *process) (err error) {
	bar := newProgress(p.stderr, "dumping", -1)
	write, end, err := c.source(p, bar)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	var info dump.Info
	f := outFile{
		write: func(w io.Writer) (err error) {
			info, err = write(&progressWriter{w, bar})
			return err
		},
		check: func(r io.Reader) error { return verifyDump(p.ctx, r, info) },
		name:  func() string { return "shelflife-" + time.Now().UTC().Format(nameTime) + dumpSuffix },
	}
	report, written := p.stdout, "standard output"
	if c.Out == "-" {
		report = p.stderr
		err = f.write(p.stdout)
	} else {
		written, err = f.make(c.Out)
	}
	bar.clear()
	if err != nil {
		return err
	}
	fmt.Fprintf(report, "accounts        %d\nproducts        %d\nstored images   %d\nbytes           %d\nwritten to      %s\n",
		info.Accounts, info.Products, info.Images, info.Bytes, visible(written))
	if info.LeftOut > 0 {
		fmt.Fprintf(report, "left out        %d\n", info.LeftOut)
		return statusError(exitRefused)
	}
	return nil
}

// source returns what writes a dump of the store that the flags name, and what ends
// that.
func (c *dumpCmd) source(p *process, bar *progress) (write func(io.Writer) (dump.Info, error), end func() error, err error) {
	if c.Admin != "" {
		if err := c.besideAdmin(); err != nil {
			return nil, nil, err
		}
		if c.PastDamage {
			return nil, nil, errors.New("--past-damage is for a store that no server has open")
		}
		operators, err := newAdminClient(c.Admin)
		if err != nil {
			return nil, nil, err
		}
		write = func(w io.Writer) (dump.Info, error) { return operators.dump(p.ctx, w) }
		return write, func() error { return nil }, nil
	}
	at, err := c.place()
	if err != nil {
		return nil, nil, err
	}
	cat, err := openForCheck(p.ctx, at)
	if errors.Is(err, pebble.ErrLocked) {
		return nil, nil, fmt.Errorf("%w: take the dump from the server that has it, with --admin", err)
	}
	if err != nil {
		return nil, nil, err
	}
	o := &dump.Options{PastDamage: c.PastDamage, Report: func(_, _ string, err error) {
		bar.clear()
		fmt.Fprintf(p.stderr, "left out: %s\n", visible(err.Error()))
	}}
	return func(w io.Writer) (dump.Info, error) { return dump.Write(p.ctx, w, cat, o) }, cat.Close, nil
}

// verifyDump compares a dump with what was written.
func verifyDump(ctx context.Context, r io.Reader, info dump.Info) error {
	got, err := dump.Verify(ctx, r)
	if err == nil && got != info {
		err = fmt.Errorf("it holds %+v, and should hold %+v", got, info)
	}
	return err
}

// progressWriter moves a bar on as it writes.
type progressWriter struct {
	w   io.Writer
	bar *progress
}

// Write implements io.Writer.
func (p *progressWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.bar.add(int64(n))
	return n, err
}
