package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
)

// importCmd is shelflife import.
type importCmd struct {
	storeFlags
	Account string `required:"" placeholder:"ACCOUNT" help:"The account whose products they are."`

	Strict      bool     `help:"Refuse upserts with names that are not known, such as misspelt ones, which are ignored otherwise."`
	DryRun      bool     `help:"Say what would become of each upsert, and write nothing."`
	FromLine    int      `default:"1" placeholder:"N" help:"Line at which to begin, to go on where an import has stopped; of an array, elements that begin before it are passed over."`
	MustExist   bool     `help:"Fail where there is no store, rather than make one."`
	DiskReserve byteSize `placeholder:"SIZE" help:"Free disk space below which nothing is written. Default: a tenth of the volume, at least 16MiB or a quarter of it, at most 256MiB."`

	File string `arg:"" help:"What to import; - is the standard input."`
}

// Help returns the details.
func (*importCmd) Help() string {
	return `FILE holds upserts, one JSON object a line or as one JSON array, as POST /products takes them, with images given by URL:

    {"externalId":"shirt-42","title":"Red tee","images":[{"source":{"url":"https://cdn.example/1.jpg"}}]}

Either is read as it comes, in bounded memory, in UTF-8, with or without a byte order mark; blank lines are ignored. An upsert that is refused is reported with its line on the standard error, and the import goes on; so is one longer than 1 MiB. An array ends the import where it is not JSON. A file of another kind is refused as a whole, with one message.

At the end the standard output says how many were created, edited, unchanged and refused. A file may be imported again: what it says holds once more, whatever was edited or deleted meanwhile. Products that are as it says count as unchanged, though a validForDays starts their lifetime anew.

With --dry-run nothing is written, and the folder of the store is left as it is. The standard output has a line for each upsert that would not be refused, which says whether it is new, an edit or unchanged, as the products are now; the standard error has those that would be, and why. Where there is no store, all are new. For a product that an earlier line also names, only the fields are judged.

A store that is missing is made. One in a folder must not be in use by a server, unless that runs with --read-only and this is a dry run; one in a database may. On SIGINT, SIGTERM or SIGHUP the import stops between two upserts. An import that stopped says after which line, and with which --from-line it goes on; what it counts is durable.

What shelflife export has written can be imported into the store that it is from. Elsewhere, entries with uploaded images and one-shots are refused. Either way products that were not listed become so, and lifetimes begin anew: shelflife dump and load are what moves products as they are.

Exit status: 0 if everything was imported, 2 if some upserts were refused, 1 if it failed or was stopped; with --dry-run, what it would be.`
}

// Run imports a file.
func (c *importCmd) Run(p *process) (err error) {
	at, err := c.place()
	if err != nil {
		return err
	}
	if c.FromLine < 1 {
		return fmt.Errorf("--from-line is 1 or more, not %d", c.FromLine)
	}
	// Before the store, which would be made for a file that is none of ours.
	source, err := openInput(p.ctx, func() (io.ReadCloser, error) { return c.open(p.stdin) })
	if err != nil {
		return fmt.Errorf("nothing was imported: %w", err)
	}
	defer source.close()
	source.from = c.FromLine
	if c.DryRun {
		return c.dryRun(p, at, source)
	}
	cat, err := openToFill(p, at, c.DiskReserve, c.MustExist)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	if err := cat.Ready(); errors.Is(err, backend.ErrReadOnly) {
		return fmt.Errorf("nothing was imported: %w", err)
	}
	if err := checkAccount(cat, c.Account); err != nil {
		return err
	}
	m := newImporter(cat, c.Account, c.Strict, p.stderr)
	m.progress = newProgress(p.stderr, "importing", fileSize(c.File))
	failure := m.run(p.ctx, source)
	m.progress.clear()
	_, unsaid := fmt.Fprintf(p.stdout, "created %d, edited %d, unchanged %d, refused %d\n",
		m.outcomes[catalog.Created], m.outcomes[catalog.Edited], m.outcomes[catalog.Unchanged], m.refused)
	switch {
	case failure != nil && m.into.Done().Number == 0:
		return fmt.Errorf("the import stopped before anything was imported: %w", failure)
	case failure != nil:
		done := m.into.Done()
		return fmt.Errorf("the import stopped after %s: %w; --from-line %d goes on behind it", done, failure, lineBehind(done))
	case unsaid != nil:
		return unsaid
	case m.refused > 0:
		return statusError(exitRefused)
	}
	return nil
}

// lineBehind returns the line at which to go on behind an entry: of an array that on
// which it begins, since the next may begin there too.
func lineBehind(e productimport.Entry) int {
	if e.Line > 0 {
		return e.Line
	}
	return e.Number + 1
}

func (c *importCmd) open(stdin io.Reader) (io.ReadCloser, error) {
	if c.File == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(c.File)
}

// fileSize returns how much there is to read of a file, -1 if that is not known.
func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if name == "-" || err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
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

// importBatch is how many bytes of entries are written together.
const importBatch = 16 << 20

// importer imports entries and says what became of them.
type importer struct {
	into     *productimport.Importer
	stderr   io.Writer
	progress *progress

	outcomes map[catalog.Outcome]int
	refused  int
}

func newImporter(cat *catalog.Catalog, account string, strict bool, stderr io.Writer) *importer {
	m := &importer{stderr: stderr, progress: &progress{}, outcomes: make(map[catalog.Outcome]int)}
	m.into = productimport.New(cat, account, productimport.Options{Strict: strict, BatchBytes: importBatch, Report: m.report})
	return m
}

// run imports what in holds. It returns nil at its end, and the reason if it
// stopped before that; what was read before is imported then, too.
func (m *importer) run(ctx context.Context, in *input) error {
	// The end of ctx stops it between two entries: the batch is dealt with whole.
	whole := context.WithoutCancel(ctx)
	for {
		switch e, err := in.wanted(ctx); {
		case err == io.EOF:
			return m.into.Flush(whole)
		case err == errInterrupted:
			return alsoFailed(err, m.into.Flush(whole))
		case err != nil:
			return alsoFailed(fmt.Errorf("reading: %w", err), m.into.Flush(whole))
		default:
			m.progress.add(e.Size)
			if err := m.into.Add(whole, e); err != nil {
				return err
			}
		}
	}
}

// alsoFailed returns err, and in the same line what failed besides, if anything.
func alsoFailed(err, besides error) error {
	if besides == nil {
		return err
	}
	return fmt.Errorf("%w; and %w", err, besides)
}

// report counts an entry, and prints why it was refused if it was.
func (m *importer) report(r productimport.Result) {
	if !r.Refused() {
		m.outcomes[r.Outcome]++
		return
	}
	m.refused++
	var reasons []string
	for _, f := range r.Faults {
		reason := fmt.Sprintf("%s: %s", f.Code, f.Message)
		if f.Path != "" {
			reason = f.Path + ": " + reason
		}
		reasons = append(reasons, reason)
	}
	m.progress.clear()
	fmt.Fprintf(m.stderr, "%s: %s\n", entryName(r), visible(strings.Join(reasons, "; ")))
}

// entryName is where an entry is, and the ID that it names, if any.
func entryName(r productimport.Result) string {
	if r.ExternalID == "" {
		return r.Entry.String()
	}
	return fmt.Sprintf("%s (%s)", r.Entry, strconv.Quote(r.ExternalID))
}
