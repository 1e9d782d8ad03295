package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// What an [*Error] can match with errors.Is.
var (
	// ErrInvalid: something of the request is wrong; Error.Details says what.
	ErrInvalid = errors.New("invalid")
	// ErrUnauthorized: there is no key, or it is not known.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden: the key is known and may not do this.
	ErrForbidden = errors.New("forbidden")
	// ErrQuotaExceeded: the account has what it may have. It matches ErrForbidden too.
	ErrQuotaExceeded = errors.New("quota exceeded")
	// ErrNotFound: there is no such product.
	ErrNotFound = errors.New("product not found")
	// ErrImageNotFound: the product has no uploaded image there.
	ErrImageNotFound = errors.New("image not found")
	// ErrPreconditionFailed: a [Condition] does not hold.
	ErrPreconditionFailed = errors.New("precondition failed")
	// ErrTooLarge: the request, or a part of it, is too large.
	ErrTooLarge = errors.New("too large")
	// ErrRateLimited: the account asks too often, or has too much under way. Nothing happened.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable: the server can't do it now. Nothing happened.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnknownOutcome: the write may or may not have happened, or may happen yet. A
	// write under a condition on the version that is read now settles it.
	ErrUnknownOutcome = errors.New("outcome is unknown")
)

// The codes that errors.Is and this package look at. A server may send others.
var sentinels = map[string][]error{
	"VALIDATION_FAILED":        {ErrInvalid},
	"EXTERNAL_ID_REQUIRED":     {ErrInvalid},
	"PRODUCT_IMAGES_REQUIRED":  {ErrInvalid},
	"INVALID_IMAGE_INPUT":      {ErrInvalid},
	"MULTIPART_FILE_NOT_FOUND": {ErrInvalid},
	"INVALID_IMAGE":            {ErrInvalid},
	"MISSING_API_KEY":          {ErrUnauthorized},
	"INVALID_API_KEY":          {ErrUnauthorized},
	"FORBIDDEN":                {ErrForbidden},
	"QUOTA_EXCEEDED":           {ErrQuotaExceeded, ErrForbidden},
	"PRODUCT_NOT_FOUND":        {ErrNotFound},
	"IMAGE_NOT_FOUND":          {ErrImageNotFound},
	"PRECONDITION_FAILED":      {ErrPreconditionFailed},
	"PAYLOAD_TOO_LARGE":        {ErrTooLarge},
	"RATE_LIMITED":             {ErrRateLimited},
	"OVERLOADED":               {ErrUnavailable},
	"UNAVAILABLE":              {ErrUnavailable},
	"UNKNOWN_OUTCOME":          {ErrUnknownOutcome},
}

// Error is what the server answered in the place of what was asked for.
type Error struct {
	// Code is the stable part, as PRODUCT_NOT_FOUND; "" where something else than
	// the API answered, a proxy, say.
	Code string `json:"code"`
	// Message is for people.
	Message string `json:"message"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Details are all faults of an invalid request.
	Details []Fault `json:"details"`
	// Method and Path are those of the request.
	Method string `json:"-"`
	Path   string `json:"-"`
	// RequestID names the request in the server's log.
	RequestID string `json:"-"`
	// RetryAfter is how long the server asks to wait; 0 where it does not.
	RetryAfter time.Duration `json:"-"`
}

// Fault is one thing that is wrong with a request.
type Fault struct {
	// Path is where it is, as images.0.source.url; "" is the whole body.
	Path    string `json:"path"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error returns the method, path, code and message, and the faults if there are
// several.
func (e *Error) Error() string {
	text := fmt.Sprintf("shelflife: %s %s: %d %s: %s", e.Method, e.Path, e.Status, e.Code, e.Message)
	if len(e.Details) > 1 {
		for _, d := range e.Details {
			text += fmt.Sprintf("; %s: %s", d.Path, d.Message)
		}
	}
	return text
}

// Is reports whether target is what the code stands for.
func (e *Error) Is(target error) bool {
	for _, err := range sentinels[e.Code] {
		if err == target {
			return true
		}
	}
	return false
}

// nothingHappened reports whether the server says so, of a request that it would do
// at another time.
func (e *Error) nothingHappened() bool {
	return e.Is(ErrRateLimited) || e.Is(ErrUnavailable)
}

// mayHaveHappened reports whether the request may have been dealt with all the same.
func (e *Error) mayHaveHappened() bool {
	if e.Code != "" {
		return e.Is(ErrUnknownOutcome)
	}
	switch e.Status { // of a proxy
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// maxErrorBody is how much of an error is read.
const maxErrorBody = 1 << 20

// readError reads an answer that is an error. It does not close it.
func readError(res *http.Response, method, path string) *Error {
	e := new(Error)
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // what can't be read has no code
	if json.Unmarshal(text, e) != nil || e.Code == "" || e.Status != res.StatusCode {
		*e = Error{Message: http.StatusText(res.StatusCode)}
	}
	e.Status, e.Method, e.Path = res.StatusCode, method, path
	e.RequestID = res.Header.Get("X-Request-ID")
	if seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
