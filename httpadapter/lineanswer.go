package httpadapter

import (
	"net/http"
	"sync"
)

// answerAhead is how many bytes of results wait in memory, and how many are sent at
// once.
const (
	answerAhead = 256 << 10
	answerPiece = 32 << 10
)

// lineAnswer sends an answer whose client may not read yet: what it does not take
// waits in memory, then in a file of the spool. The order is kept, since nothing
// goes into memory again before the file has been sent.
//
// Where the connection can't be written to before the body was read, which a
// middleware may keep it from, all waits until the end.
type lineAnswer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	newFile func() *SpoolFile
	late    bool // nothing is sent before the end
	sending sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	change *sync.Cond // of any of them
	memory []byte
	file   *SpoolFile // nil if nothing waits in it
	sent   int64      // bytes of file
	ended  bool
	err    error // why nothing is sent any more
}

// answerLines begins the answer of 200, whose header is sent with the first line. The
// caller must call end.
func (h *Handler) answerLines(w http.ResponseWriter, r *request) *lineAnswer {
	a := &lineAnswer{w: w, control: http.NewResponseController(w)}
	a.change = sync.NewCond(&a.mu)
	a.newFile = func() *SpoolFile {
		return h.options.Budget.NewSpoolFile(r.account, h.options.SpoolDir, h.catalog.Ready)
	}
	w.Header().Set("Content-Type", linesType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold back what is to go out early
	a.late = a.control.EnableFullDuplex() != nil
	if !a.late {
		a.sending.Go(a.send)
	}
	return a
}

// add adds lines. Where the spool is used up it waits for the client to read. An
// error says that no more will be sent.
func (a *lineAnswer) add(lines []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.change.Broadcast()
	for a.err == nil {
		// A line that is longer than all that may wait waits alone: there must be
		// something to be sent whenever this waits, or nothing ends the wait.
		if a.file == nil && (len(a.memory) == 0 || len(a.memory)+len(lines) <= answerAhead) {
			a.memory = append(a.memory, lines...)
			return nil
		}
		if a.file == nil {
			a.file, a.sent = a.newFile(), 0
		}
		size := a.file.Size()
		if _, err := a.file.Write(lines); err == nil {
			return nil
		} else if a.late || a.file.Size() != size {
			// What was written in part can't be sent.
			a.err = err
			break
		}
		if size == 0 {
			a.drop()
		}
		a.change.Broadcast()
		a.change.Wait()
	}
	return a.err
}

// drop gives up the file.
func (a *lineAnswer) drop() {
	_ = a.file.Close() // its room is given back all the same
	a.file = nil
}

// end adds the last lines, and returns when all were sent, or an error.
func (a *lineAnswer) end(lines []byte) error {
	_ = a.add(lines) // a.err
	a.mu.Lock()
	a.ended = true
	a.change.Broadcast()
	a.mu.Unlock()
	if a.late {
		a.send()
	}
	a.sending.Wait()
	if a.file != nil {
		a.drop()
	}
	return a.err
}

// send sends what there is until the end.
func (a *lineAnswer) send() {
	piece := make([]byte, answerPiece)
	for {
		n, more, ok := a.next(piece)
		if !ok {
			return
		}
		_, err := a.w.Write(piece[:n])
		if err == nil && !more {
			err = a.control.Flush()
		}
		if err != nil {
			a.mu.Lock()
			a.err = err
			a.change.Broadcast()
			a.mu.Unlock()
			return
		}
	}
}

// next takes what is sent next, and says whether there is more behind it. ok is
// false when there is nothing and will be nothing.
func (a *lineAnswer) next(piece []byte) (n int, more, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.memory) == 0 && a.file == nil && !a.ended && a.err == nil {
		a.change.Wait()
	}
	defer a.change.Broadcast()
	switch {
	case a.err != nil:
		return 0, false, false
	case len(a.memory) > 0:
		n = copy(piece, a.memory)
		a.memory = a.memory[:copy(a.memory, a.memory[n:])]
	case a.file != nil:
		left := a.file.Size() - a.sent
		n = int(min(left, int64(len(piece))))
		if _, err := a.file.Reader().ReadAt(piece[:n], a.sent); err != nil {
			a.err = err
			return 0, false, false
		}
		a.sent += int64(n)
		if a.sent == a.file.Size() {
			a.drop()
		}
	default:
		return 0, false, false
	}
	return n, len(a.memory) > 0 || a.file != nil, true
}
