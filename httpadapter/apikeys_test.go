package httpadapter_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestAPIKeys(t *testing.T) {
	// contract 6: built-in authenticator: header X-API-Key.
	keys, err := httpadapter.NewAPIKeys(map[string]string{"k1": "a", "k2": "a", "k3": "b"})
	require.NoError(t, err)
	ask := func(given ...string) (string, error) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, k := range given {
			r.Header.Add("X-API-Key", k)
		}
		return keys.Authenticate(r)
	}
	for key, account := range map[string]string{"k1": "a", "k2": "a", "k3": "b"} {
		got, err := ask(key)
		require.NoError(t, err)
		require.Equal(t, account, got)
	}
	for _, given := range [][]string{nil, {""}} {
		_, err := ask(given...)
		require.ErrorIs(t, err, httpadapter.ErrMissingKey)
	}
	for _, given := range [][]string{{"k"}, {"k11"}, {"K1"}, {"k1 "}, {"k1", "k1"}, {"a"}} {
		_, err := ask(given...)
		require.ErrorIs(t, err, httpadapter.ErrInvalidKey)
	}
	require.NotContains(t, fmt.Sprintf("%+v", keys), "k1", "keys are kept hashed")

	empty, err := httpadapter.NewAPIKeys(nil)
	require.NoError(t, err)
	_, err = empty.Authenticate(&http.Request{Header: http.Header{"X-Api-Key": {"x"}}})
	require.ErrorIs(t, err, httpadapter.ErrInvalidKey)
	for key, account := range map[string]string{"": "a", "k": "", "l": strings.Repeat("x", 256), "m": "\xff"} {
		_, err := httpadapter.NewAPIKeys(map[string]string{key: account})
		require.Error(t, err)
	}
}

func TestAuthenticator(t *testing.T) {
	// contract 6: an authenticator's error is matched with errors.Is: 401 with
	// WWW-Authenticate, 403, 503, any other 500.
	var result struct {
		account string
		err     error
	}
	e := newEnv(t, setup{options: httpadapter.Options{
		Authenticate: func(*http.Request) (string, error) { return result.account, result.err },
		Challenge:    `Bearer realm="x"`,
	}})
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{httpadapter.ErrMissingKey, 401, "MISSING_API_KEY"},
		{fmt.Errorf("secret: %w", httpadapter.ErrInvalidKey), 401, "INVALID_API_KEY"},
		{fmt.Errorf("secret: %w", httpadapter.ErrForbidden), 403, "FORBIDDEN"},
		{errors.Join(errors.New("secret"), httpadapter.ErrAuthUnavailable), 503, "UNAVAILABLE"},
		{errors.New("secret"), 500, "INTERNAL"},
		{fmt.Errorf("secret: %w", catalog.ErrNotFound), 500, "INTERNAL"},
		{&catalog.ValidationError{Fields: []catalog.FieldError{{Message: "secret"}}}, 500, "INTERNAL"},
	} {
		result.err = tc.err
		for _, target := range []string{"/products", "/nowhere"} {
			r := e.get(target).fails(tc.status, tc.code)
			require.NotContains(t, string(r.body), "secret")
			require.Equal(t, tc.status == 401, r.header.Get("WWW-Authenticate") == `Bearer realm="x"`)
		}
	}
	result.err = nil
	for _, account := range []string{"", "\xff", strings.Repeat("x", 256)} {
		result.account = account
		e.get("/products").fails(500, "INTERNAL")
	}
	result.account = strings.Repeat("x", 255)
	e.get("/products").ok(200)
}

func TestNoAuthenticator(t *testing.T) {
	// Nothing is open by oversight.
	e := newEnv(t, setup{})
	for _, o := range []*httpadapter.Options{nil, {}} {
		h, err := httpadapter.New(e.catalog, o)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/products", nil))
		require.Equal(t, 401, w.Code)
		require.Equal(t, httpadapter.DefaultChallenge, w.Header().Get("WWW-Authenticate"))
	}
}

// TestAPIKeysErrorsHoldNoKey: an account and a key may have changed places.
func TestAPIKeysErrorsHoldNoKey(t *testing.T) {
	for key, account := range map[string]string{"": "s3cret", "s3cret": "", "k": "s3cret\xff", "l": strings.Repeat("s3cret", 50)} {
		_, err := httpadapter.NewAPIKeys(map[string]string{key: account})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
