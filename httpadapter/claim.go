package httpadapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/catalog"
)

// The errors of a Budget, for errors.Is.
var (
	// ErrOverloaded says that all requests together hold as much as they may: 503.
	ErrOverloaded = errors.New("httpadapter: the server has too much to do")
	// ErrRateLimited says that the requests of the account hold as much as they may, or
	// that it makes more of them than BudgetOptions.AccountRate allows: 429.
	ErrRateLimited = errors.New("httpadapter: the account takes as much as it may")
)

// Is reports whether a is how target is told.
func (a *answer) Is(target error) bool {
	return target == ErrOverloaded && a.code == errOverloaded.code || target == ErrRateLimited && a.code == errShare.code
}

// Claim is what a request of a host's own handler holds of a [Budget], which the
// requests of [Handler] hold by themselves. One goroutine uses it at a time.
type Claim struct{ usage *usage }

// Claim counts a request of the account in; beyond BudgetOptions.AccountRequests
// and AccountRate it fails with [ErrRateLimited]. The claim must be closed.
func (b *Budget) Claim(account string) (*Claim, error) {
	if err := b.spend(account); err != nil {
		return nil, err
	}
	u, err := b.open(account)
	if err != nil {
		return nil, err
	}
	return &Claim{u}, nil
}

// Await takes the first memory bytes of a claim, and before them its turn among
// the uploads if it is one. It waits for both as BudgetOptions.Wait says, then
// fails with [ErrOverloaded] or [ErrRateLimited], or with ctx's error if that has
// ended.
func (c *Claim) Await(ctx context.Context, upload bool, memory int64) error {
	kind := kindJSON
	if upload {
		kind = kindMultipart
	}
	return c.usage.admit(ctx, kind, memory)
}

// Grow takes more memory, without waiting, or fails as Await does.
func (c *Claim) Grow(memory int64) error { return refusal(c.usage.memory.Grow(memory)) }

// Close gives everything back. Calling it again does nothing.
func (c *Claim) Close() { c.usage.close() }

// SpoolFile is a temporary file whose bytes count in a [Budget] until it is
// closed. It is written by one goroutine; what it holds may be read by several.
type SpoolFile struct {
	spool *spool
	usage *usage
}

var _ io.WriteCloser = (*SpoolFile)(nil)

// NewSpoolFile returns a file of the account in the folder, made with the first
// byte. ready is asked before that, and its error returned: a disk that is full
// should not be filled further. The file has no name, on most systems, and so
// leaves nothing behind even if the process dies.
func (b *Budget) NewSpoolFile(account, dir string, ready func() error) *SpoolFile {
	u := &usage{budget: b, spool: b.spool.Open(account)}
	return &SpoolFile{newSpool(dir, ready, u), u}
}

// Write implements io.Writer. It fails with [ErrOverloaded] or [ErrRateLimited]
// where the budget is used up, and with catalog.ErrUnavailable where the disk is.
func (f *SpoolFile) Write(p []byte) (int, error) {
	n, err := f.spool.Write(p)
	if err != nil && (isOutOfSpace(err) || errors.Is(err, errSpoolReserve)) {
		err = fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
	}
	return n, err
}

// Size returns how many bytes were written.
func (f *SpoolFile) Size() int64 { return f.spool.size }

// Reader returns a reader of the file as it was when Reader was called, and
// longer where it is written further. It may be used by several goroutines, and
// fails with os.ErrClosed once the file is closed.
func (f *SpoolFile) Reader() io.ReaderAt {
	if f.spool.file == nil {
		return bytes.NewReader(nil)
	}
	return f.spool.file
}

// Close removes the file and gives back its room. Calling it again does nothing.
func (f *SpoolFile) Close() error {
	err := f.spool.Close()
	f.usage.spool.Close()
	return err
}
