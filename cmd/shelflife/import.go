package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// A batch is committed when it holds batchLines lines or batchBytes bytes.
const (
	batchLines = 256
	batchBytes = 1 << 20
	// maxLine is the longest line in bytes: as long as a request may be.
	maxLine = httpadapter.DefaultMaxJSONBytes
)

// importCmd is shelflife import.
type importCmd struct {
	Data    string `required:"" placeholder:"DIR" help:"Folder of the store, made if it is missing."`
	Account string `required:"" placeholder:"ACCOUNT" help:"The account whose products they are."`

	DiskReserve byteSize `default:"256MiB" placeholder:"SIZE" help:"Free disk space below which nothing is written. Default: ${default}."`

	File string `arg:"" help:"What to import; - is the standard input."`
}

// Help tells the details.
func (*importCmd) Help() string {
	return `Each line of FILE is the JSON of an upsert, as POST /products takes it, with images given by URL:

    {"externalId":"shirt-42","title":"Red tee","images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}

Blank lines are ignored. A line that is refused is reported with its number on the standard error, and the import goes on; so is one longer than 1 MiB. At the end the standard output tells how many were created, edited, unchanged and refused. A file may be imported again: what its lines say holds once more, whatever was edited or deleted meanwhile. Products that are as their lines say count as unchanged, though a line's validForDays starts their lifetime anew.

The store must not be in use by a server. On SIGINT or SIGTERM the import stops between two lines and says how far it came; what it counts is durable.

Exit status: 0 if every line was imported, 2 if some were refused, 1 if it failed or was stopped.`
}

// Run imports a file.
func (c *importCmd) Run(p *process) (err error) {
	in := p.stdin
	size := int64(-1)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	engine := pebble.Options{CacheSize: defaultCache, DiskReserve: int64(c.DiskReserve), Logger: log}
	cat, err := openStore(context.WithoutCancel(p.ctx), c.Data, engine, catalog.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	if err := checkAccount(cat, c.Account); err != nil {
		return err
	}
	m := &importer{catalog: cat, account: c.Account, stderr: p.stderr, progress: newProgress(p.stderr, size)}
	failure := m.run(p.ctx, in)
	m.progress.clear()
	fmt.Fprintf(p.stdout, "created %d, edited %d, unchanged %d, refused %d\n",
		m.outcomes[catalog.Created], m.outcomes[catalog.Edited], m.outcomes[catalog.Unchanged], m.refused)
	switch {
	case failure != nil && m.done == 0:
		return fmt.Errorf("the import stopped before the first line was imported: %w", failure)
	case failure != nil:
		return fmt.Errorf("the import stopped after line %d: %w", m.done, failure)
	case m.refused > 0:
		return statusError(exitRefused)
	}
	return nil
}

// checkAccount refuses at once what would refuse every line.
func checkAccount(cat *catalog.Catalog, account string) error {
	var invalid *catalog.ValidationError
	if err := cat.Validate(account, "", catalog.Patch{}); !errors.As(err, &invalid) {
		return err
	}
	for _, f := range invalid.Fields {
		if f.Path == "account" {
			return fmt.Errorf("--account: %s", f.Message)
		}
	}
	return nil
}

// importer imports lines in batches.
type importer struct {
	catalog  *catalog.Catalog
	account  string
	stderr   io.Writer
	progress *progress

	batch    []entry
	bytes    int
	outcomes [catalog.Used + 1]int // counts by catalog.Outcome
	refused  int
	done     int // the last line that was dealt with
}

// entry is a line that is to be imported, or was refused already.
type entry struct {
	line    int
	upsert  *productjson.Upsert // nil if it could not be read
	refusal error
}

// run imports the lines of in. It returns nil at their end, and the reason if
// it stopped before that. What was read when ctx is done is imported.
func (m *importer) run(ctx context.Context, in io.Reader) error {
	for l, err := range linesUntilDone(ctx, in) {
		if err == nil {
			m.add(l)
		}
		switch {
		case ctx.Err() != nil:
			return errors.Join(m.commit(ctx), errors.New("interrupted"))
		case err != nil:
			return errors.Join(m.commit(ctx), fmt.Errorf("reading: %w", err))
		}
		if len(m.batch) >= batchLines || m.bytes >= batchBytes {
			if err := m.commit(ctx); err != nil {
				return err
			}
		}
	}
	return m.commit(ctx)
}

// linesUntilDone is readLines of in, ended by an error when ctx is done. A read
// of the standard input can't be cut short: the goroutine that is in it then
// ends with the process.
func linesUntilDone(ctx context.Context, in io.Reader) iter.Seq2[line, error] {
	type step struct {
		line line
		err  error
	}
	return func(yield func(line, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		steps := make(chan step)
		go func() {
			defer close(steps)
			for l, err := range readLines(in, maxLine) {
				select {
				case steps <- step{l, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		for {
			select {
			case s, ok := <-steps:
				if !ok || !yield(s.line, s.err) {
					return
				}
			case <-ctx.Done():
				yield(line{}, ctx.Err())
				return
			}
		}
	}
}

// add puts a line into the batch.
func (m *importer) add(l line) {
	m.progress.add(l.size)
	m.bytes += len(l.text)
	e := entry{line: l.number}
	if l.tooLong() {
		e.refusal = fmt.Errorf("longer than %d bytes", maxLine)
	} else {
		e.upsert, e.refusal = productjson.Decode(l.text, productjson.Options{
			Limits:            m.catalog.Limits(),
			RequireExternalID: true,
		})
	}
	if e.refusal == nil {
		e.refusal = e.upsert.Validate(m.catalog, m.account)
	}
	m.batch = append(m.batch, e)
}

// commit imports the batch and reports on its lines in their order. An error
// is not about the lines: the import can't go on.
func (m *importer) commit(ctx context.Context) error {
	batch := m.batch
	m.batch, m.bytes = nil, 0
	var items []catalog.UpsertItem
	for _, e := range batch {
		if e.refusal == nil {
			id, _ := e.upsert.ExternalID.Get()
			items = append(items, catalog.UpsertItem{ExternalID: id, Patch: e.upsert.Patch})
		}
	}
	results := m.catalog.UpsertMany(context.WithoutCancel(ctx), m.account, items)
	var failure error
	for _, e := range batch {
		if e.refusal == nil {
			r := results[0]
			results = results[1:]
			switch invalid := (*catalog.ValidationError)(nil); {
			case r.Err == nil:
				m.outcomes[r.Outcome]++
			case errors.As(r.Err, &invalid):
				e.refusal = e.upsert.Rewrite(r.Err)
			case failure == nil:
				failure = fmt.Errorf("line %d: %w", e.line, r.Err)
			}
		}
		if e.refusal != nil {
			m.report(e)
		}
		if failure == nil {
			m.done = e.line
		}
	}
	return failure
}

// report tells why a line was refused.
func (m *importer) report(e entry) {
	m.refused++
	reasons := []string{e.refusal.Error()}
	if invalid := (*catalog.ValidationError)(nil); errors.As(e.refusal, &invalid) {
		reasons = nil
		for _, f := range invalid.Fields {
			reason := fmt.Sprintf("%s: %s", f.Code, f.Message)
			if f.Path != "" {
				reason = f.Path + ": " + reason
			}
			reasons = append(reasons, reason)
		}
	}
	name := ""
	if e.upsert != nil {
		if id, ok := e.upsert.ExternalID.Get(); ok {
			name = " (" + strconv.Quote(id) + ")"
		}
	}
	m.progress.clear()
	fmt.Fprintf(m.stderr, "line %d%s: %s\n", e.line, name, strings.Map(printable, strings.Join(reasons, "; ")))
}

// printable keeps what a line quotes from breaking the report, or driving the
// terminal.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}
