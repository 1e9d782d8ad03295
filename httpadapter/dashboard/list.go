package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
)

const (
	// pageSize is how many products a page shows.
	pageSize = 48
	// scanPages bounds the work of a filter, for which there is no index: so many
	// reads of scanSize products, and no more than one page of finds.
	scanPages = 5
	scanSize  = 200
	// maxTrail bounds the positions of the pages before, in bytes: they are in the
	// URL. The eldest are forgotten first.
	maxTrail = 2 << 10
)

// The products that a list shows.
const (
	showListed   = "" // what the API lists
	showAll      = "all"
	showUnlisted = "unlisted"
	showSoon     = "soon"
)

// listQuery is what the URL of a list says.
type listQuery struct {
	prefix string
	show   string
	from   string   // the first ID, "" for the beginning
	trail  []string // the values of from of the pages before; "" is the first page
	remote bool
}

func readListQuery(v url.Values) listQuery {
	q := listQuery{
		prefix: cutText(v.Get("q"), 255), show: v.Get("show"), from: cutText(v.Get("from"), 255),
		remote: v.Get("remote") != "",
	}
	switch q.show {
	case showAll, showUnlisted, showSoon:
	default:
		q.show = showListed
	}
	if q.from != "" {
		q.trail = v["back"]
		for i, t := range q.trail {
			q.trail[i] = cutText(t, 255)
		}
	}
	return q
}

// cutText returns text as valid UTF-8 of at most n bytes.
func cutText(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for len(text) > n {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// ref returns the reference of the page that q asks for.
func (q listQuery) ref() string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("q", q.prefix)
	set("show", q.show)
	set("from", q.from)
	if q.from != "" {
		v["back"] = q.trail
	}
	if q.remote {
		v.Set("remote", "1")
	}
	if len(v) == 0 {
		return "./"
	}
	return "./?" + v.Encode()
}

// first is the first page of the same list.
func (q listQuery) first() listQuery {
	q.from, q.trail = "", nil
	return q
}

// next is the page that begins at from.
func (q listQuery) next(from string) listQuery {
	trail := append(q.trail[:len(q.trail):len(q.trail)], q.from)
	size := 0
	for i := len(trail) - 1; i >= 0; i-- {
		if size += len(trail[i]) + 1; size > maxTrail {
			trail = trail[i+1:]
			break
		}
	}
	q.from, q.trail = from, trail
	return q
}

// previous is the page before; ok is false where that is forgotten.
func (q listQuery) previous() (p listQuery, ok bool) {
	if len(q.trail) == 0 {
		return q, false
	}
	end := len(q.trail) - 1
	q.from, q.trail = q.trail[end], q.trail[:end]
	return q, true
}

// listPage is what a list shows.
type listPage struct {
	Prefix, Show string
	Remote       bool
	Items        []item
	Looked       int    // products that a filter looked at, if it ended early
	LookedTo     string // the last of them
	Damaged      bool   // products in between can't be read

	First, Previous, Next, Continue string // references, "" where there is none
	ShowRemote                      string // the page with the images of other servers
	Self                            string
	SoonDays                        int
}

// Filtered reports whether the list is not that of all listed products.
func (p listPage) Filtered() bool { return p.Prefix != "" || p.Show != showListed }

// item is a product in a list.
type item struct {
	ID, Name, Ref string
	HasTitle      bool
	Picture       picture
	Images        int
	Life          lifetime
	Used          moment
	Listed        bool
}

func (h *Handler) newItem(p *catalog.Product, now time.Time, remote bool) item {
	v := item{
		ID: p.ExternalID, Name: name(p), Ref: productRef(p.ExternalID), Images: len(p.Images),
		Life: newLifetime(p, now), Used: newMoment(p.LastUsedAt, now), Listed: p.Listed,
	}
	v.HasTitle = v.Name != v.ID
	if len(p.Images) > 0 {
		v.Picture = newPicture(p, p.Images[0], remote)
	}
	return v
}

func productRef(id string) string { return "./product?" + url.Values{"id": {id}}.Encode() }

// showList is the first page that people see.
func (h *Handler) showList(w http.ResponseWriter, r *request) error {
	done, err := h.build(r.Context())
	if err != nil {
		return err
	}
	defer done()
	q := readListQuery(r.URL.Query())
	found, err := h.find(r, q)
	if err != nil {
		return err
	}
	remote, now := h.showsRemote(r), h.clock.Now()
	p := listPage{Prefix: q.prefix, Show: q.show, Remote: remote && q.remote, Damaged: found.damaged, Self: q.ref(), SoonDays: soonDays}
	hasRemote := false
	for _, product := range found.products {
		v := h.newItem(product, now, remote)
		hasRemote = hasRemote || v.Picture.Ref == "" && strings.HasPrefix(strings.ToLower(v.Picture.Link), "https:")
		p.Items = append(p.Items, v)
	}
	if q.from != "" {
		p.First = q.first().ref()
		// A page that is not the one before must not be called so.
		if previous, ok := q.previous(); ok {
			p.Previous = previous.ref()
		}
	}
	switch {
	case found.next == "":
	case found.ended:
		p.Continue, p.Looked, p.LookedTo = q.next(found.next).ref(), found.looked, found.last
	default:
		p.Next = q.next(found.next).ref()
	}
	if hasRemote && h.options.RemoteImages == RemoteImagesAsk {
		with := q
		with.remote = true
		p.ShowRemote = with.ref()
	}
	h.allowRemote(w, remote)
	return h.showTo(w, r, http.StatusOK, "list", page{Title: "Products", Section: "products", Notice: notice(r), Body: p})
}

// allowRemote widens the policy of a page that shows images of other servers.
func (h *Handler) allowRemote(w http.ResponseWriter, remote bool) {
	if remote {
		w.Header().Set("Content-Security-Policy", policyBegin+policyRemote)
	}
}

// found is what a list found.
type found struct {
	products []*catalog.Product
	next     string // the position at which the list goes on; "" at its end
	// ended says that a filter looked at as many as it may, the last being last,
	// before the page was full.
	ended   bool
	looked  int
	last    string
	damaged bool
}

// find reads a page: what a filter leaves out is bounded by scanPages.
func (h *Handler) find(r *request, q listQuery) (f found, err error) {
	o := catalog.ListOptions{Prefix: q.prefix, From: q.from, Unlisted: q.show != showListed, Limit: pageSize + 1, PastDamage: true}
	filter := h.filter(q.show)
	if filter != nil {
		o.Limit = scanSize
	}
	for read := 1; ; read++ {
		page, err := h.catalog.List(r.Context(), r.account, o)
		if err != nil {
			return found{}, err
		}
		f.damaged = f.damaged || len(page.Damaged) > 0
		for _, p := range page.Products {
			if filter == nil || filter(p) {
				if len(f.products) == pageSize {
					// It is the first of the next page.
					f.next = between(f.last, p.ExternalID)
					return f, nil
				}
				f.products = append(f.products, p)
			}
			f.last = p.ExternalID
			f.looked++
		}
		switch {
		case !page.HasMore:
			return f, nil
		case filter != nil && read == scanPages:
			f.next, f.ended = behind(f.last), true
			return f, nil
		}
		o.From, o.Cursor = "", page.NextCursor
	}
}

// filter returns what chooses the products of a list, nil where all are shown.
func (h *Handler) filter(show string) func(*catalog.Product) bool {
	switch show {
	case showUnlisted:
		return func(p *catalog.Product) bool { return !p.Listed }
	case showSoon:
		until := h.clock.Now().Add(soon)
		return func(p *catalog.Product) bool { return p.ValidForDays > 0 && p.ExpiresAt.Before(until) }
	}
	return nil
}

// between returns the shortest text that is more than a and at most b, an ID
// behind a.
func between(a, b string) string {
	for end := range b {
		if b[:end] > a {
			return b[:end]
		}
	}
	return b
}

// behind returns a text between the ID a and all IDs behind it: no ID has a
// control character.
func behind(a string) string {
	if len(a) < 255 {
		return a + "\x00"
	}
	return a // that one is looked at again
}

// notice is what a page says about the action that led to it.
func notice(r *request) string {
	return notices[r.URL.Query().Get("done")]
}

// notices are by what the URL of a redirect says.
var notices = map[string]string{
	"used":      "The use was recorded, and the lifetime begins anew.",
	"saved":     "Saved.",
	"unchanged": "Nothing was changed: the product was so already.",
	"created":   "The product was added.",
	"deleted":   "Deleted.",
}
