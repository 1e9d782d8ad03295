package httpadapter_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

// codes is a host's ResponseWriter that keeps the codes of errors.
type codes struct {
	http.ResponseWriter
	all []string
}

var _ httpadapter.CodeRecorder = (*codes)(nil)

func (c *codes) RecordCode(code string) { c.all = append(c.all, code) }

// wrapped is another one around it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestCodesAreRecorded(t *testing.T) {
	cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	defer cat.Close()
	keys, err := httpadapter.NewAPIKeys(map[string]string{"key": "acct"})
	require.NoError(t, err)
	h, err := httpadapter.New(cat, &httpadapter.Options{Authenticate: keys.Authenticate})
	require.NoError(t, err)
	for _, tc := range []struct {
		method, path, key string
		want              []string
	}{
		{"GET", "/products", "key", nil},
		{"GET", "/products/x", "key", []string{"PRODUCT_NOT_FOUND"}},
		{"HEAD", "/products/x", "key", []string{"PRODUCT_NOT_FOUND"}}, // has no body to look into
		{"GET", "/products", "", []string{"MISSING_API_KEY"}},
		{"GET", "/nowhere", "key", []string{"NOT_FOUND"}},
		{"GET", "/products?limit=0", "key", []string{"VALIDATION_FAILED"}},
		{"PATCH", "/products", "key", []string{"METHOD_NOT_ALLOWED"}},
	} {
		r := httptest.NewRequest(tc.method, tc.path, nil)
		if tc.key != "" {
			r.Header.Set(httpadapter.APIKeyHeader, tc.key)
		}
		c := &codes{ResponseWriter: httptest.NewRecorder()}
		h.ServeHTTP(wrapped{wrapped{c}}, r)
		require.Equal(t, tc.want, c.all, "%s %s", tc.method, tc.path)
		h.ServeHTTP(httptest.NewRecorder(), r) // one that records nothing
	}
}
