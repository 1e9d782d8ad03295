package httpadapter

import (
	"errors"
	"io"
	"mime/multipart"

	"github.com/shelflife-db/shelflife/catalog"
)

// dataPart is the name of the part that holds the JSON.
const dataPart = "data"

// File is a part of a multipart body other than the JSON. It can be read until
// the request ends.
type File struct {
	// Name is the part's name: what a fileKey refers to.
	Name string
	// Filename and ContentType are what the client says; they may be "" and
	// may be wrong. Filename has no directories.
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
func (h *Handler) readMultipart(source io.Reader, boundary string) (*body, error) {
	m := &multipartReader{
		parts:     multipart.NewReader(source, boundary),
		body:      &body{spool: newSpool(h.options.SpoolDir)},
		names:     make(map[string]bool),
		maxParts:  h.options.MaxParts,
		maxJSON:   h.options.MaxJSONBytes,
		maxUpload: h.limits.ImageBytes,
	}
	err := m.read()
	if err == nil {
		// What follows the last boundary means nothing but counts.
		_, err = io.Copy(io.Discard, source)
	}
	if err == nil {
		err = m.err()
	}
	if err != nil {
		return nil, errors.Join(err, m.body.Close())
	}
	return m.body, nil
}

// multipartReader reads one body. Faults of its make-up wait until it is known
// that no size is exceeded.
type multipartReader struct {
	parts     *multipart.Reader
	body      *body
	names     map[string]bool
	faults    []catalog.FieldError
	maxParts  int
	maxJSON   int64
	maxUpload int64
}

// read takes in all parts.
func (m *multipartReader) read() error {
	for count := 1; ; count++ {
		part, err := m.parts.NextRawPart()
		if err == io.EOF {
			return nil // the last boundary; where that is missing, err wraps io.EOF
		}
		if err != nil {
			return err
		}
		if count > m.maxParts {
			return tooLarge("the multipart body has too many parts")
		}
		if err := m.part(part); err != nil {
			return err
		}
	}
}

func (m *multipartReader) part(part *multipart.Part) error {
	name := part.FormName()
	if name == dataPart {
		data, err := io.ReadAll(io.LimitReader(part, m.maxJSON+1))
		switch {
		case err != nil:
			return err
		case int64(len(data)) > m.maxJSON:
			return tooLarge("the data part is too large")
		}
		m.body.json = data
	} else {
		stored, err := m.body.spool.add(part, m.maxUpload)
		if err != nil {
			return err
		}
		m.body.files = append(m.body.files, &File{
			Name:        name,
			Filename:    part.FileName(),
			ContentType: part.Header.Get("Content-Type"),
			Size:        stored.size,
			stored:      stored,
		})
	}
	if name == "" {
		m.fault("", "a part has no name")
	} else if m.names[name] {
		m.fault(name, "several parts have this name")
	}
	m.names[name] = true
	return nil
}

func (m *multipartReader) fault(path, message string) {
	m.faults = append(m.faults, catalog.FieldError{Path: path, Code: catalog.CodeValidationFailed, Message: message})
}

// err returns the faults of a body that was read to its end, or nil.
func (m *multipartReader) err() error {
	if !m.names[dataPart] {
		m.fault(dataPart, "the part with the JSON is missing")
	}
	if len(m.faults) == 0 {
		return nil
	}
	return &catalog.ValidationError{Fields: m.faults}
}
