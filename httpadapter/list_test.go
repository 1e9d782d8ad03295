package httpadapter_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type listPage struct {
	Items      []struct{ ExternalID string }
	NextCursor *string
	HasMore    bool
	Count      int
}

func (r *reply) page() (p listPage, ids []string) {
	r.t.Helper()
	r.ok(200)
	var names map[string]json.RawMessage
	require.NoError(r.t, json.Unmarshal(r.body, &names))
	require.Len(r.t, names, 4)
	require.NoError(r.t, json.Unmarshal(r.body, &p))
	require.Equal(r.t, len(p.Items), p.Count, "count = items here")
	require.Equal(r.t, p.HasMore, p.NextCursor != nil, "null on the last page")
	require.Equal(r.t, p.HasMore, r.header.Get("Link") != "")
	for _, i := range p.Items {
		ids = append(ids, i.ExternalID)
	}
	return p, ids
}

var linkNext = regexp.MustCompile(`^<([^>]+)>; rel="next"$`)

func TestListRepeatedParameters(t *testing.T) {
	// contract 6: repeated known ones are refused: one detail for each, whatever
	// its values are.
	e := newEnv(t, setup{})
	for query, names := range map[string][]string{
		"limit=&limit=2":                  {"limit"},
		"limit=2&limit=x&limit=%zz":       {"limit"},
		"limit=%zz":                       {"limit"},
		"unlisted=x&unlisted=y&limit=x":   {"unlisted", "limit"},
		"cursor=x&cursor=y&prefix=%ff":    {"cursor", "prefix"},
		"prefix=%ff&prefix=%ff&limit=900": {"prefix", "limit"},
	} {
		r := e.get("/products?"+query).fails(400, "VALIDATION_FAILED")
		var got struct{ Details []fault }
		require.NoError(t, json.Unmarshal(r.body, &got))
		var paths []string
		for _, d := range got.Details {
			paths = append(paths, d.Path)
		}
		require.ElementsMatch(t, names, paths, query)
	}
}

func TestListTakesNoCondition(t *testing.T) {
	e := newEnv(t, setup{})
	for _, value := range []string{"garbage", `"x"`, "*"} {
		e.get("/products", "If-Match", value, "If-None-Match", value).ok(200)
	}
}

func TestList(t *testing.T) {
	// contract 6: GET /products pages by cursor and by Link, with the same
	// options.
	e := newEnv(t, setup{})
	var all []string
	for i := range 7 {
		id := fmt.Sprintf("p/%d é", i)
		all = append(all, id)
		e.create(id)
	}
	e.create("q")
	e.post("/uses", productBody("p/unlisted")).ok(201)

	_, ids := e.get("/products").page()
	require.Equal(t, append(append([]string{}, all...), "q"), ids)
	_, ids = e.get("/products?unlisted=true").page()
	require.Len(t, ids, 9)
	_, ids = e.get("/products?unlisted=false&prefix=nothing").page()
	require.Empty(t, ids)

	for _, unlisted := range []string{"", "&unlisted=true", "&unlisted=false"} {
		want := all
		if unlisted == "&unlisted=true" {
			want = append(append([]string{}, all...), "p/unlisted")
		}
		var byLink, byCursor []string
		target := "/products?limit=2&later=x&prefix=p%2F" + unlisted
		next := target
		for {
			r := e.get(next)
			p, ids := r.page()
			byLink = append(byLink, ids...)
			if !p.HasMore {
				break
			}
			require.Len(t, ids, 2)
			next = linkNext.FindStringSubmatch(r.header.Get("Link"))[1]
		}
		next = target
		for {
			p, ids := e.get(next).page()
			byCursor = append(byCursor, ids...)
			if !p.HasMore {
				break
			}
			next = target + "&cursor=" + url.QueryEscape(*p.NextCursor)
		}
		require.Equal(t, want, byLink)
		require.Equal(t, want, byCursor)
	}
}

func TestListParameters(t *testing.T) {
	// contract 6: unknown query parameters are ignored, repeated known ones
	// refused; limit is 1-200; unlisted is true or false. 5: an altered cursor
	// is refused.
	e := newEnv(t, setup{})
	e.create("a")
	e.create("b")
	for query, paths := range map[string][]string{
		"limit=0": {"limit"}, "limit=201": {"limit"}, "limit=-1": {"limit"}, "limit=x": {"limit"}, "limit=": {"limit"}, "limit=1.0": {"limit"},
		"limit=99999999999999999999": {"limit"}, "limit=%zz": {"limit"}, "limit=+5": {"limit"},
		"unlisted=1": {"unlisted"}, "unlisted=": {"unlisted"}, "unlisted=TRUE": {"unlisted"}, "unlisted": {"unlisted"},
		"cursor=x": {"cursor"}, "prefix=" + strings.Repeat("x", 256): {"prefix"}, "prefix=%ff": {"prefix"},
		"limit=1&limit=1": {"limit"}, "prefix=a&prefix=a": {"prefix"}, "unlisted=true&unlisted=true": {"unlisted"},
		"limit=500&cursor=x&prefix=%ff&unlisted=maybe": nil,
	} {
		r := e.get("/products?"+query).fails(400, "VALIDATION_FAILED", paths...)
		if paths == nil {
			var got struct{ Details []fault }
			require.NoError(t, json.Unmarshal(r.body, &got))
			var have []string
			for _, d := range got.Details {
				have = append(have, d.Path)
			}
			require.ElementsMatch(t, []string{"limit", "cursor", "prefix", "unlisted"}, have, "all of them")
		}
	}
	for _, query := range []string{"", "later=1&later=2", "Limit=0", "limit=200", "limit=1", "prefix=", "cursor=", "later=%zz", "a;b", "&&=&"} {
		e.get("/products?" + query).ok(200)
	}
	p, _ := e.get("/products?limit=1").page()
	cursor := *p.NextCursor
	e.get("/products?cursor=" + url.QueryEscape(cursor)).ok(200)
	altered := []byte(cursor)
	altered[len(altered)/2] ^= 1
	e.get("/products?cursor="+url.QueryEscape(string(altered))).fails(400, "VALIDATION_FAILED", "cursor")
}
