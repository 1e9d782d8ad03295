package dashboard

import (
	"net/http"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

const (
	// pageSize is how many products a page shows.
	pageSize = 48
	// scanPages bounds the work of a filter, for which there is no index: so many
	// reads of scanSize products, and no more than one page of finds.
	scanPages = 5
	scanSize  = 200
)

// listPage is what a list shows.
type listPage struct {
	Prefix, Show string
	Items        []item
	Looked       int    // products that a filter looked at, if it ended early
	LookedTo     string // the last of them
	Damaged      bool   // products in between can't be read

	First, Previous, Next, Continue string // references, "" where there is none
	Remote                          remoteChoice
	New, Delete                     string // pages that lead back here
	ChooseAll, ChooseNone           string // this page with every product chosen, and with none
	Chosen                          bool   // it is that
	SoonDays                        int
}

// IsPastEnd reports whether the page begins behind the last product of its list.
func (p listPage) IsPastEnd() bool { return p.First != "" && len(p.Items) == 0 && p.Looked == 0 }

// IsFiltered reports whether the list is not that of all listed products.
func (p listPage) IsFiltered() bool { return p.Prefix != "" || p.Show != showListed }

// WithUnlisted is the same list with the unlisted products in it.
func (p listPage) WithUnlisted() string { return listQuery{prefix: p.Prefix, show: showAll}.ref() }

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

// newItem returns a product of a list; place is the page of it that people go back to.
func (h *Handler) newItem(p *catalog.Product, place listQuery, now time.Time, remote bool) item {
	v := item{
		ID: p.ExternalID, Name: name(p), Ref: place.toProduct("product", p.ExternalID), Images: len(p.Images),
		Life: newLifetime(p, now), Used: newMoment(p.LastUsedAt, now), Listed: p.Listed,
	}
	v.HasTitle = v.Name != v.ID
	if len(p.Images) > 0 {
		v.Picture = newPicture(p, p.Images[0], remote)
	}
	return v
}

// showList is the first page that people see.
func (h *Handler) showList(w http.ResponseWriter, r *request) error {
	if err := h.build(r); err != nil {
		return err
	}
	defer r.built()
	q := readListQuery(r.URL.Query())
	found, err := h.find(r, q)
	if err != nil {
		return err
	}
	remote, now := h.showsRemote(r), h.clock.Now()
	p := listPage{Prefix: q.prefix, Show: q.show, Damaged: found.damaged, New: q.to("new"), Delete: q.to("delete"), SoonDays: soonDays}
	// Without a script a link chooses all. Other links don't carry that along.
	all := q.values()
	all.Set("choose", "all")
	p.ChooseAll, p.ChooseNone, p.Chosen = localReference("", all.Encode()), q.ref(), r.URL.Query().Get("choose") == "all"
	var images []catalog.Image
	for _, product := range found.products {
		p.Items = append(p.Items, h.newItem(product, q, now, remote))
		images = append(images, product.Images[:min(len(product.Images), 1)]...)
	}
	p.Remote = h.chooseRemote(remote, q.ref(), images)
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
	if len(a) < catalog.MaxNameBytes {
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
	"used-kept": "The use was recorded. The product is kept forever, with or without it.",
	"saved":     "Saved.",
	"unchanged": "Nothing was changed: the product is like this already.",
	"created":   "The product was added.",
	"deleted":   "Deleted.",
	"none":      "Nothing was chosen.",
	"remote":    "Images on other servers are shown until you sign out or close the browser.",
	"no-remote": "Images on other servers are not fetched any more.",
}
