package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// The defaults of [ImportOptions].
const (
	DefaultImports        = 16
	DefaultAccountImports = 4
	DefaultImportEntries  = 200_000
	DefaultKeepImports    = time.Hour
)

// importsAtOnce is how many imports are worked on at once; further ones wait. Each
// holds a batch of some MiB, and keeps the store busy.
const importsAtOnce = 2

// ImportOptions bound what is kept of imports: the file of each, and what became
// of its entries. They are in a temporary file, whose bytes count in
// Options.Budget as uploads that wait; the file itself is as large as
// Options.MaxRequestBytes, and the results may be that again, once for the look
// ahead and once for the import. The zero value means the defaults. A negative
// number is an error of New.
type ImportOptions struct {
	// Jobs is how many imports are kept at once, of all accounts. For a new one the
	// oldest that is over is forgotten; where none is, it is refused with 503.
	// Default: DefaultImports.
	Jobs int
	// AccountJobs is how many of them are of one account. For a new one the oldest
	// that is not at work is forgotten; where all are, it is refused with 429.
	// Default: DefaultAccountImports.
	AccountJobs int
	// Entries is how many upserts an import may have. One that has more is refused
	// as a whole. Default: DefaultImportEntries.
	Entries int
	// Keep is how long an import is kept when it waits for an answer, or is over.
	// Default: DefaultKeepImports.
	Keep time.Duration
}

// withDefaults returns o with its defaults, or says which option is wrong.
func (o ImportOptions) withDefaults() (ImportOptions, error) {
	for _, option := range []struct {
		name  string
		value int64
	}{{"Jobs", int64(o.Jobs)}, {"AccountJobs", int64(o.AccountJobs)}, {"Entries", int64(o.Entries)}, {"Keep", int64(o.Keep)}} {
		if option.value < 0 {
			return o, fmt.Errorf("dashboard: Options.Imports.%s is negative", option.name)
		}
	}
	if o.Jobs == 0 {
		o.Jobs = DefaultImports
	}
	if o.AccountJobs == 0 {
		o.AccountJobs = DefaultAccountImports
	}
	if o.Entries == 0 {
		o.Entries = DefaultImportEntries
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeepImports
	}
	return o, nil
}

// imports are the imports of a handler.
type imports struct {
	ctx   context.Context // ends with the handler
	close context.CancelFunc
	turns chan struct{} // has room for importsAtOnce

	mu sync.Mutex // guards the fields below; that of a job may be taken under it
	// lives counts the jobs whose files are not closed yet.
	lives  sync.WaitGroup
	closed bool
	jobs   []*importJob // the eldest first
}

func newImports() *imports {
	ctx, cancel := context.WithCancel(context.Background())
	return &imports{ctx: ctx, close: cancel, turns: make(chan struct{}, importsAtOnce)}
}

// Close stops the imports and forgets them: what was written of them stays
// written. Imports are refused from now on, and nothing else is. Call it when the
// server has shut down and before the catalog is closed. Calling it again does
// nothing.
func (h *Handler) Close() error {
	h.imports.mu.Lock()
	h.imports.closed = true
	h.imports.mu.Unlock()
	h.imports.close()
	h.imports.lives.Wait()
	return nil
}

var (
	errNoImport       = &failure{http.StatusNotFound, "There is no such import", "Imports are forgotten after a while, and when the server starts anew. What was written is there all the same."}
	errManyImports    = &failure{http.StatusTooManyRequests, "Too many imports at once", "Nothing was imported: wait until one of those that are at work has ended."}
	errImportsFull    = &failure{http.StatusServiceUnavailable, "Too many imports at once", "Nothing was imported: the server has as many imports at work as it takes. Try again in a while."}
	errTooManyEntries = errors.New("dashboard: an import has more entries than it may")
	errTooManyResults = errors.New("dashboard: more is wrong with an import than is kept")
)

// addImport takes in a job and lets it live. Where there is no room for it, the file is
// the caller's still.
func (h *Handler) addImport(j *importJob) error {
	all := h.imports
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		return errUnavailable
	}
	of := func(i *importJob) bool { return i.account == j.account }
	count := 0
	for _, i := range all.jobs {
		if of(i) {
			count++
		}
	}
	if count >= h.options.Imports.AccountJobs && !all.drop(func(i *importJob) bool { return of(i) && !i.stateNow().running() }) {
		return errManyImports
	}
	if len(all.jobs) >= h.options.Imports.Jobs && !all.drop(func(i *importJob) bool { return i.stateNow().over() }) {
		return errImportsFull
	}
	j.id, j.write = rand.Text(), make(chan struct{}, 1)
	j.ctx, j.forget = context.WithCancel(all.ctx)
	j.content, j.size = j.file.Reader(), j.file.Size()
	j.begin(importChecking, newResultLog(j.file, j.content, j.size, h.options.MaxRequestBytes))
	all.jobs = append(all.jobs, j)
	all.lives.Go(func() { h.live(j) })
	return nil
}

// drop forgets the eldest job that may go, and reports whether there is one. The
// caller holds mu.
func (all *imports) drop(mayGo func(*importJob) bool) bool {
	n := slices.IndexFunc(all.jobs, mayGo)
	if n < 0 {
		return false
	}
	all.jobs[n].forget()
	all.jobs = slices.Delete(all.jobs, n, n+1)
	return true
}

func (j *importJob) stateNow() importState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

// importsOf returns the jobs of an account, the latest first.
func (h *Handler) importsOf(account string) (jobs []*importJob) {
	h.imports.mu.Lock()
	defer h.imports.mu.Unlock()
	for _, j := range slices.Backward(h.imports.jobs) {
		if j.account == account && !j.gone(h.clock.Elapsed()) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// gone reports whether a job is forgotten, or about to be.
func (j *importJob) gone(now time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ctx.Err() != nil || !j.state.running() && now >= j.expires
}

// importOf returns a job of the account.
func (h *Handler) importOf(account, id string) (*importJob, error) {
	for _, j := range h.importsOf(account) {
		if j.id == id {
			return j, nil
		}
	}
	return nil, errNoImport
}

// live is the life of a job: it looks ahead, waits for the answer, writes, and
// waits until it is forgotten.
func (h *Handler) live(j *importJob) {
	defer func() {
		h.imports.mu.Lock()
		h.imports.jobs = slices.DeleteFunc(h.imports.jobs, func(i *importJob) bool { return i == j })
		h.imports.mu.Unlock()
		j.forget()
		if err := j.file.Close(); err != nil {
			h.log.Error("dashboard: closing the file of an import", "error", err)
		}
	}()
	h.work(j)
	for h.awaitAnswer(j) {
		h.work(j)
	}
}

// awaitAnswer reports whether a job is to be written; if not, it is forgotten.
func (h *Handler) awaitAnswer(j *importJob) bool {
	timer := h.clock.NewTimer(h.options.Imports.Keep)
	defer timer.Stop()
	select {
	case <-j.write:
		return true
	case <-timer.C():
	case <-j.ctx.Done():
	}
	// An answer that came at the last moment was accepted, and holds.
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.running() && j.ctx.Err() == nil {
		return true
	}
	j.forget()
	return false
}

// work runs a job when it is its turn, and notes how that ended.
func (h *Handler) work(j *importJob) {
	j.mu.Lock()
	phase, wrote := j.phase, j.wrote
	j.mu.Unlock()
	var done productimport.Entry
	err := errImportStopped
	select {
	case h.imports.turns <- struct{}{}:
		done, err = h.runImport(j)
		<-h.imports.turns
	case <-phase.Done():
	}
	state, failure := importChecked, ""
	switch {
	case err == nil && wrote:
		state = importWritten
	case err == nil:
	case errors.Is(err, errImportStopped):
		state = importStopped
	default:
		state, failure = importFailed, h.importFailure(err)
	}
	j.end(state, failure, done, h.clock.Elapsed()+h.options.Imports.Keep)
}

// importFailure says why an import could not go on.
func (h *Handler) importFailure(err error) string {
	switch {
	case errors.Is(err, productimport.ErrFormat):
		return sentence(err.Error())
	case errors.Is(err, errTooManyEntries):
		return fmt.Sprintf("It has more than %s entries: split it, or import it with the command shelflife import.", grouped(h.options.Imports.Entries))
	case errors.Is(err, errTooManyResults):
		return "More is wrong with it than is kept here. Mend what is shown, and try again."
	case errors.Is(err, httpadapter.ErrOverloaded), errors.Is(err, httpadapter.ErrRateLimited):
		return "The server has no room for its results at the moment. Try again in a while."
	case errors.Is(err, catalog.ErrUnknownOutcome):
		h.log.Warn("dashboard: import failed", "error", err)
		return "The store did not answer, and some of it may have been written besides what is counted here. Import it again: what is there already counts as unchanged."
	case errors.Is(err, catalog.ErrUnavailable), errors.Is(err, catalog.ErrClosed):
		h.log.Warn("dashboard: import failed", "error", err)
		return "The store can't do that now. Try again in a while."
	}
	h.log.Error("dashboard: import failed", "error", err)
	return "The fault is the server's, and its log says what happened."
}
