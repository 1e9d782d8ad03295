package dashboard

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/catalog/productimport"
)

const (
	// resultsShown is how many results a page shows.
	resultsShown = 50
	// maxFaults is how many faults of an entry are kept.
	maxFaults = 20
	// entryShown is how much of an entry is shown that has no ID.
	entryShown = 160
)

// resultLog are the results of an import, in its file behind the input. A result
// is a line, a resultLine as JSON; behind that of a refusal are the beginning of
// the entry and the whole, a JSON string a line.
//
// Its fields but out and content are guarded by the job's mu. What it has written
// never changes, so that it is read without a lock.
type resultLog struct {
	out     io.Writer
	content io.ReaderAt
	start   int64
	limit   int64

	end            int64
	count, refused int
	// Where every resultsShown-th result is, of all and of refusals.
	pages, refusals []int64
}

func newResultLog(out io.Writer, content io.ReaderAt, start, limit int64) *resultLog {
	return &resultLog{out: out, content: content, start: start, end: start, limit: limit}
}

// behind returns an empty log behind l.
func (l *resultLog) behind() *resultLog { return newResultLog(l.out, l.content, l.end, l.limit) }

// resultLine is what is kept of a result.
type resultLine struct {
	Outcome    string        `json:"outcome"`
	Line       int           `json:"line"`
	Element    int           `json:"element,omitempty"` // of an array
	ExternalID string        `json:"externalId,omitempty"`
	Faults     []resultFault `json:"faults,omitempty"`
	MoreFaults int           `json:"moreFaults,omitempty"` // that are not kept
}

type resultFault struct {
	Path    string `json:"path"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

const outcomeRefused = "refused"

// refusedLine is how the line of a refusal begins.
var refusedLine = []byte(`{"outcome":"` + outcomeRefused + `",`)

// write writes a result, and returns how many bytes that took.
func (l *resultLog) write(r productimport.Result) (added int64, err error) {
	v := resultLine{Outcome: outcomeRefused, Line: r.Entry.Number, ExternalID: r.ExternalID}
	if r.Entry.Line > 0 {
		v.Line, v.Element = r.Entry.Line, r.Entry.Number
	}
	if !r.Refused() {
		v.Outcome = r.Outcome.String()
	}
	for _, f := range r.Faults[:min(len(r.Faults), maxFaults)] {
		v.Faults = append(v.Faults, resultFault{cutText(f.Path, 512), string(f.Code), cutText(f.Message, 1024)})
	}
	v.MoreFaults = len(r.Faults) - len(v.Faults)
	var text bytes.Buffer
	lines := json.NewEncoder(&text) // which ends each value with a line break
	lines.SetEscapeHTML(false)
	err = lines.Encode(v)
	if err == nil && r.Refused() {
		whole := strings.ToValidUTF8(string(r.Entry.Text), "\uFFFD")
		if err = lines.Encode(cutText(whole, entryShown)); err == nil {
			err = lines.Encode(whole)
		}
	}
	switch {
	case err != nil:
		return 0, err
	case l.end-l.start+int64(text.Len()) > l.limit:
		return 0, errTooManyResults
	}
	n, err := l.out.Write(text.Bytes())
	return int64(n), err
}

// note counts a result that took so many bytes.
func (l *resultLog) note(added int64, refused bool) {
	if l.count%resultsShown == 0 {
		l.pages = append(l.pages, l.end)
	}
	l.count++
	if refused {
		if l.refused%resultsShown == 0 {
			l.refusals = append(l.refusals, l.end)
		}
		l.refused++
	}
	l.end += added
}

// part is a stretch of a log that was written when it was looked at.
type part struct {
	content    io.ReaderAt
	start, end int64
}

// page returns where the results of a page begin, from 0, and how many pages there
// are.
func (l *resultLog) page(n int, refused bool) (p part, pages int) {
	starts := l.pages
	if refused {
		starts = l.refusals
	}
	if n < 0 || n >= len(starts) {
		return part{l.content, l.end, l.end}, len(starts)
	}
	return part{l.content, starts[n], l.end}, len(starts)
}

// whole returns all of the log.
func (l *resultLog) whole() part { return part{l.content, l.start, l.end} }

// lines returns a reader of a part.
func (p part) lines() *bufio.Reader {
	return bufio.NewReader(io.NewSectionReader(p.content, p.start, p.end-p.start))
}

// shownResult is a result on a page.
type shownResult struct {
	resultLine
	Ref   string // of the product
	Start string // of the entry, where it has no ID
}

// Refused reports whether the entry was refused.
func (r shownResult) Refused() bool { return r.Outcome == outcomeRefused }

// results reads a page of results from the beginning of a part.
func (p part) results(refused bool) (out []shownResult, err error) {
	for lines := p.lines(); len(out) < resultsShown; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		isRefusal := bytes.HasPrefix(line, refusedLine)
		var r shownResult
		if err := json.Unmarshal(line, &r.resultLine); err != nil {
			return nil, err
		}
		if isRefusal {
			start, err := lines.ReadBytes('\n')
			if err == nil {
				err = json.Unmarshal(start, &r.Start)
			}
			if err == nil {
				err = skipLine(lines)
			}
			if err != nil {
				return nil, err
			}
		}
		if r.ExternalID != "" {
			r.Start = ""
		}
		if isRefusal || !refused {
			out = append(out, r)
		}
	}
	return out, nil
}

func skipLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); err != bufio.ErrBufferFull {
			return err
		}
	}
}

// writeRefusals writes the refusals of a part, a JSON object a line, each with
// the entry itself as the member text.
func (p part) writeRefusals(w io.Writer) error {
	for lines := p.lines(); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, refusedLine) {
			continue
		}
		if err := skipLine(lines); err != nil {
			return err
		}
		line = append(bytes.TrimSuffix(line, []byte("}\n")), `,"text":`...)
		if _, err := w.Write(line); err != nil {
			return err
		}
		for more := true; more; {
			text, err := lines.ReadSlice('\n')
			if more = err == bufio.ErrBufferFull; err != nil && !more {
				return err
			}
			if !more {
				text = slices.Concat(bytes.TrimSuffix(text, []byte("\n")), []byte("}\n"))
			}
			if _, err := w.Write(text); err != nil {
				return err
			}
		}
	}
}
