package httpadapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
)

// linesType is the media type of many JSON objects, one a line.
const linesType = "application/x-ndjson; charset=utf-8"

const (
	// bulkAhead is how many bytes of lines are read ahead of those that have been
	// answered.
	bulkAhead = productimport.MaxEntryBytes
	// bulkMemory is what a bulk upsert is charged for, however long it is: the lines
	// read ahead, those of a batch as text and as what was made of them, and results
	// that wait to be sent.
	bulkMemory = bulkAhead + 3*productimport.MaxEntryBytes + answerAhead
)

// errDraining ends a bulk upsert of a server that stops.
var errDraining = &answer{status: http.StatusServiceUnavailable, code: errUnavailable.code,
	message: "the server is stopping: send the lines that have no answer again"}

var errLinesType = &answer{status: http.StatusUnsupportedMediaType, code: errMediaType.code,
	message: "the body must be application/x-ndjson, in UTF-8 and without a content encoding"}

// upsertLines is POST /bulk: an upsert a line, of any number, and a line of the
// answer for each that says what became of it, and one more in the end.
//
// Three things go on at once, so that no end of the connection waits for the other:
// a client may send everything before it reads anything, or read what became of a
// line before it sends the next.
//
//   - A goroutine reads lines from the body, no further ahead than bulkAhead.
//   - This one upserts what has been read, in batches: what there is when the batch
//     before is done, so a line alone does not wait for others.
//   - The answer's own sends the results, which wait in the spool until the client
//     reads.
func (h *Handler) upsertLines(w http.ResponseWriter, r *request) error {
	if !isLines(r.Header) {
		return errLinesType
	}
	q := h.readQuery(r.URL.RawQuery, true)
	if len(q.faults) > 0 {
		return &catalog.ValidationError{Fields: q.faults}
	}
	if err := r.usage.admit(r.Context(), kindMultipart, bulkMemory); err != nil {
		return err
	}
	body := r.Body
	if body == nil {
		body = http.NoBody
	}
	in, err := productimport.NewLineReader(body)
	switch {
	case errors.Is(err, productimport.ErrFormat):
		return begunError{invalidField("", err.Error())}
	case err != nil:
		return begunError{bodyError(err, "")}
	}
	if early, ok := w.(*earlyWriter); ok {
		early.endsWithAnswer = false
	}
	waiting, stop := h.untilDrained(r.Context())
	defer stop()
	b := &bulk{h: h, r: r, waiting: waiting, judged: h.options.Budget.clock.Elapsed(), lines: readLines(r.Context(), in), answer: h.answerLines(w, r)}
	b.into = productimport.New(h.catalog, r.account, productimport.Options{Strict: q.strict, Report: b.report, Failed: b.report})
	failure := b.run()
	sent := b.answer.end(b.appendSummary(nil, failure))
	whole := b.lines.end(w)
	switch {
	case sent != nil || r.Context().Err() != nil:
		h.options.Logger.DebugContext(r.Context(), "httpadapter: the client left", "method", r.Method, "request_id", RequestID(w, r.Request), "error", errors.Join(sent, failure))
	case failure != nil:
		h.logBulk(w, r, failure)
	}
	if !whole && r.ProtoMajor < 2 {
		// What the client may still send must not be taken for a request.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// isLines reports whether the header announces JSON lines.
func isLines(header http.Header) bool {
	value, ok := plainContentType(header)
	if !ok {
		return false
	}
	media, params, err := mime.ParseMediaType(value)
	switch media {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		charset := params["charset"]
		return err == nil && (charset == "" || strings.EqualFold(charset, "utf-8"))
	}
	return false
}

// bulk is a bulk upsert at work.
type bulk struct {
	h *Handler
	r *request
	// waiting is the request's context until the server stops: for what no line is lost
	// by.
	waiting context.Context
	lines   *lineQueue
	into    *productimport.Importer
	answer  *lineAnswer

	count    int
	outcomes [catalog.Used + 1]int
	refused  int
	results  []byte // that the answer is to be given, in one piece for many lines
	failed   error  // of sending
	// judged is when the key was found valid last, as the clock's Elapsed.
	judged time.Duration
}

// run upserts the lines. It returns nil at the end of the body, and otherwise why it
// stopped between two lines.
func (b *bulk) run() error {
	ctx := b.r.Context()
	for {
		e, err := b.lines.next(b.waiting, b.flush)
		switch {
		case err == io.EOF:
			return b.flush()
		case context.Cause(b.waiting) == errDraining:
			err = errDraining
		case err != nil:
			err = bodyError(err, "")
		default:
			if err = b.judge(); err == nil {
				err = b.takeTurn()
			}
		}
		if err != nil {
			if failure := b.flush(); failure != nil {
				return failure
			}
			return err
		}
		b.count++
		err = b.into.Add(ctx, e)
		b.send()
		if err != nil {
			return err
		}
		if b.failed != nil {
			return b.flush()
		}
	}
}

// flush upserts what was read, and leaves nothing that is being written.
func (b *bulk) flush() error {
	err := b.into.Flush(b.r.Context())
	b.send()
	if err == nil {
		err = b.failed
	}
	return err
}

// send gives the results to the answer.
func (b *bulk) send() {
	if len(b.results) == 0 {
		return
	}
	if err := b.answer.add(b.results); err != nil && b.failed == nil {
		b.failed = err
	}
	b.results = b.results[:0]
}

// judgeEvery is how often the key of a bulk upsert is judged anew: it may go on for
// ever, and its key be taken back meanwhile.
const judgeEvery = 5 * time.Second

func (b *bulk) judge() error {
	now := b.h.options.Budget.clock.Elapsed()
	if now-b.judged < judgeEvery {
		return nil
	}
	b.judged = now
	account, err := b.h.authenticate(b.r.Request)
	if err == nil && account != b.r.account {
		err = ErrInvalidKey
	}
	return err
}

// takeTurn waits for the token of a line, where the rate of the account is bounded.
func (b *bulk) takeTurn() error {
	for {
		err := b.h.options.Budget.spendSpare(b.r.account)
		limited := (*rateError)(nil)
		if !errors.As(err, &limited) {
			return err
		}
		if err := b.flush(); err != nil {
			return err
		}
		if err := b.h.options.Budget.sleep(b.waiting, limited.wait); err != nil {
			if cause := context.Cause(b.waiting); cause == errDraining {
				return cause
			}
			return err
		}
	}
}

// report answers for a line, which makes room for another.
func (b *bulk) report(r productimport.Result) {
	b.lines.release(int64(len(r.Entry.Text)))
	line := append(b.results, `{"line":`...)
	line = strconv.AppendInt(line, int64(r.Entry.Number), 10)
	line = append(line, `,"externalId":`...)
	if r.ExternalID == "" {
		line = append(line, `null`...)
	} else {
		line = appendString(line, r.ExternalID)
	}
	err := r.Err
	if r.Refused() {
		err = &catalog.ValidationError{Fields: r.Faults}
	}
	if err == nil {
		b.outcomes[r.Outcome]++
		line = append(line, `,"outcome":"`...)
		line = append(line, r.Outcome.String()...)
		line = append(line, '"')
	} else {
		b.refused++
		line = append(line, `,"error":`...)
		line = answerFor(err).appendJSON(line)
	}
	b.results = append(line, '}', '\n')
	if len(b.results) >= answerPiece {
		b.send()
	}
}

// appendSummary appends the last line of the answer.
func (b *bulk) appendSummary(line []byte, failure error) []byte {
	line = fmt.Appendf(line, `{"summary":{"lines":%d,"created":%d,"edited":%d,"unchanged":%d,"refused":%d}`,
		b.count, b.outcomes[catalog.Created], b.outcomes[catalog.Edited], b.outcomes[catalog.Unchanged], b.refused)
	if failure != nil {
		line = append(line, `,"error":`...)
		line = answerFor(failure).appendJSON(line)
	}
	return append(line, '}', '\n')
}

// logBulk logs why a bulk upsert stopped, where that is the server's.
func (h *Handler) logBulk(w http.ResponseWriter, r *request, failure error) {
	a := answerFor(failure)
	recordCode(w, a.code)
	if a.status >= http.StatusInternalServerError {
		h.options.Logger.WarnContext(r.Context(), "httpadapter: a bulk upsert stopped", "request_id", RequestID(w, r.Request), "error", failure)
	}
}

// lineQueue reads the lines of a body ahead.
type lineQueue struct {
	lines chan productimport.Entry
	err   error // why there are no more, once lines is closed
	ahead *semaphore.Weighted
	stop  context.CancelFunc
	ended sync.WaitGroup
	// whole is, when it has ended, whether the body was read to its end.
	whole bool
}

// readLines begins to read. The caller must call end.
func readLines(ctx context.Context, in *productimport.Reader) *lineQueue {
	ctx, stop := context.WithCancel(ctx)
	q := &lineQueue{lines: make(chan productimport.Entry, 256), ahead: semaphore.NewWeighted(bulkAhead), stop: stop}
	q.ended.Go(func() {
		defer close(q.lines)
		for {
			var e productimport.Entry
			if e, q.err = in.Next(); q.err != nil {
				q.whole = q.err == io.EOF
				return
			}
			if q.err = q.ahead.Acquire(ctx, int64(len(e.Text))); q.err == nil {
				select {
				case q.lines <- e:
					continue
				case <-ctx.Done():
					q.err = ctx.Err()
				}
			}
			q.drop(in)
			return
		}
	})
	return q
}

// drop reads what is no longer wanted, until end has its deadline.
func (q *lineQueue) drop(in *productimport.Reader) {
	for {
		if _, err := in.Next(); err != nil {
			q.whole = err == io.EOF
			return
		}
	}
}

// next returns the next line, at the end of the body io.EOF. Where that does not
// stand ready it calls idle first.
func (q *lineQueue) next(ctx context.Context, idle func() error) (productimport.Entry, error) {
	select {
	case e, ok := <-q.lines:
		return q.took(e, ok)
	default:
	}
	if err := idle(); err != nil {
		return productimport.Entry{}, err
	}
	select {
	case e, ok := <-q.lines:
		return q.took(e, ok)
	case <-ctx.Done():
		return productimport.Entry{}, ctx.Err()
	}
}

func (q *lineQueue) took(e productimport.Entry, ok bool) (productimport.Entry, error) {
	if !ok {
		return e, q.err
	}
	return e, nil
}

// release says that lines of so many bytes are dealt with.
func (q *lineQueue) release(n int64) { q.ahead.Release(n) }

// end reads on as [Handler.ReadOn] says if the body was not read to its end, and
// reports whether it was now.
func (q *lineQueue) end(w http.ResponseWriter) (whole bool) {
	q.stop()
	timer := startReadTimer(w)
	q.ended.Wait()
	timer.stop()
	return q.whole
}
