package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/dump"
)

// loadCmd is shelflife load.
type loadCmd struct {
	storeFlags
	Existing    string   `enum:"refuse,keep,replace" default:"refuse" placeholder:"WHAT" help:"What becomes of products that the store has in another version: refuse names them and leaves them, keep leaves them, replace takes the dump's. Default: refuse."`
	MustExist   bool     `help:"Fail where there is no store, rather than make one."`
	DiskReserve byteSize `placeholder:"SIZE" help:"Free disk space below which nothing is written. Default: a tenth of the volume, at least 16MiB or a quarter of it, at most 256MiB."`

	File string `arg:"" help:"Dump to load; - is the standard input."`
}

// Help returns the details.
func (*loadCmd) Help() string {
	return `Takes what shelflife dump has written into a store: each product as it was, with its times and its version, so that the entity tags that clients hold stay good. What the store has besides stays. A file is verified to its end before anything of it is loaded, and every product is loaded whole or not at all.

A product that the store has in the same version stays as it is; if it was used later in the dump, that use counts. One in another version was edited since, here or there, or is another product with the same ID: --existing says what becomes of it. So a store can be moved in two steps, with little time without writes: load a first dump, stop the writers, dump again, and load that with --existing=replace. Products that were deleted between the two must be deleted by hand.

What has expired since the dump was written is counted, but not loaded. A load that was stopped or failed may be called again, with the same dump: what is there counts as unchanged. Whether a dump on the standard input is whole is known only at its end: what was loaded by then is right, and stays.

A store that is missing is made. One in a folder must not be in use by a server; one in a database may.

Exit status: 0 if all was loaded, 2 if some products were refused, 1 if it failed or was stopped.`
}

// existing are the words for what becomes of products.
var existing = map[string]dump.Existing{"refuse": dump.Refuse, "keep": dump.Keep, "replace": dump.Replace}

// Run loads a dump.
func (c *loadCmd) Run(p *process) (err error) {
	at, err := c.place()
	if err != nil {
		return err
	}
	in, err := c.open(p)
	if err != nil {
		return fmt.Errorf("nothing was loaded: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	cat, err := openToFill(p, at, c.DiskReserve, c.MustExist)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	if err := cat.Ready(); errors.Is(err, backend.ErrReadOnly) {
		return fmt.Errorf("nothing was loaded: %w", err)
	}
	bar := newProgress(p.stderr, "loading", fileSize(c.File))
	o := &dump.Options{Existing: existing[c.Existing], Report: func(account, id string, _ error) {
		bar.clear()
		fmt.Fprintf(p.stderr, "refused: account %q, product %q: it is in the store in another version\n", account, id)
	}}
	info, err := dump.Load(p.ctx, cat, &progressReader{in, bar}, o)
	bar.clear()
	if err != nil && !errors.Is(err, dump.ErrExists) {
		done := info.Created + info.Unchanged + info.Used + info.Replaced
		return fmt.Errorf("the load stopped, %d products are there: %w; loading again goes on", done, err)
	}
	fmt.Fprintf(p.stdout, "products        %d\ncreated         %d\nunchanged       %d\nused later      %d\nreplaced        %d\nkept            %d\nrefused         %d\nexpired since   %d\n",
		info.Products, info.Created, info.Unchanged, info.Used, info.Replaced, info.Kept, info.Refused, info.Expired)
	if info.LeftOut > 0 {
		fmt.Fprintf(p.stdout, "left out        %d, by the dump\n", info.LeftOut)
	}
	if info.Refused > 0 {
		return statusError(exitRefused)
	}
	return nil
}

// open opens the dump. A file is compared first.
func (c *loadCmd) open(p *process) (in io.ReadCloser, err error) {
	if c.File == "-" {
		return interruptible(p.ctx, p.stdin), nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	size := fileSize(c.File)
	if size < 0 {
		return f, nil // a pipe, which can be read once
	}
	bar := newProgress(p.stderr, "comparing", size)
	_, err = dump.Verify(p.ctx, &progressReader{f, bar})
	bar.clear()
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return f, err
}

// interruptible reads the standard input, a read of which can't be cut short, until
// ctx ends: the goroutine that is in it then ends with the process.
func interruptible(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(errInterrupted) })
	go func() {
		defer stop()
		_, err := io.Copy(in, r)
		_ = in.CloseWithError(err)
	}()
	return out
}

// progressReader moves a bar on as it is read.
type progressReader struct {
	r   io.Reader
	bar *progress
}

// Read implements io.Reader.
func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.bar.add(int64(n))
	return n, err
}
