package httpadapter

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shelflife-db/shelflife/catalog"
)

// Sentinels for an authenticator's errors; see Options.Authenticate. The
// client never sees the text of an error that wraps them.
var (
	// ErrMissingKey says that the request carries no credentials: 401.
	ErrMissingKey = errors.New("httpadapter: no credentials")
	// ErrInvalidKey says that the credentials are not known: 401.
	ErrInvalidKey = errors.New("httpadapter: invalid credentials")
	// ErrForbidden says that the credentials are known but not allowed: 403.
	ErrForbidden = errors.New("httpadapter: forbidden")
	// ErrAuthUnavailable says that the credentials can't be checked now: 503.
	ErrAuthUnavailable = errors.New("httpadapter: authentication is unavailable")
)

// answer is an error together with how the client is told.
type answer struct {
	status  int
	code    string
	message string
	details []catalog.FieldError // of a 400
}

func (a *answer) Error() string { return "httpadapter: " + a.message }

var (
	errNoSuchPath = &answer{status: http.StatusNotFound, code: "NOT_FOUND", message: "no such path"}
	errMethod     = &answer{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", message: "this path does not take the method"}
	errMediaType  = &answer{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE",
		message: "the body must be application/json or multipart/form-data, in UTF-8 and without a content encoding"}
	errInternal     = &answer{status: http.StatusInternalServerError, code: "INTERNAL", message: "internal error"}
	errUnavailable  = &answer{status: http.StatusServiceUnavailable, code: "UNAVAILABLE", message: "the service is unavailable, try again later"}
	errUnknown      = &answer{status: http.StatusServiceUnavailable, code: "UNKNOWN_OUTCOME", message: "the write may or may not have happened, or may happen yet: read, and repeat it under a condition on the version that was read"}
	errCondition    = &answer{status: http.StatusPreconditionFailed, code: "PRECONDITION_FAILED", message: "the condition of the request does not hold"}
	errWeakMatch    = &answer{status: http.StatusPreconditionFailed, code: "PRECONDITION_FAILED", message: "a weak entity tag, as proxies make them that compress, never matches in If-Match: take the version of the product, in quotes"}
	errNoProduct    = &answer{status: http.StatusNotFound, code: "PRODUCT_NOT_FOUND", message: "no such product"}
	errNoImage      = &answer{status: http.StatusNotFound, code: "IMAGE_NOT_FOUND", message: "no uploaded image there"}
	errMissingCreds = &answer{status: http.StatusUnauthorized, code: "MISSING_API_KEY", message: "an API key is required"}
	errInvalidCreds = &answer{status: http.StatusUnauthorized, code: "INVALID_API_KEY", message: "the API key is not valid"}
	errNotAllowed   = &answer{status: http.StatusForbidden, code: "FORBIDDEN", message: "not allowed"}
	errRange        = &answer{status: http.StatusRequestedRangeNotSatisfiable, code: "RANGE_NOT_SATISFIABLE", message: "the image has no such range"}
)

func tooLarge(message string) *answer {
	return &answer{status: http.StatusRequestEntityTooLarge, code: string(catalog.CodePayloadTooLarge), message: message}
}

func quotaExceeded(message string) *answer {
	return &answer{status: http.StatusForbidden, code: string(catalog.CodeQuotaExceeded), message: message}
}

func invalidField(path, message string) error {
	return &catalog.ValidationError{Fields: []catalog.FieldError{{Path: path, Code: catalog.CodeValidationFailed, Message: message}}}
}

// answers are how the errors of an authenticator and of the catalog are told,
// in the order in which they are looked for.
var answers = []struct {
	err error
	*answer
}{
	{ErrMissingKey, errMissingCreds},
	{ErrInvalidKey, errInvalidCreds},
	{ErrForbidden, errNotAllowed},
	{ErrAuthUnavailable, errUnavailable},
	{catalog.ErrNotFound, errNoProduct},
	{catalog.ErrImageNotFound, errNoImage},
	{catalog.ErrImageGone, errNoImage},
	{catalog.ErrPreconditionFailed, errCondition},
	{catalog.ErrUnknownOutcome, errUnknown},
	{catalog.ErrClosed, errUnavailable},
	{catalog.ErrUnavailable, errUnavailable},
}

// answerFor returns the answer to a client for err.
func answerFor(err error) *answer {
	if a := (*answer)(nil); errors.As(err, &a) {
		return a
	}
	if v := (*catalog.ValidationError)(nil); errors.As(err, &v) {
		return invalidAnswer(v)
	}
	if quota := (*catalog.QuotaError)(nil); errors.As(err, &quota) {
		return quotaExceeded(quota.Error())
	}
	for _, known := range answers {
		if errors.Is(err, known.err) {
			return known.answer
		}
	}
	if isCancellation(err) || isOutOfSpace(err) || errors.Is(err, errSpoolReserve) {
		return errUnavailable
	}
	return errInternal
}

func invalidAnswer(v *catalog.ValidationError) *answer {
	code := v.Code()
	switch code {
	case catalog.CodePayloadTooLarge:
		return tooLarge(v.Fields[0].Message)
	case catalog.CodeQuotaExceeded: // of an entry of a bulk upsert
		return quotaExceeded(v.Fields[0].Message)
	}
	message := "the request has several faults: see details"
	if len(v.Fields) == 1 {
		message = v.Fields[0].Message
		if v.Fields[0].Path != "" {
			message = v.Fields[0].Path + ": " + message
		}
	}
	return &answer{status: http.StatusBadRequest, code: string(code), message: message, details: v.Fields}
}

// WriteError answers a request with err in the standard form, whatever it is:
// an error of [Handler.ReadProduct], of the catalog, or of an authenticator,
// or, as an internal error whose text goes to the log alone, any other. Nothing
// may have been written to w before.
//
// The answer is sent before WriteError returns, and what the request still
// brings is read and dropped: see [Handler.ReadOn].
func (h *Handler) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	use := bodyUse{readBefore: errors.As(err, new(begunError)), endsWithAnswer: true}
	h.reading(w, r, use, func(w http.ResponseWriter, r *http.Request) { h.writeError(w, r, err) })
}

func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	h.begin(w, r)
	a, id := answerFor(err), RequestID(w, r)
	recordCode(w, a.code)
	switch {
	case a.status < http.StatusInternalServerError:
	case isLeaving(r, err):
		h.options.Logger.DebugContext(r.Context(), "httpadapter: the client left", "method", r.Method, "request_id", id, "error", err)
	default:
		level := slog.LevelError
		if a.status == http.StatusServiceUnavailable {
			level = slog.LevelWarn
		}
		h.options.Logger.Log(r.Context(), level, "httpadapter: request failed", "method", r.Method, "status", a.status, "request_id", id, "error", err)
	}
	header := w.Header()
	switch a.status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", h.options.Challenge)
	case http.StatusTooManyRequests:
		header.Set("Retry-After", retryAfter(err))
	case http.StatusServiceUnavailable:
		if a != errUnknown {
			header.Set("Retry-After", "1")
		}
	}
	header.Set("Cache-Control", "no-store")
	_ = writeJSON(w, r, a.status, a.appendJSON(nil))
}

// isLeaving reports whether err comes from nothing but the end of the request. A
// failure that the end of the request had a part in is still a failure.
func isLeaving(r *http.Request, err error) bool {
	if auth := (*authError)(nil); errors.As(err, &auth) {
		err = auth.cause
	}
	return r.Context().Err() != nil && isCancellation(err)
}

// isCancellation reports whether err has no cause but the end of a context.
func isCancellation(err error) bool {
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		if cause := wrapper.Unwrap(); cause != nil {
			return isCancellation(cause)
		}
	case interface{ Unwrap() []error }:
		causes := wrapper.Unwrap()
		foreign := func(cause error) bool { return !isCancellation(cause) }
		return len(causes) > 0 && !slices.ContainsFunc(causes, foreign)
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (a *answer) appendJSON(b []byte) []byte {
	b = append(b, `{"code":`...)
	b = appendString(b, a.code)
	b = append(b, `,"message":`...)
	b = appendString(b, a.message)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	if a.status == http.StatusBadRequest {
		b = append(b, `,"details":[`...)
		for i, f := range a.details {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"path":`...)
			b = appendString(b, f.Path)
			b = append(b, `,"code":`...)
			b = appendString(b, string(f.Code))
			b = append(b, `,"message":`...)
			b = appendString(b, f.Message)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendString quotes s; invalid UTF-8 in it becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

const jsonType = "application/json; charset=utf-8"

// writeJSON sends body, or just its length in answer to HEAD. An error means that the
// client has left, so that there is no one to answer.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) (err error) {
	setHeaders(w.Header(), header{"Content-Type", jsonType}, header{"Content-Length", strconv.Itoa(len(body))})
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, err = w.Write(body)
	}
	return err
}
