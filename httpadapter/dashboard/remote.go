package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// remoteChoice is what a page says about images of other servers, where a person
// decides about them.
type remoteChoice struct {
	Ask   bool   // there are some, which are not shown
	Shown bool   // there are some, which are
	Back  string // the page itself
}

// chooseRemote returns what the page back says about those of its images that are of
// other servers.
func (h *Handler) chooseRemote(shown bool, back string, images []catalog.Image) remoteChoice {
	if h.options.RemoteImages != RemoteImagesAsk || !slices.ContainsFunc(images, func(i catalog.Image) bool { return isSecure(i.SourceURL) }) {
		return remoteChoice{}
	}
	return remoteChoice{Ask: !shown, Shown: shown, Back: back}
}

// isSecure reports whether an image is one of another server by https: others are
// never shown.
func isSecure(sourceURL string) bool {
	const scheme = "https:"
	return len(sourceURL) > len(scheme) && strings.EqualFold(sourceURL[:len(scheme)], scheme)
}

// showsRemote reports whether pages show images of other servers to a person. A
// page's policy must allow them then.
func (h *Handler) showsRemote(r *request) bool {
	switch h.options.RemoteImages {
	case RemoteImagesShow:
		return true
	case RemoteImagesAsk:
		cookie, err := r.Cookie(h.remoteCookie())
		return err == nil && cookie.Value == wantsRemote(r.account)
	}
	return false
}

// remoteCookie is the name of the cookie that remembers the answer.
func (h *Handler) remoteCookie() string {
	if h.seal == nil {
		return "shelflife_remote"
	}
	return h.seal.cookie + "_remote"
}

// wantsRemote is the cookie's value for an account: the person who signs in next in the
// same browser is asked anew.
func wantsRemote(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:8])
}

// answerRemote remembers what a person wants to see of images of other servers,
// until the browser ends or the person signs out.
func (h *Handler) answerRemote(w http.ResponseWriter, r *request) error {
	if h.options.RemoteImages != RemoteImagesAsk {
		return errNoSuchPage
	}
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	what := "remote"
	if r.PostForm.Get("show") != "" {
		h.setCookie(w, r.Request, http.Cookie{Name: h.remoteCookie(), Value: wantsRemote(r.account)})
	} else {
		what = "no-remote"
		h.setCookie(w, r.Request, http.Cookie{Name: h.remoteCookie(), MaxAge: -1})
	}
	redirect(w, withDone(h.nextPage(r.PostForm.Get("back")), what))
	return nil
}
