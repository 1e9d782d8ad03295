package httpadapter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// body is what a request brought: JSON, and the files beside it.
type body struct {
	json  []byte
	files []*File
	spool *spool // nil if there are no files
	// unreadable says that a part has a Content-Disposition that can't be parsed.
	unreadable bool
}

// Close gives up the files.
func (b *body) Close() error {
	if b.spool == nil {
		return nil
	}
	return b.spool.Close()
}

// readBody reads a JSON or multipart body whole, within the limits and what u can
// have, which is nothing yet. The caller must close the body, and then u.
func (h *Handler) readBody(r *http.Request, u *usage) (*body, error) {
	kind, boundary, err := contentType(r.Header)
	if err != nil {
		return nil, err
	}
	limit, message := h.options.MaxJSONBytes, "the JSON body is too large"
	if kind == kindMultipart {
		limit, message = h.options.MaxMultipartBytes, "the multipart body is too large"
	}
	if r.ContentLength > limit {
		return nil, tooLarge(message)
	}
	if boundary.fault != "" {
		return nil, invalidField("", boundary.fault)
	}
	if err := u.admit(r.Context(), kind, firstMemory(kind, r.ContentLength)); err != nil {
		return nil, err
	}
	if kind == kindMultipart && isParsed(r) {
		return h.readParsedForm(r.MultipartForm, u)
	}
	source := &countedBody{Reader: http.NoBody} // what a request made by hand may lack
	if r.Body != nil {
		// Not told of the answer: whether the connection is closed is decided by
		// what reads on.
		source.Reader = http.MaxBytesReader(nil, r.Body, limit)
	}
	var b *body
	if kind == kindJSON {
		b, err = readJSON(&metered{source, u}, r.ContentLength)
	} else {
		b, err = h.readMultipart(source, boundary.text, u)
	}
	switch {
	case source.lacks(r.ContentLength) && (err != nil || source.read == 0), errors.Is(err, http.ErrBodyReadAfterClose):
		return nil, errReadBefore
	case err != nil:
		return nil, begunError{bodyError(err, message)}
	}
	return b, nil
}

// firstMemory is what a request with a body of the length, -1 if it is not known,
// is charged for before it is read, its answer included.
func firstMemory(kind bodyKind, length int64) int64 {
	if kind == kindMultipart {
		return multipartMemory + answerMemory
	}
	if length < 0 || length > bodyMemory/bodyFactor {
		return bodyMemory + answerMemory
	}
	return bodyFactor*length + answerMemory
}

// errReadBefore is the host's fault. The server would not let a body of the
// client's end before its length.
var errReadBefore = errors.New("httpadapter: the body was read before the handler got the request, by r.FormValue in a middleware, say")

// countedBody knows how much of a body there was.
type countedBody struct {
	io.Reader
	read  int64
	ended bool // without an error
}

// Read implements io.Reader.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// lacks reports whether the body ended before it had the announced length.
func (b *countedBody) lacks(length int64) bool { return b.ended && b.read < length }

type bodyKind int

const (
	kindJSON bodyKind = iota
	kindMultipart
)

// boundary is that of a multipart body, or what is wrong with it.
type boundary struct{ text, fault string }

// contentType finds out what the body claims to be. Of the parameters the
// boundary counts, and the charset of JSON, which must be UTF-8 or a part of it.
// That of a multipart body means nothing: clients give their default.
func contentType(header http.Header) (kind bodyKind, b boundary, err error) {
	value, ok := plainContentType(header)
	if !ok {
		return 0, boundary{}, errMediaType
	}
	// With a malformed parameter the type is returned all the same.
	media, params, err := mime.ParseMediaType(value)
	switch {
	case media == "application/json" && err == nil:
		switch strings.ToLower(params["charset"]) {
		case "", "utf-8", "utf8", "us-ascii":
			return kindJSON, boundary{}, nil
		}
	case media == "multipart/form-data" && err != nil:
		return kindMultipart, boundary{fault: "the parameters of the Content-Type can't be parsed: a boundary with other characters than letters, digits and '+_-. must be quoted"}, nil
	case media == "multipart/form-data" && params["boundary"] == "":
		return kindMultipart, boundary{fault: "the Content-Type names no boundary"}, nil
	case media == "multipart/form-data":
		return kindMultipart, boundary{text: params["boundary"]}, nil
	}
	return 0, boundary{}, errMediaType
}

// plainContentType returns the Content-Type, if there is one and the body has no
// content encoding.
func plainContentType(header http.Header) (value string, ok bool) {
	values := header.Values("Content-Type")
	if len(values) != 1 {
		return "", false
	}
	for _, coding := range header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return "", false
		}
	}
	return values[0], true
}

// readJSON reads a body of the announced length; -1 if it is not known.
func readJSON(source io.Reader, length int64) (*body, error) {
	// A length that is only announced must not take much memory.
	const most = 64 << 10
	var data bytes.Buffer
	data.Grow(int(min(max(length, 0), most)) + bytes.MinRead)
	_, err := data.ReadFrom(source)
	return &body{json: data.Bytes()}, err
}

// bodyError classifies the errors of reading a body. Errors that are neither
// the adapter's own nor known are the client's fault. A client that left gets
// the same answer as one that still listens after a body it cut off.
func bodyError(err error, tooLargeMessage string) error {
	if err == nil {
		return nil
	}
	var own *answer
	var invalid *catalog.ValidationError
	var disk *spoolError
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &own), errors.As(err, &invalid), errors.As(err, &disk):
		return err
	case errors.As(err, &tooMany):
		return tooLarge(tooLargeMessage)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return invalidField("", "the body is cut off")
	}
	return invalidField("", "the body can't be read")
}

// decode reads the upsert in the body. The Deprecation header is set as soon
// as it is known to be due, so that errors carry it too.
func (h *Handler) decode(w http.ResponseWriter, b *body, o productjson.Options) (*productjson.Upsert, error) {
	o.Limits = h.limits
	o.Files = func(fileKey string) (*catalog.Upload, error) {
		for _, f := range b.files {
			if f.Name == fileKey {
				return h.upload(f)
			}
		}
		if b.unreadable {
			return nil, &catalog.ValidationError{Fields: []catalog.FieldError{{Code: catalog.CodeFileNotFound, Message: "names no file part of this request, " + unreadablePart}}}
		}
		return nil, nil
	}
	u, err := productjson.Decode(b.json, o)
	if err != nil {
		return nil, err
	}
	if u.Deprecated {
		w.Header().Set("Deprecation", deprecatedSince)
	}
	return u, nil
}

// upload checks an image before anything is written, and returns it as the
// catalog takes it.
func (h *Handler) upload(f *File) (*catalog.Upload, error) {
	if err := h.catalog.InspectUpload(f.reader()); err != nil {
		return nil, err
	}
	return catalog.NewUpload(f.reader()), nil
}

// deprecatedSince is the Deprecation header of the flat image entries and of
// imageUrls: the first of January 2026.
const deprecatedSince = "@1767225600"
