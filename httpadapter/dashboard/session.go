package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

const (
	// sessionIdle is how long a session lasts without a page that is opened.
	sessionIdle = 12 * time.Hour
	// resealAfter is how old the time in a cookie may become.
	resealAfter = time.Minute
	// maxKey is the longest API key, in bytes: what browsers keep in a cookie.
	maxKey = 1024
	// maxSignInBytes limits the form for signing in: a key of which every byte is
	// escaped, and the page to go to. It is in no account's budget.
	maxSignInBytes = 8 << 10
	// maxNext is the longest reference of that page, as the form sends it: of one
	// that is longer nothing is remembered.
	maxNext = 4 << 10
)

// authorize returns the account of a request. Where it has none, it answers, and
// ok is false.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request, part bool) (account string, ok bool) {
	if h.options.Account != nil {
		account, err := h.options.Account(r)
		if err == nil {
			err = checkAccount(account)
		}
		if err != nil {
			h.fail(w, r, &authError{err})
			return "", false
		}
		return account, true
	}
	now := h.clock.Now()
	s, ok := h.session(r, now)
	if !ok {
		h.toSignIn(w, r, false)
		return "", false
	}
	age := now.Sub(s.checked)
	if age < h.options.Recheck {
		return s.account, true
	}
	switch account, err := h.authenticate(r, s.key); {
	case isRefusal(err) || err == nil && account != s.account:
		h.forget(w, r)
		h.toSignIn(w, r, true)
		return "", false
	case err != nil:
		h.fail(w, r, &authError{err})
		return "", false
	}
	// Not by what a page fetches: an image that arrives late would bring back the
	// session of a person who has signed out meanwhile.
	if !part && age >= resealAfter {
		s.checked = now
		h.remember(w, r, s)
	}
	return s.account, true
}

// session returns the session of a request, if it has one that has not ended.
func (h *Handler) session(r *http.Request, now time.Time) (s session, ok bool) {
	cookie, err := r.Cookie(h.seal.cookie)
	if err != nil {
		return session{}, false
	}
	if s, ok = h.seal.open(cookie.Value); !ok || now.Sub(s.checked) > sessionIdle {
		return session{}, false
	}
	if s.checked.After(now) {
		s.checked = time.Time{} // by another server, whose clock is ahead: ask
	}
	return s, true
}

// authenticate asks the host about a key, with a copy of the request that carries
// it and has nothing else of the person's.
func (h *Handler) authenticate(r *http.Request, key string) (account string, err error) {
	asked := r.Clone(r.Context())
	asked.Body, asked.ContentLength = http.NoBody, 0
	asked.Form, asked.PostForm, asked.MultipartForm = nil, nil, nil
	asked.Header.Del("Cookie")
	asked.Header.Set(h.options.KeyHeader, key)
	if account, err = h.options.Authenticate(asked); err != nil {
		return "", err
	}
	return account, checkAccount(account)
}

func checkAccount(account string) error {
	if account == "" || len(account) > catalog.MaxNameBytes || !utf8.ValidString(account) {
		return fmt.Errorf("dashboard: the account %q is not 1 to %d bytes of valid UTF-8", account, catalog.MaxNameBytes)
	}
	return nil
}

// isRefusal reports whether a key that Authenticate refused with err is no good.
func isRefusal(err error) bool {
	return errors.Is(err, httpadapter.ErrMissingKey) || errors.Is(err, httpadapter.ErrInvalidKey) || errors.Is(err, httpadapter.ErrForbidden)
}

// remember sets the cookie.
func (h *Handler) remember(w http.ResponseWriter, r *http.Request, s session) {
	h.setCookie(w, r, http.Cookie{Name: h.seal.cookie, Value: h.seal.sealed(s)})
}

// forget removes the cookie of the session, and what was chosen in it.
func (h *Handler) forget(w http.ResponseWriter, r *http.Request) {
	h.setCookie(w, r, http.Cookie{Name: h.seal.cookie, MaxAge: -1})
	h.setCookie(w, r, http.Cookie{Name: h.remoteCookie(), MaxAge: -1})
}

// setCookie sets a cookie without a Path, so that it is for the folder in which
// the browser sees the dashboard: behind a proxy only the browser knows it.
func (h *Handler) setCookie(w http.ResponseWriter, r *http.Request, c http.Cookie) {
	c.HttpOnly, c.SameSite = true, http.SameSiteLaxMode
	// The header of a proxy that is not trusted can only make the cookie stricter.
	c.Secure = r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	http.SetCookie(w, &c)
}

// toSignIn sends the browser to the page for signing in, and from there back to
// the page that it wanted.
func (h *Handler) toSignIn(w http.ResponseWriter, r *http.Request, ended bool) {
	query := url.Values{}
	if r.Method == http.MethodGet {
		if next := localReference(lastSegment(r.URL.Path), r.URL.RawQuery); next != "./" && len(url.QueryEscape(next)) <= maxNext {
			query.Set("next", next)
		}
	}
	if ended {
		query.Set("ended", "1")
	}
	to := "./signin"
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	redirect(w, to)
}

func localReference(name, query string) string {
	if query != "" {
		query = "?" + query
	}
	return "./" + name + query
}

// serveSession is signing in and out.
func (h *Handler) serveSession(w http.ResponseWriter, r *http.Request, name string) {
	switch {
	case name == "signin" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		query := r.URL.Query()
		h.showSignIn(w, r, http.StatusOK, signInPage{Next: h.nextPage(query.Get("next")), Ended: query.Get("ended") != ""})
	case name == "signin" && r.Method == http.MethodPost:
		h.signIn(w, r)
	case name == "signout" && r.Method == http.MethodPost:
		h.forget(w, r)
		redirect(w, "./signin")
	default:
		allow := "GET, HEAD, POST"
		if name == "signout" {
			allow = "POST"
		}
		w.Header().Set("Allow", allow)
		h.fail(w, r, errMethod)
	}
}

// signInPage is what the page for signing in shows. The key is not in it.
type signInPage struct {
	Next  string
	Ended bool
	Fault string
}

func (h *Handler) showSignIn(w http.ResponseWriter, r *http.Request, status int, p signInPage) {
	h.show(w, r, status, "signin", page{Title: "Sign in", Body: p})
}

func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxSignInBytes)
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, formError(err))
		return
	}
	// From the body alone: the key must not come in by a URL.
	next, key := h.nextPage(r.PostForm.Get("next")), strings.TrimSpace(r.PostForm.Get("key"))
	refuse := func(fault string) {
		h.showSignIn(w, r, http.StatusUnauthorized, signInPage{Next: next, Fault: fault})
	}
	switch {
	case key == "":
		refuse("Enter your API key.")
		return
	case len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c == 0x7f }):
		refuse("This is no API key.")
		return
	}
	switch account, err := h.authenticate(r, key); {
	case errors.Is(err, httpadapter.ErrForbidden):
		refuse("This API key is not allowed here.")
	case isRefusal(err):
		refuse("This API key is not known.")
	case err != nil:
		h.fail(w, r, &authError{err})
	default:
		h.remember(w, r, session{account: account, key: key, checked: h.clock.Now()})
		redirect(w, next)
	}
}

// nextPage returns the reference of a page of the dashboard, the list for any
// other text.
func (h *Handler) nextPage(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "./"
	}
	name, ok := strings.CutPrefix(u.Path, "./")
	if route, known := h.routes[name]; !ok || !known || route.get == nil || route.part {
		return "./"
	}
	return localReference(name, u.Query().Encode())
}
