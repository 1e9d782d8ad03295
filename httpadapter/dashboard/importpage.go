package dashboard

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
)

// importFormPage is the page on which a file is chosen or lines are pasted.
type importFormPage struct {
	Fault   string
	Lines   string // that were pasted, where they are few
	Strict  bool
	MaxSize string
	MaxLine string
	Entries string
	Keep    string
	Jobs    []importSummary
}

// importSummary is an import in the list of them.
type importSummary struct {
	Ref, Name, State string
	Began            moment
}

func (h *Handler) showImport(w http.ResponseWriter, r *request) error {
	// What is misspelt would be left out in silence otherwise.
	return h.showImportForm(w, r, http.StatusOK, importFormPage{Strict: true})
}

func (h *Handler) showImportForm(w http.ResponseWriter, r *request, status int, v importFormPage) error {
	v.MaxSize, v.MaxLine = byteCount(h.options.MaxRequestBytes), byteCount(productimport.MaxEntryBytes)
	v.Entries, v.Keep = grouped(h.options.Imports.Entries), inWords(h.options.Imports.Keep)
	now := h.clock.Now()
	for _, j := range h.importsOf(r.account) {
		v.Jobs = append(v.Jobs, importSummary{Ref: j.ref(), Name: j.shownName(), State: importStates[j.stateNow()], Began: newMoment(j.began, now)})
	}
	return h.showTo(w, r, status, "import", page{Title: "Import", Section: "import", Body: v})
}

var importStates = [...]string{
	importChecking: "Being checked", importChecked: "Waits for your answer", importWriting: "Being imported",
	importWritten: "Done", importStopped: "Stopped", importFailed: "Failed",
}

// inWords is a time that is kept, rounded down to what people count in.
func inWords(d time.Duration) string {
	switch n := int(d / time.Hour); {
	case d == time.Hour:
		return "an hour"
	case n > 1:
		return fmt.Sprintf("%d hours", n)
	case d < 2*time.Minute:
		return "a minute"
	}
	return fmt.Sprintf("%d minutes", int(d/time.Minute))
}

func (j *importJob) ref() string { return "./job?" + url.Values{"id": {j.id}}.Encode() }

func (j *importJob) shownName() string {
	if j.name == "" {
		return "Pasted lines"
	}
	return j.name
}

// maxPasted is how much of what was pasted is shown again where it is refused.
const maxPasted = 64 << 10

// startImport takes in a file and begins to look at it.
func (h *Handler) startImport(w http.ResponseWriter, r *request) (err error) {
	j := &importJob{account: r.account, began: h.clock.Now(), file: h.options.Budget.NewSpoolFile(r.account, h.options.SpoolDir, h.catalog.Ready)}
	kept := false
	defer func() {
		if !kept {
			err = errors.Join(err, j.file.Close())
		}
	}()
	fault, err := j.readForm(r)
	status := http.StatusBadRequest
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		fault, status = fmt.Sprintf("That is more than the %s that this server takes at once. Split it, or import it with the command shelflife import.", byteCount(h.options.MaxRequestBytes)), http.StatusRequestEntityTooLarge
	case err != nil:
		return err
	case fault != "":
	case j.file.Size() == 0:
		fault = "Choose a file that is not empty, or paste lines."
	default:
		// What is no input of ours at all is refused at once.
		_, err := productimport.NewReader(io.NewSectionReader(j.file.Reader(), 0, j.file.Size()))
		switch {
		case errors.Is(err, productimport.ErrFormat):
			fault = sentence(err.Error())
		case err != nil:
			return err
		}
	}
	if fault != "" {
		v := importFormPage{Fault: fault, Strict: j.strict}
		if j.name == "" && j.file.Size() <= maxPasted {
			text := make([]byte, j.file.Size())
			if _, err := j.file.Reader().ReadAt(text, 0); err == nil {
				v.Lines = formText(string(text))
			}
		}
		return h.showImportForm(w, r, status, v)
	}
	if err := h.addImport(j); err != nil {
		return err
	}
	kept = true
	redirect(w, j.ref()+answered)
	return nil
}

// readForm reads the form into the job's file as it comes.
func (j *importJob) readForm(r *request) (fault string, err error) {
	parts, err := r.parts()
	if err != nil {
		return "", err
	}
	chosen := 0
	for n := 0; n < maxFields; n++ {
		part, err := parts.Next()
		switch {
		case err == io.EOF && chosen > 1:
			return "Choose a file or paste lines, not both.", nil
		case err == io.EOF:
			return "", nil
		case err != nil:
			return "", formFailure(err)
		}
		switch name := part.FormName(); {
		case name == "strict":
			j.strict = true
		case name == "file" && part.FileName() != "", name == "lines":
			size, err := j.take(part)
			if err != nil {
				return "", err
			}
			if size > 0 {
				chosen++
			}
			if name == "file" {
				j.name = cutText(part.FileName(), 255)
			}
		}
	}
	return "", errTooLarge
}

// take puts a part behind what the file has.
func (j *importJob) take(part *multipart.Part) (size int64, err error) {
	source := &failingReader{Reader: part}
	size, err = io.Copy(j.file, source)
	if source.err != nil {
		return size, formFailure(source.err)
	}
	return size, err
}

// formFailure returns the error to show for a failure of reading a form. The
// caller handles a form that is too large.
func formFailure(err error) error {
	if errors.As(err, new(*http.MaxBytesError)) {
		return err
	}
	return formError(err)
}

// jobPage is the page of an import.
type jobPage struct {
	ID, Name, Self, Refusals string
	Began                    moment
	Answered                 bool   // the page follows an answer of the person
	State                    string // the name of the state, for the style and the script
	Running, Checked, Wrote  bool
	Percent                  int
	Said                     string
	Failure                  string
	Created, Edited          int
	Unchanged, Refused       int
	Total                    int
	Chosen                   bool // refusals alone are shown
	All, OnlyRefused         string
	Results                  []shownResult
	Page, Pages              int
	Previous, Next           string
}

// Good is how many entries are not refused.
func (p jobPage) Good() int { return p.Total - p.Refused }

// Word is the word for an outcome, which a look ahead only expects.
func (p jobPage) Word(outcome string) string {
	switch {
	case p.Wrote || outcome == outcomeRefused || outcome == catalog.Unchanged.String():
		return strings.ToUpper(outcome[:1]) + outcome[1:]
	case outcome == catalog.Created.String():
		return "New"
	}
	return "Edit"
}

func (h *Handler) showJob(w http.ResponseWriter, r *request) error {
	query := r.URL.Query()
	j, err := h.importOf(r.account, query.Get("id"))
	if err != nil {
		return err
	}
	v, results := j.look(query.Get("show") != "all", query.Get("page"))
	v.Began, v.Answered = newMoment(j.began, h.clock.Now()), query.Has("done")
	if v.Results, err = results.results(v.Chosen); err != nil {
		if j.ctx.Err() != nil {
			return errNoImport // its file was closed meanwhile
		}
		return err
	}
	for i := range v.Results {
		if id := v.Results[i].ExternalID; id != "" && v.Wrote && !v.Results[i].Refused() {
			v.Results[i].Ref = productRef(id)
		}
	}
	return h.showTo(w, r, http.StatusOK, "job", page{Title: "Import of " + v.Name, Section: "import", Refresh: v.Running, Body: v})
}

// look returns what there is to show of an import at the moment, and the part of
// its results that the page begins with.
func (j *importJob) look(refused bool, number string) (v jobPage, results part) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v = jobPage{
		ID: j.id, Name: j.shownName(), Self: j.ref(), Refusals: "./refusals?" + url.Values{"id": {j.id}}.Encode(),
		Running: j.state.running(), Checked: j.state == importChecked, Wrote: j.wrote, Failure: j.failure,
		Created: j.counts[catalog.Created], Edited: j.counts[catalog.Edited], Unchanged: j.counts[catalog.Unchanged],
		Refused: j.results.refused, Total: j.results.count, Chosen: refused && j.results.refused > 0,
	}
	// Refusals first: the rest is as the person meant it.
	v.All, v.OnlyRefused = v.Self+"&show=all", v.Self
	v.Percent = int(100 * j.read / max(j.size, 1))
	v.State, v.Said = j.says(v)
	v.Page = 1
	if n, err := strconv.Atoi(number); err == nil {
		v.Page = n
	}
	results, v.Pages = j.results.page(v.Page-1, v.Chosen)
	ref := func(n int) string {
		base := v.All
		if v.Chosen {
			base = v.OnlyRefused
		}
		return base + "&page=" + strconv.Itoa(n)
	}
	if v.Page > 1 && v.Page <= v.Pages {
		v.Previous = ref(v.Page - 1)
	}
	if v.Page >= 1 && v.Page < v.Pages {
		v.Next = ref(v.Page + 1)
	}
	return v, results
}

// says puts a state into words.
func (j *importJob) says(v jobPage) (name, text string) {
	written := " after " + j.done.String() + ". What is counted here is written."
	if j.done.Number == 0 {
		written = " before anything was written."
	}
	switch j.state {
	case importChecking:
		return "running", "Checking what it would do. Nothing is written yet."
	case importChecked:
		switch {
		case v.Total == 0:
			return "ended", "There is nothing in it to import."
		case v.Good() == 0:
			return "bad", "Nothing of it can be imported."
		case v.Refused > 0:
			return "asks", "Nothing is written yet. What is refused would be left out."
		}
		return "asks", "Nothing is written yet. All of it can be imported."
	case importWriting:
		return "running", "Importing."
	case importWritten:
		if v.Refused > 0 {
			return "ended", "Imported, but for what was refused."
		}
		return "ended", "Imported."
	case importStopped:
		if !j.wrote {
			return "bad", "Stopped. Nothing was written."
		}
		return "bad", "Stopped" + written
	}
	if !j.wrote {
		return "bad", "Nothing was imported."
	}
	return "bad", "The import failed" + written
}

// answerJob takes the answer of a person: to write, to stop, to forget.
func (h *Handler) answerJob(w http.ResponseWriter, r *request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	j, err := h.importOf(r.account, r.PostForm.Get("id"))
	if err != nil {
		return err
	}
	what := r.PostForm.Get("do")
	j.answer(what) // else it was answered before, and its page says how
	if what == "forget" && j.ctx.Err() != nil {
		redirect(w, "./import")
		return nil
	}
	redirect(w, j.ref()+answered)
	return nil
}

// answered marks the reference of a job's page as one that follows an answer, whose
// effect the page says first.
const answered = "&done=answered"

// sendRefusals sends what was refused, a JSON object a line.
func (h *Handler) sendRefusals(w http.ResponseWriter, r *request) error {
	j, err := h.importOf(r.account, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	j.mu.Lock()
	all := j.results.whole()
	j.mu.Unlock()
	header := w.Header()
	header.Set("Content-Type", "application/x-ndjson; charset=utf-8")
	header.Set("Content-Disposition", `attachment; filename="refused.ndjson"`)
	header.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	if err := all.writeRefusals(w); err != nil {
		// The one way to end the answer so that the client notices.
		panic(http.ErrAbortHandler)
	}
	return nil
}
