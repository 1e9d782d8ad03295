package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/shelflife-db/shelflife/httpadapter/client"
)

// errFeed says that the feed is not what it should be: trying again is of no use.
var errFeed = errors.New("the feed")

// columns are those of the feed, in any order; others are metadata.
var columns = []string{"sku", "name", "text", "images", "days"}

// row is a row of the feed; the first behind the header has the number 1.
type row struct {
	number int
	sku    string
}

// feed is an open feed. Its items are taken by one goroutine, and its rows, as their
// results come, by another.
type feed struct {
	file   *os.File
	rows   *csv.Reader
	header []string
	number int

	mu   sync.Mutex // guards seen
	seen []seenRow
}

type seenRow struct {
	row
	faulty error // why it was not sent
}

// openFeed opens a feed behind a place, which must be one of it.
func openFeed(path string, p place) (*feed, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFeed, err)
	}
	f := &feed{file: file, rows: csv.NewReader(file)}
	if err := f.skip(p); err != nil {
		f.close()
		return nil, fmt.Errorf("%w: %w", errFeed, err)
	}
	return f, nil
}

func (f *feed) skip(p place) (err error) {
	if f.header, err = f.rows.Read(); err != nil {
		return err
	}
	for _, name := range []string{"sku", "images"} {
		if !slices.Contains(f.header, name) {
			return fmt.Errorf("it has no column %q", name)
		}
	}
	for f.number < p.Row {
		fields, err := f.rows.Read()
		if err != nil {
			return err
		}
		if f.number++; f.number == p.Row && f.named(fields)["sku"] != p.SKU {
			return fmt.Errorf("it was changed since row %d was imported: remove %s to begin anew", p.Row, p.path)
		}
	}
	return nil
}

func (f *feed) close() { _ = f.file.Close() } // it is only read

func (f *feed) named(fields []string) map[string]string {
	named := map[string]string{}
	for i, name := range f.header {
		named[name] = fields[i]
	}
	return named
}

// items yields the products of the rows that are left. Those that make none are noted
// and left out.
func (f *feed) items(yield func(client.BulkItem, error) bool) {
	for {
		fields, err := f.rows.Read()
		switch {
		case err == io.EOF:
			return
		case err != nil:
			yield(client.BulkItem{}, fmt.Errorf("%w: %w", errFeed, err))
			return
		}
		f.number++
		values := f.named(fields)
		p, faulty := patchOf(values)
		f.mu.Lock()
		f.seen = append(f.seen, seenRow{row{f.number, values["sku"]}, faulty})
		f.mu.Unlock()
		if faulty == nil && !yield(client.BulkItem{ExternalID: values["sku"], Patch: p}, nil) {
			return
		}
	}
}

// next returns the next row that items has seen, and why it was not sent, if so.
func (f *feed) next() (row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.seen[0]
	f.seen = f.seen[1:]
	return first.row, first.faulty
}

// more reports whether items has seen rows that next did not return.
func (f *feed) more() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen) > 0
}

// patchOf makes a product of the values of a row. A price is a number in the
// metadata, other columns are texts there.
func patchOf(values map[string]string) (p client.Patch, err error) {
	p.Title, p.Description = client.Set(values["name"]), client.Set(values["text"])
	var images []client.NewImage
	for _, url := range strings.Fields(values["images"]) {
		images = append(images, client.NewImage{URL: url})
	}
	if images != nil {
		p.Images = client.Set(images)
	}
	switch days := values["days"]; days {
	case "":
	case "forever":
		p.ValidForDays = client.Null[int]()
	default:
		n, err := strconv.Atoi(days)
		if err != nil {
			return p, fmt.Errorf("days: %q is no number", days)
		}
		p.ValidForDays = client.Set(n)
	}
	metadata := map[string]any{}
	for name, value := range values {
		if slices.Contains(columns, name) || value == "" {
			continue
		}
		metadata[name] = value
		if name == "price" {
			if !isNumber(value) {
				return p, fmt.Errorf("price: %q is no number", value)
			}
			metadata[name] = json.Number(value) // 19.90 stays 19.90
		}
	}
	text, err := json.Marshal(metadata) // names in order: what is unchanged stays so
	p.Metadata = client.Set(json.RawMessage(text))
	return p, err
}

func isNumber(text string) bool {
	var n json.Number
	return json.Unmarshal([]byte(text), &n) == nil && text[0] != '"'
}
