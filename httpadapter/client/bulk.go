package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"
)

// Outcome is what became of a line of a bulk upsert that was not refused.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Edited    Outcome = "edited"
	Unchanged Outcome = "unchanged"
)

// BulkItem is one upsert of many. It can't have uploads.
type BulkItem struct {
	ExternalID string
	Patch      Patch
}

// BulkResult is what became of an item.
type BulkResult struct {
	// Line counts the items from 1.
	Line       int64
	ExternalID string
	Outcome    Outcome // "" if it was refused
	// Err is why it was refused, an *[Error]; nil otherwise.
	Err error
}

// Errors of Bulk beside those of the connection.
var (
	// ErrCutOff says that the answer ended before it was complete: what became of the
	// items after the last result is not known.
	ErrCutOff = errors.New("client: the answer to a bulk upsert was cut off")
	// ErrBulkUpload says that an item has an upload.
	ErrBulkUpload = errors.New("client: an item of a bulk upsert can't have an upload")
)

// Bulk upserts items, any number of them, in their order, and returns a result for
// each, as soon as it is durable. Each item is upserted whole or not at all; all
// together are not. An item that the server refuses has a result with Err, and the
// next ones go on.
//
// What ends Bulk early is the error of the last value, with no result: that the
// server can't go on (an *[Error]), that the answer was cut off, an error of items
// (all before it were sent, and have their results), or the end of ctx. To go on
// later, begin with the item after the last that had a result: sending one again
// does no harm.
//
// items runs in a goroutine of its own, ahead of the results by as much as the
// network and the server buffer, and does not wait for them: it may be a function
// that sends what it has and then awaits its results. The loop over the results ends
// when items has ended: on a break, or an error, its next value is its last.
func (c *Client) Bulk(ctx context.Context, items iter.Seq2[BulkItem, error]) iter.Seq2[BulkResult, error] {
	return func(yield func(BulkResult, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		lines := newLineBody()
		var sending sync.WaitGroup
		var failed error // of items; read when sending has ended
		sending.Go(func() { failed = lines.send(items) })
		defer sending.Wait()
		defer lines.close()
		defer cancel()
		q := &call{method: http.MethodPost, path: "/bulk", header: http.Header{"Content-Type": {"application/x-ndjson"}}, body: lines}
		res, err := c.sendOnce(ctx, q)
		if err != nil {
			yield(BulkResult{}, err)
			return
		}
		defer res.Body.Close()
		whole, goOn := c.readResults(res, yield)
		switch {
		case !goOn:
		case whole != nil:
			yield(BulkResult{}, whole)
		default:
			lines.close()
			if sending.Wait(); failed != nil {
				yield(BulkResult{}, failed)
			}
		}
	}
}

// bulkAnswer is a line of the answer: a result, or the last.
type bulkAnswer struct {
	Line       int64
	ExternalID string
	Outcome    Outcome
	Error      *Error
	Summary    *struct{ Lines int64 }
}

// readResults passes the results on. goOn is false when they are not wanted any
// more; otherwise err says why the answer is not complete.
func (c *Client) readResults(res *http.Response, yield func(BulkResult, error) bool) (err error, goOn bool) {
	in := bufio.NewReaderSize(res.Body, 64<<10)
	for {
		var a bulkAnswer
		if err := readLine(in, &a); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = ErrCutOff
			}
			return err, true
		}
		if a.Error != nil {
			a.Error.Method, a.Error.Path, a.Error.RequestID = http.MethodPost, "/bulk", res.Header.Get("X-Request-ID")
		}
		if a.Summary != nil {
			if a.Error != nil {
				return a.Error, true
			}
			return nil, true
		}
		r := BulkResult{Line: a.Line, ExternalID: a.ExternalID, Outcome: a.Outcome}
		if a.Error != nil {
			r.Err = a.Error
		}
		if !yield(r, nil) {
			return nil, false
		}
	}
}

// bulkAhead is how many bytes of lines wait to be sent.
const bulkAhead = 256 << 10

// lineBody is the body of a bulk upsert: what is written is read at once, as much as
// there is, so that lines neither wait for others nor go out one by one.
type lineBody struct {
	mu      sync.Mutex // guards the fields below
	change  *sync.Cond // of any of them
	waiting []byte
	ended   bool // nothing more is written
	closed  bool // nothing more is read
}

func newLineBody() *lineBody {
	b := new(lineBody)
	b.change = sync.NewCond(&b.mu)
	return b
}

// send writes the lines of items, until they end or are not read any more.
func (b *lineBody) send(items iter.Seq2[BulkItem, error]) error {
	defer b.end()
	n := 0
	for item, err := range items {
		if err != nil {
			return err
		}
		n++
		line, uploads, err := appendPatch(item.ExternalID, &item.Patch)
		if err == nil && len(uploads) > 0 {
			err = ErrBulkUpload
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", n, err)
		}
		if !b.write(append(line, '\n')) {
			return nil
		}
	}
	return nil
}

// write reports whether the line may still be read.
func (b *lineBody) write(line []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && len(b.waiting) > 0 && len(b.waiting)+len(line) > bulkAhead {
		b.change.Wait()
	}
	b.waiting = append(b.waiting, line...)
	b.change.Broadcast()
	return !b.closed
}

func (b *lineBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.change.Broadcast()
}

// Read implements io.Reader.
func (b *lineBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.waiting) == 0 && !b.ended && !b.closed {
		b.change.Wait()
	}
	switch {
	case b.closed:
		return 0, errors.New("client: the request has ended")
	case len(b.waiting) == 0:
		return 0, io.EOF
	}
	n := copy(p, b.waiting)
	b.waiting = b.waiting[:copy(b.waiting, b.waiting[n:])]
	b.change.Broadcast()
	return n, nil
}

// Close implements io.Closer.
func (b *lineBody) Close() error {
	b.close()
	return nil
}

func (b *lineBody) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.change.Broadcast()
}

func (b *lineBody) open() (io.ReadCloser, int64, error) { return b, -1, nil }
