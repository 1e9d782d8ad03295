package httpadapter

import (
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
	"github.com/shelflife-db/shelflife/httpadapter/internal/formparts"
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
	m := h.newMultipartReader(u)
	err := m.read(formparts.NewReader(source, boundary))
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

var (
	errTooManyParts = tooLarge("the multipart body has too many parts")
	errPartHeader   = tooLarge("the headers of a part are too large")
)

// read takes in all parts.
func (m *multipartReader) read(parts *formparts.Reader) error {
	for count := 1; ; count++ {
		part, err := parts.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, formparts.ErrHeaders):
			return errPartHeader
		case err != nil:
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
