package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/internal/formparts"
)

// failure is an error together with the page that it is told by.
type failure struct {
	status      int
	title, text string
}

func (f *failure) Error() string { return f.title }

var (
	errNoSuchPage    = &failure{http.StatusNotFound, "There is no such page", "The address may be misspelt."}
	errMethod        = &failure{http.StatusMethodNotAllowed, "That can't be done here", "The page was asked for in a way that it does not take."}
	errForeignOrigin = &failure{http.StatusForbidden, "This form came from elsewhere", "Nothing was changed: the request did not come from a page of this dashboard. If it did, a proxy in between changes the Host header, and the dashboard must be told the origin that it trusts."}
	errNoProduct     = &failure{http.StatusNotFound, "There is no such product", "It may have expired or been deleted, or its ID is misspelt."}
	errNoImage       = &failure{http.StatusNotFound, "There is no such image", "It may have been replaced or deleted."}
	errOvertaken     = &failure{http.StatusConflict, "The product was edited meanwhile", "Nothing was changed. Look at it as it is now, and decide again."}
	errUnavailable   = &failure{http.StatusServiceUnavailable, "Not available at the moment", "The store can't do that now, and nothing was changed. Try again in a while."}
	errUnknown       = &failure{http.StatusServiceUnavailable, "It may or may not have happened", "The store did not answer. Look at the product before doing it again."}
	errDamaged       = &failure{http.StatusInternalServerError, "This can't be read", "A part of the store is damaged. The log of the server says which; the rest is served."}
	errInternal      = &failure{http.StatusInternalServerError, "Something went wrong", "The fault is the server's, and its log says what happened."}
	errTooLarge      = &failure{http.StatusRequestEntityTooLarge, "That was too much at once", "The form and its images are larger than this server takes. Nothing was changed: send fewer images at a time."}
	errBadForm       = &failure{http.StatusBadRequest, "The form could not be read", "Nothing was changed. Go back and try again."}
	errSignInFirst   = &failure{http.StatusUnauthorized, "You are not signed in", "Sign in, and open this page again."}
	errBusy          = &failure{http.StatusServiceUnavailable, "The server has too much to do", "Nothing was changed. Try again in a moment."}
	errBusyAccount   = &failure{http.StatusTooManyRequests, "That is too much at once", "Nothing was changed: this account has as much going on as it may. Try again when that has ended."}
	errQuota         = &failure{http.StatusForbidden, "There is no room for more", "Your account has as many products, or as large images, as it may have. Nothing was changed: delete what is not needed, or ask for more room."}
	errForbidden     = &failure{http.StatusForbidden, "You may not open this", "Your account is not allowed to use this dashboard."}
)

// authError is an error of the host's authentication. Nothing but what package
// httpadapter lists for one shows through it.
type authError struct{ cause error }

func (e *authError) Error() string { return "authenticating: " + e.cause.Error() }

func (e *authError) failure() *failure {
	switch {
	case errors.Is(e.cause, httpadapter.ErrForbidden):
		return errForbidden
	case errors.Is(e.cause, httpadapter.ErrMissingKey), errors.Is(e.cause, httpadapter.ErrInvalidKey):
		return errSignInFirst
	}
	return errUnavailable
}

// formError returns the failure of reading a form.
func formError(err error) error {
	if errors.As(err, new(*http.MaxBytesError)) || errors.Is(err, formparts.ErrHeaders) {
		return errTooLarge
	}
	if errors.Is(err, httpadapter.ErrOverloaded) || errors.Is(err, httpadapter.ErrRateLimited) {
		return err // of taking memory for it
	}
	return errors.Join(errBadForm, err)
}

// failures are how errors of the catalog are told, in the order in which they are
// looked for.
var failures = []struct {
	err error
	*failure
}{
	{httpadapter.ErrOverloaded, errBusy},
	{httpadapter.ErrRateLimited, errBusyAccount},
	{catalog.ErrNotFound, errNoProduct},
	{catalog.ErrImageNotFound, errNoImage},
	{catalog.ErrImageGone, errNoImage},
	{catalog.ErrPreconditionFailed, errOvertaken},
	{catalog.ErrQuotaExceeded, errQuota},
	{catalog.ErrUnknownOutcome, errUnknown},
	{catalog.ErrClosed, errUnavailable},
	{catalog.ErrUnavailable, errUnavailable},
	{catalog.ErrDamaged, errDamaged},
	{context.Canceled, errUnavailable},
	{context.DeadlineExceeded, errUnavailable},
}

func failureFor(err error) *failure {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	if a := (*authError)(nil); errors.As(err, &a) {
		return a.failure()
	}
	if v := (*catalog.ValidationError)(nil); errors.As(err, &v) {
		return &failure{http.StatusBadRequest, "There can be no such product", refusalText(v)}
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return errTooLarge
	}
	for _, known := range failures {
		if errors.Is(err, known.err) {
			return known.failure
		}
	}
	return errInternal
}

// refusalText says what is wrong with what a page was asked for, which is an ID as a
// rule.
func refusalText(v *catalog.ValidationError) string {
	var says []string
	for _, f := range v.Fields {
		if f.Code == catalog.CodeExternalIDRequired {
			return "The address of the page does not say which product it is about."
		}
		says = append(says, "The ID in the address is not possible. "+sentence(f.Message))
	}
	return strings.Join(says, " ")
}

// fail answers a request that has no account with err.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.failFor(w, r, "", err)
}

// failurePage is what a page about a failure shows.
type failurePage struct{ Text, RequestID, List string }

func (h *Handler) failFor(w http.ResponseWriter, r *http.Request, account string, err error) {
	f, id := failureFor(err), httpadapter.RequestID(w, r)
	p := failurePage{Text: f.text, List: "./"}
	switch lastSegment(r.URL.Path) {
	case "product", "use", "edit", "new", "delete":
		p.List = readListQuery(r.URL.Query()).ref()
	}
	if f == errBusy || f == errBusyAccount {
		w.Header().Set("Retry-After", "2")
	}
	if f.status >= http.StatusInternalServerError {
		p.RequestID = id
		level := slog.LevelError
		switch {
		case r.Context().Err() != nil:
			level = slog.LevelDebug // the client left
		case f.status == http.StatusServiceUnavailable:
			level = slog.LevelWarn
		}
		h.log.Log(r.Context(), level, "dashboard: request failed", "method", r.Method, "status", f.status, "request_id", id, "error", err)
	}
	h.show(w, r, f.status, "failure", page{Title: f.title, Account: account, Body: p})
}
