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

// TestHashedKeys: a key may be given by its sum, which is no key itself.
func TestHashedKeys(t *testing.T) {
	const sum = "sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90" // of alice
	keys, err := httpadapter.NewAPIKeys(map[string]string{sum: "a", "SHA256:x": "b"})
	require.NoError(t, err)
	ask := func(key string) (string, error) {
		return keys.Authenticate(&http.Request{Header: http.Header{"X-Api-Key": {key}}})
	}
	account, err := ask("alice")
	require.NoError(t, err)
	require.Equal(t, "a", account)
	account, err = ask("SHA256:x")
	require.NoError(t, err)
	require.Equal(t, "b", account)
	for _, wrong := range []string{sum, strings.ToUpper(sum), strings.TrimPrefix(sum, "sha256:")} {
		_, err = ask(wrong)
		require.ErrorIs(t, err, httpadapter.ErrInvalidKey)
	}
	for _, bad := range []map[string]string{
		{"sha256:": "a"}, {sum[:70]: "a"}, {sum + "00": "a"}, {sum[:70] + "g": "a"}, {sum: "a", "alice": "b"},
	} {
		_, err := httpadapter.NewAPIKeys(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "2bd806")
	}
}

func TestReplacedKeys(t *testing.T) {
	keys, err := httpadapter.NewAPIKeys(map[string]string{"old": "a", "both": "a"})
	require.NoError(t, err)
	knows := func(key string) bool {
		_, err := keys.Authenticate(&http.Request{Header: http.Header{"X-Api-Key": {key}}})
		return err == nil
	}
	require.Error(t, keys.Replace(map[string]string{"new": "a", "": "a"}))
	require.True(t, knows("old") && !knows("new"), "as it was")
	require.NoError(t, keys.Replace(map[string]string{"new": "a", "both": "a"}))
	require.True(t, knows("new") && knows("both") && !knows("old"))
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
