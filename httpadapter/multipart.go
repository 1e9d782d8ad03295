package httpadapter

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// dataPart is the name of the part that holds the JSON.
const dataPart = "data"

// File is a part of a multipart body other than the JSON. It can be read until
// the request ends.
type File struct {
	// Name is the part's name: what a fileKey refers to. It is "" if the part
	// has none; several files may have none.
	Name string
	// Filename and ContentType are what the client says; they may be "" and
	// may be wrong. Filename has no directories. Each of the three has at most
	// 1 KiB.
	Filename, ContentType string
	// Size is the number of bytes.
	Size int64

	stored section
}

// Open returns a reader of the file from its start. It may be called several
// times; the readers are independent, need not be closed, and must not be used
// when the request has ended.
func (f *File) Open() io.ReadSeekCloser { return readNopCloser{f.reader()} }

func (f *File) reader() *io.SectionReader {
	return io.NewSectionReader(f.stored, 0, f.stored.size)
}

type readNopCloser struct{ *io.SectionReader }

func (readNopCloser) Close() error { return nil }

// readMultipart reads a multipart body: the JSON into memory, the files into a
// spool.
func (h *Handler) readMultipart(source io.Reader, boundary string, u *usage) (*body, error) {
	guard := &headerGuard{source: &unfinished{source: source}}
	m := h.newMultipartReader(u)
	err := m.read(guard, multipart.NewReader(guard, boundary))
	if err == nil {
		// What follows the last boundary means nothing but counts.
		_, err = io.Copy(io.Discard, source)
	}
	return m.finish(err)
}

func (h *Handler) newMultipartReader(u *usage) *multipartReader {
	return &multipartReader{
		body:      &body{spool: newSpool(h.options.SpoolDir, h.catalog.Ready, u)},
		usage:     u,
		names:     make(map[string]bool),
		maxParts:  h.options.MaxParts,
		maxJSON:   h.options.MaxJSONBytes,
		maxUpload: h.limits.ImageBytes,
	}
}

// isParsed reports whether something before the handler has read the form, and
// whole: what was cut off leaves no form behind.
func isParsed(r *http.Request) bool {
	return r.MultipartForm != nil && len(r.MultipartForm.Value)+len(r.MultipartForm.File) > 0
}

// readParsedForm is readMultipart for a form that a middleware of the host has
// read already. Its parts come in the order of their names.
func (h *Handler) readParsedForm(form *multipart.Form, u *usage) (*body, error) {
	m := h.newMultipartReader(u)
	return m.finish(m.readParsed(form))
}

func (m *multipartReader) readParsed(form *multipart.Form) error {
	count := 0
	add := func(p incomingPart, content io.Reader) error {
		if count++; count > m.maxParts {
			return errTooManyParts
		}
		return m.part(p, content)
	}
	for _, name := range slices.Sorted(maps.Keys(form.Value)) {
		for _, text := range form.Value[name] {
			if err := add(incomingPart{name: name}, strings.NewReader(text)); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(form.File)) {
		for _, header := range form.File[name] {
			file, err := header.Open()
			if err != nil {
				return &spoolError{err}
			}
			p := incomingPart{name: name, filename: header.Filename, contentType: header.Header.Get("Content-Type")}
			err = add(p, file)
			_ = file.Close() // nothing was written to it
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// multipartReader reads one body. Faults of its make-up wait until it is known
// that no size is exceeded.
type multipartReader struct {
	body      *body
	usage     *usage
	names     map[string]bool
	faults    []catalog.FieldError
	maxParts  int
	maxJSON   int64
	maxUpload int64
}

// finish returns the body that was read, or err, or the faults.
func (m *multipartReader) finish(err error) (*body, error) {
	if err == nil {
		err = m.err()
	}
	if err != nil {
		return nil, errors.Join(err, m.body.Close())
	}
	return m.body, nil
}

var errTooManyParts = tooLarge("the multipart body has too many parts")

// read takes in all parts.
func (m *multipartReader) read(guard *headerGuard, parts *multipart.Reader) error {
	for count := 1; ; count++ {
		// The content of the part before was read to its end, so that all that
		// is read here are the headers of the next.
		guard.begin()
		part, err := parts.NextRawPart()
		if guard.end() {
			return errPartHeader // for the parser a line may just have ended there
		}
		if err == io.EOF {
			return nil // the last boundary, see unfinished
		}
		if err != nil {
			return err
		}
		if count > m.maxParts {
			return errTooManyParts
		}
		if disposition := part.Header.Get("Content-Disposition"); disposition != "" {
			_, _, err := mime.ParseMediaType(disposition)
			m.body.unreadable = m.body.unreadable || err != nil
		}
		p := incomingPart{name: part.FormName(), filename: part.FileName(), contentType: part.Header.Get("Content-Type")}
		if err := m.part(p, part); err != nil {
			return err
		}
	}
}

// incomingPart is what the headers of a part say.
type incomingPart struct{ name, filename, contentType string }

func (m *multipartReader) part(p incomingPart, content io.Reader) error {
	name := m.label("", "the name of a part", p.name)
	if name == dataPart {
		data, err := io.ReadAll(io.LimitReader(&metered{content, m.usage}, min(m.maxJSON, math.MaxInt64-1)+1))
		switch {
		case err != nil:
			return err
		case int64(len(data)) > m.maxJSON:
			return tooLarge("the data part is too large")
		}
		m.body.json = data
	} else {
		stored, err := m.body.spool.add(content, m.maxUpload)
		if err != nil {
			return err
		}
		m.body.files = append(m.body.files, &File{
			Name:        name,
			Filename:    m.label(name, "the file name", p.filename),
			ContentType: m.label(name, "the Content-Type", p.contentType),
			Size:        stored.size,
			stored:      stored,
		})
	}
	if name != "" && m.names[name] {
		m.fault(name, "several parts have this name")
	}
	m.names[name] = true
	return nil
}

// maxLabel limits what is kept of a part's headers: its name, file name and
// content type, in bytes each.
const maxLabel = 1 << 10

// label returns text, which the headers of a part hold, or records a fault at
// path if it is too long. The headers are not kept alive by it.
func (m *multipartReader) label(path, what, text string) string {
	if len(text) > maxLabel {
		m.fault(path, what+" must have at most "+strconv.Itoa(maxLabel)+" bytes")
		return ""
	}
	return strings.Clone(text)
}

// fault records a fault once.
func (m *multipartReader) fault(path, message string) {
	f := catalog.FieldError{Path: path, Code: catalog.CodeValidationFailed, Message: message}
	if !slices.Contains(m.faults, f) {
		m.faults = append(m.faults, f)
	}
}

// err returns the faults of a body that was read to its end, or nil.
func (m *multipartReader) err() error {
	if !m.names[dataPart] {
		message := "the part with the JSON is missing"
		if m.body.unreadable {
			message += ", " + unreadablePart
		}
		m.fault(dataPart, message)
	}
	if len(m.faults) == 0 {
		return nil
	}
	return &catalog.ValidationError{Fields: m.faults}
}

// unreadablePart is said where a part is missing that may be there under a name
// that could not be read.
const unreadablePart = "but the Content-Disposition of a part can't be parsed: is it properly quoted?"

// maxPartHeader limits what may be read for the headers of one part, in bytes.
// The multipart package itself would take in 10 MiB of them.
const maxPartHeader = 16 << 10

var errPartHeader = tooLarge("the headers of a part are too large")

// headerGuard limits what is read from source between begin and end.
type headerGuard struct {
	source io.Reader
	active bool
	left   int

	exceeded bool
}

func (g *headerGuard) begin() { g.active, g.left = true, maxPartHeader }

// end reports whether more was asked for than is allowed.
func (g *headerGuard) end() (exceeded bool) {
	g.active = false
	return g.exceeded
}

// Read implements io.Reader.
func (g *headerGuard) Read(b []byte) (int, error) {
	if !g.active {
		return g.source.Read(b)
	}
	if g.left == 0 {
		g.exceeded = true
		return 0, errPartHeader
	}
	n, err := g.source.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
}

// unfinished ends in a line break and io.ErrUnexpectedEOF where source ends. The
// multipart package stops at the last boundary, which that break completes if it
// stands last; but it would take an end within the headers of a part for one.
type unfinished struct {
	source io.Reader
	ended  bool
	rest   string // of the line break

	last byte // of what was read
	bare bool // the last line break was no CRLF; nor must be the one added
}

// Read implements io.Reader.
func (u *unfinished) Read(b []byte) (int, error) {
	if !u.ended {
		n, err := u.source.Read(b)
		u.see(b[:n])
		if err != io.EOF {
			return n, err
		}
		u.ended, u.rest = true, "\r\n"
		if u.bare {
			u.rest = "\n"
		}
		if n > 0 {
			return n, nil
		}
	}
	if u.rest == "" {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *unfinished) see(b []byte) {
	if len(b) == 0 {
		return
	}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		before := u.last
		if i > 0 {
			before = b[i-1]
		}
		u.bare = before != '\r'
	}
	u.last = b[len(b)-1]
}
