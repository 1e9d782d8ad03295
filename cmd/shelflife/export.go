package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// exportCmd is shelflife export.
type exportCmd struct {
	storeFlags
	Account string `required:"" placeholder:"ACCOUNT" help:"The account whose products they are."`
	Prefix  string `help:"Export only the products whose ID begins with it."`
	Listed  bool   `help:"Export only the listed products."`
	Out     string `arg:"" name:"OUT" help:"File to write, an existing folder for one that is named after the time, or - for standard output."`
}

// Help returns the details.
func (*exportCmd) Help() string {
	return `Writes the products of an account as they are at one instant, one JSON object a line, in the form in which GET returns them, for people and programs to read, and for shelflife import.

The import takes it into the store that it is from: products that were edited since are set back to what it says, unlisted ones become listed, and lifetimes begin anew. Products that were deleted since, and all of them in any other store, are created: the import then refuses entries with uploaded images, whose bytes are not in the file, and one-shots, whose IDs the store makes. How many there are is said at the end. To move products as they are, use shelflife dump and load.

A store in a folder must not be in use by a server, unless that runs with --read-only; one in a database may.`
}

// exportSuffix ends the names of exports in a folder.
const exportSuffix = ".ndjson"

// Run exports an account.
func (c *exportCmd) Run(p *process) error {
	return c.read(p.ctx, func(cat *catalog.Catalog) error {
		if err := checkAccount(cat, c.Account); err != nil {
			return err
		}
		e := &exporter{bar: newProgress(p.stderr, "exporting", -1), sum: sha256.New()}
		f := outFile{
			write: func(w io.Writer) error { return e.run(p.ctx, cat, c, w) },
			check: e.compare,
			name:  func() string { return "shelflife-" + time.Now().UTC().Format(nameTime) + exportSuffix },
		}
		report, written, err := p.stdout, "standard output", error(nil)
		if c.Out == "-" {
			report = p.stderr
			err = f.write(p.stdout)
		} else {
			written, err = f.make(c.Out)
		}
		e.bar.clear()
		if err != nil {
			return err
		}
		fmt.Fprintf(report, "products        %d\nwritten to      %s\n", e.products, visible(written))
		if e.own > 0 {
			fmt.Fprintf(report, "of this store   %d: with uploaded images, or one-shots, which an import into another store refuses\n", e.own)
		}
		return nil
	})
}

// exporter writes products as lines.
type exporter struct {
	bar      *progress
	products int
	own      int // of them, those that no other store takes
	sum      hash.Hash
}

func (e *exporter) run(ctx context.Context, cat *catalog.Catalog, c *exportCmd, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	for p, err := range cat.All(ctx, c.Account, catalog.AllOptions{Prefix: c.Prefix, Unlisted: !c.Listed}) {
		if err != nil {
			return err
		}
		line = append(p.AppendJSON(line[:0]), '\n')
		e.products++
		if isOfItsStore(p) {
			e.own++
		}
		e.bar.add(int64(len(line)))
		e.sum.Write(line)
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// isOfItsStore reports whether an import into another store refuses a product.
func isOfItsStore(p *catalog.Product) bool {
	if strings.HasPrefix(p.ExternalID, "_anon_") {
		return true
	}
	for _, img := range p.Images {
		if img.Uploaded() {
			return true
		}
	}
	return false
}

// compare compares a file with what was written.
func (e *exporter) compare(r io.Reader) error {
	got := sha256.New()
	if _, err := io.Copy(got, r); err != nil {
		return err
	}
	if !bytes.Equal(got.Sum(nil), e.sum.Sum(nil)) {
		return errors.New("it holds something else")
	}
	return nil
}
