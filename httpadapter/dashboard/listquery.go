package dashboard

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
)

const (
	// maxTrail bounds the positions of the pages before, in bytes: they are in the
	// URL. The eldest are forgotten first.
	maxTrail = 2 << 10
	// maxPlaceTrail bounds them in the URL of another page that leads back to the
	// list, of which a list has one for each product.
	maxPlaceTrail = 512
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
}

func readListQuery(v url.Values) listQuery {
	q := listQuery{
		prefix: cutText(v.Get("q"), catalog.MaxNameBytes), show: v.Get("show"), from: cutText(v.Get("from"), catalog.MaxNameBytes),
	}
	switch q.show {
	case showAll, showUnlisted, showSoon:
	default:
		q.show = showListed
	}
	if q.from != "" {
		q.trail = v["back"]
		for i, t := range q.trail {
			q.trail[i] = cutText(t, catalog.MaxNameBytes)
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

// values returns what the URL of the page that q asks for says.
func (q listQuery) values() url.Values {
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
	return v
}

// ref returns the reference of the page that q asks for.
func (q listQuery) ref() string { return localReference("", q.values().Encode()) }

// to returns the reference of another page of the dashboard that leads back to
// this one.
func (q listQuery) to(name string) string { return localReference(name, q.place().Encode()) }

// toProduct returns the reference of a page about a product that leads back to this
// one.
func (q listQuery) toProduct(name, id string) string {
	v := q.place()
	v.Set("id", id)
	return localReference(name, v.Encode())
}

// place returns what the URL of another page says about this one. It is read by
// readListQuery, so that it names nothing but a page of the list.
func (q listQuery) place() url.Values {
	q.trail = youngest(q.trail, maxPlaceTrail)
	return q.values()
}

// youngest returns the end of a trail that has n bytes at most.
func youngest(trail []string, n int) []string {
	size := 0
	for i := len(trail) - 1; i >= 0; i-- {
		if size += len(trail[i]) + 1; size > n {
			return trail[i+1:]
		}
	}
	return trail
}

// first is the first page of the same list.
func (q listQuery) first() listQuery {
	q.from, q.trail = "", nil
	return q
}

// next is the page that begins at from.
func (q listQuery) next(from string) listQuery {
	trail := append(q.trail[:len(q.trail):len(q.trail)], q.from)
	q.from, q.trail = from, youngest(trail, maxTrail)
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

// productRef returns the reference of a product's page, which leads back to the
// first page of the list.
func productRef(id string) string { return listQuery{}.toProduct("product", id) }
