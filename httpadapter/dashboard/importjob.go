package dashboard

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// importState is how far an import is.
type importState int

const (
	importChecking importState = iota // what would become of each entry
	importChecked                     // a person decides
	importWriting
	importWritten
	importStopped // by a person, or with the handler
	importFailed
)

// importJob is an import: a file that waits on the disk of the server, and what
// became of its entries. It lives in a goroutine of its own, Handler.live, which
// alone writes to the file and closes it.
type importJob struct {
	id, account string
	name        string // of the file; "" for lines that were pasted
	began       time.Time
	strict      bool
	file        *httpadapter.SpoolFile
	content     io.ReaderAt // of file
	size        int64       // of the input, with which the file begins

	// ctx ends when the job is forgotten or the handler closed.
	ctx    context.Context
	forget context.CancelFunc
	write  chan struct{} // has room for the one answer to the question

	mu    sync.Mutex // guards the fields below; nothing blocks while it is held
	state importState
	// wrote says that the results are those of the import, not of the look ahead.
	wrote   bool
	read    int64 // bytes of the input
	counts  map[catalog.Outcome]int
	results *resultLog
	failure string
	done    productimport.Entry // the last entry that was dealt with
	expires time.Duration       // by Clock.Elapsed, where it is not running
	// phase is the context of what is running, and stop ends it.
	phase context.Context
	stop  context.CancelFunc
}

// running reports whether a state is left by itself.
func (s importState) running() bool { return s == importChecking || s == importWriting }

// over reports whether the import has ended, with nothing left to decide.
func (s importState) over() bool { return !s.running() && s != importChecked }

// begin begins to look ahead or to write. The caller holds mu, or is the only one
// to have the job yet.
func (j *importJob) begin(state importState, results *resultLog) {
	j.phase, j.stop = context.WithCancel(j.ctx)
	j.state, j.wrote = state, state == importWriting
	j.read, j.counts, j.results = 0, make(map[catalog.Outcome]int), results
}

// end notes what came of it.
func (j *importJob) end(state importState, failure string, done productimport.Entry, expires time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stop()
	j.state, j.failure, j.done, j.expires = state, failure, done, expires
}

// note counts what became of an entry, and keeps the result if keep is true: not
// where keeping one has failed before, which may have left a part of it.
func (j *importJob) note(r productimport.Result, keep bool) (err error) {
	j.mu.Lock()
	results := j.results
	j.mu.Unlock()
	var added int64
	if keep {
		// Not under the lock: the disk may hang. No other goroutine writes.
		added, err = results.write(r)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if keep && err == nil {
		results.note(added, r.Refused())
	}
	j.read += r.Entry.Size
	if !r.Refused() {
		j.counts[r.Outcome]++
	}
	return err
}

// answer is what a person does with an import: it reports whether that could be
// done.
func (j *importJob) answer(what string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.ctx.Err() != nil:
	case what == "write" && j.state == importChecked:
		// Here and not by the goroutine of the job: so it is asked for once, and may
		// be stopped from now on.
		j.begin(importWriting, j.results.behind())
		j.write <- struct{}{}
		return true
	case what == "stop" && j.state.running():
		j.stop()
		return true
	case what == "forget" && !j.state.running():
		j.forget()
		return true
	}
	return false
}

// errImportStopped ends an import that a person has stopped.
var errImportStopped = errors.New("dashboard: the import was stopped")

// runImport deals with every entry of the input of a job that has begun.
func (h *Handler) runImport(j *importJob) (done productimport.Entry, err error) {
	j.mu.Lock()
	ctx, preview := j.phase, !j.wrote
	j.mu.Unlock()
	defer func() {
		if preview && ctx.Err() != nil {
			err = errImportStopped // whatever that did to the reads
		}
	}()
	var failed error
	m := productimport.New(h.catalog, j.account, productimport.Options{
		Strict: j.strict, Preview: preview,
		Report: func(r productimport.Result) {
			if err := j.note(r, failed == nil); failed == nil {
				failed = err
			}
		},
	})
	in, err := productimport.NewReader(io.NewSectionReader(j.content, 0, j.size))
	for n := 0; err == nil; n++ {
		var e productimport.Entry
		switch e, err = in.Next(); {
		case err == io.EOF:
			err = errors.Join(m.Flush(ctx), failed)
			return m.Done(), err
		case err != nil:
		case ctx.Err() != nil:
			err = errImportStopped
		case n == h.options.Imports.Entries:
			err = errTooManyEntries
		default:
			err = errors.Join(m.Add(ctx, e), failed)
		}
	}
	// What was read before counts, as far as the person is concerned.
	err = errors.Join(err, m.Flush(ctx), failed)
	return m.Done(), err
}
