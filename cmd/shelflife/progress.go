package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on a terminal, and nothing where there is none.
type progress struct {
	bar *progressbar.ProgressBar // nil where w is no terminal
}

// newProgress returns a bar on w that says what is being done and is full after
// size bytes; a negative size means that the end is not known.
func newProgress(w io.Writer, what string, size int64) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0),
	)}
}

// add moves the bar on by n bytes. A terminal that can't be written to is no
// reason to stop.
func (p *progress) add(n int64) {
	if p.bar != nil {
		_ = p.bar.Add64(n)
	}
}

// clear takes the bar away until it moves on.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
