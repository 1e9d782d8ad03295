package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shelflife-db/shelflife/backend"
)

// Errors of the catalog's operations, for errors.Is. The text of the error that
// wraps them names the operation and the product.
var (
	// ErrNotFound says that no live product has the ID.
	ErrNotFound = errors.New("product not found")
	// ErrImageNotFound says that the product has no uploaded bytes at the
	// position. It does not match ErrNotFound: the product exists.
	ErrImageNotFound = errors.New("image not found")
	// ErrImageGone says that the image was replaced or deleted while it was
	// being read, and that its bytes have been removed since: after
	// Options.ImageGrace, or earlier, beyond Options.ImageGraceBytes or by EraseNow.
	ErrImageGone = errors.New("image bytes are gone")
	// ErrPreconditionFailed says that a [Condition] did not hold. An error that
	// matches it is a [*PreconditionError].
	ErrPreconditionFailed = errors.New("precondition failed")
	// ErrUploadSpent says that an [Upload] was read by an earlier upsert and its
	// reader can't go back; nothing was changed.
	ErrUploadSpent = errors.New("the upload was read by an earlier upsert, and its reader can't seek back: " +
		"repeat with a new Upload of a new reader, use a reader that can seek, or stage the image first")
	// ErrDamaged says that what was asked for can't be read, because bytes of the
	// store have changed or are missing. One that names products is a
	// [*DamageError]. The rest of the store is not affected.
	ErrDamaged = errors.New("damaged: can't be read")
	// ErrClosed says that the catalog is closed.
	ErrClosed = errors.New("catalog is closed")
	// ErrUnavailable says that the store can't serve the call now; nothing was
	// changed.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrUnknownOutcome says that a write may or may not have happened: read
	// before repeating. On an engine behind a network it may also happen yet, after a
	// read that did not show it. A later write of the same product that is answered
	// settles it: what has not happened by then never will. Under a condition on the
	// version that was read, such a write also says whether it had.
	ErrUnknownOutcome = errors.New("may or may not have happened: read before repeating")
)

// Code is the stable, machine-readable part of a [FieldError].
type Code string

// The codes of invalid input.
const (
	// CodeValidationFailed: a field is wrong or over its limit.
	CodeValidationFailed Code = "VALIDATION_FAILED"
	// CodeExternalIDRequired: there is no external ID.
	CodeExternalIDRequired Code = "EXTERNAL_ID_REQUIRED"
	// CodeImagesRequired: a product can't be created without an image, nor
	// have an empty list of them.
	CodeImagesRequired Code = "PRODUCT_IMAGES_REQUIRED"
	// CodeInvalidImageInput: an image has not exactly one source.
	CodeInvalidImageInput Code = "INVALID_IMAGE_INPUT"
	// CodeFileNotFound: a file key names no part of its request.
	CodeFileNotFound Code = "MULTIPART_FILE_NOT_FOUND"
	// CodeInvalidImage: the bytes are not an acceptable image.
	CodeInvalidImage Code = "INVALID_IMAGE"
	// CodePayloadTooLarge: an upload is over Limits.ImageBytes.
	CodePayloadTooLarge Code = "PAYLOAD_TOO_LARGE"
	// CodeQuotaExceeded: what package productimport says of an entry that was refused
	// with ErrQuotaExceeded.
	CodeQuotaExceeded Code = "QUOTA_EXCEEDED"
)

// FieldError is one fault of an input.
type FieldError struct {
	// Path names the field as the JSON form does: "images.0.source.url" for a
	// NewImage.URL, "images.0.source.fileKey" for its Upload; "" where the fault
	// concerns the whole input.
	Path    string `json:"path"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// ValidationError says that an input was refused and nothing changed. It
// holds every fault that could be found: all that concern the input alone, or,
// if there is none, all that concern the stored product.
type ValidationError struct {
	Fields []FieldError
}

// Error lists the faults.
func (e *ValidationError) Error() string {
	var b strings.Builder
	b.WriteString("invalid input")
	for i, f := range e.Fields {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		if f.Path != "" {
			b.WriteString(f.Path)
			b.WriteString(": ")
		}
		b.WriteString(f.Message)
	}
	return b.String()
}

// Code is that of all faults where they agree, else CodeValidationFailed.
func (e *ValidationError) Code() Code {
	for _, f := range e.Fields {
		if f.Code != e.Fields[0].Code {
			return CodeValidationFailed
		}
	}
	if len(e.Fields) == 0 {
		return CodeValidationFailed
	}
	return e.Fields[0].Code
}

// add records a fault.
func (e *ValidationError) add(path string, code Code, format string, args ...any) {
	e.Fields = append(e.Fields, FieldError{path, code, fmt.Sprintf(format, args...)})
}

// err returns the faults of e as an error, or nil if it holds none. It is a copy,
// so that an e without faults costs no allocation.
func (e *ValidationError) err() error {
	if len(e.Fields) == 0 {
		return nil
	}
	return &ValidationError{e.Fields}
}

func invalid(path string, code Code, format string, args ...any) error {
	e := new(ValidationError)
	e.add(path, code, format, args...)
	return e
}

// opError is an error of the public layer: what was being done, to what, and
// why it failed. class is the sentinel of this package that a backend's error
// stands for.
type opError struct {
	op, id string
	class  error
	cause  error
}

func (e *opError) Error() string {
	subject := e.op
	if e.id != "" {
		subject = fmt.Sprintf("%s %q", e.op, e.id)
	}
	if e.class != nil {
		return fmt.Sprintf("shelflife: %s: %v%s", subject, e.class, e.detail())
	}
	return fmt.Sprintf("shelflife: %s: %v", subject, e.cause)
}

// detail is what the cause says beyond its class, which an engine's error begins with.
func (e *opError) detail() string {
	text := ": " + e.cause.Error()
	for _, same := range []error{e.class, backend.ErrUnknownOutcome, backend.ErrClosed, backend.ErrUnavailable} {
		if rest, ok := strings.CutPrefix(text, ": "+same.Error()); ok && (rest == "" || strings.HasPrefix(rest, ": ")) {
			text = rest
		}
	}
	return text
}

func (e *opError) Unwrap() []error {
	if e.class != nil {
		return []error{e.class, e.cause}
	}
	return []error{e.cause}
}

// wrap gives err, an inner error, its public form; nil stays nil.
func wrap(op, id string, err error) error {
	if err == nil {
		return nil
	}
	e := &opError{op: op, id: id, cause: err}
	switch {
	case errors.Is(err, backend.ErrUnknownOutcome):
		e.class = ErrUnknownOutcome
	case errors.Is(err, backend.ErrClosed):
		e.class = ErrClosed
	case errors.Is(err, backend.ErrUnavailable):
		e.class = ErrUnavailable
	case !errors.Is(err, ErrDamaged) && isDamage(err):
		e.class = ErrDamaged
	}
	return e
}
