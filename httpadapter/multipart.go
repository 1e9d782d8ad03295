package httpadapter

import (
	"bytes"
	"errors"
	"io"
	"math"
	"mime/multipart"
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
func (h *Handler) readMultipart(source io.Reader, boundary string) (*body, error) {
	guard := &headerGuard{source: &unfinished{source: source}}
	m := &multipartReader{
		guard:     guard,
		parts:     multipart.NewReader(guard, boundary),
		body:      &body{spool: newSpool(h.options.SpoolDir, h.catalog.Ready)},
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
	guard     *headerGuard
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
		// The content of the part before was read to its end, so that all that
		// is read here are the headers of the next.
		m.guard.begin()
		part, err := m.parts.NextRawPart()
		if m.guard.end() {
			return errPartHeader // for the parser a line may just have ended there
		}
		if err == io.EOF {
			return nil // the last boundary, see unfinished
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
	name := m.label("", "the name of a part", part.FormName())
	if name == dataPart {
		data, err := io.ReadAll(io.LimitReader(part, min(m.maxJSON, math.MaxInt64-1)+1))
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
			Filename:    m.label(name, "the file name", part.FileName()),
			ContentType: m.label(name, "the Content-Type", part.Header.Get("Content-Type")),
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
		m.fault(dataPart, "the part with the JSON is missing")
	}
	if len(m.faults) == 0 {
		return nil
	}
	return &catalog.ValidationError{Fields: m.faults}
}

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

// end tells whether more was asked for than is allowed.
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
