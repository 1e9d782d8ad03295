package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestAPIKeysOfAllSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(file, []byte("\ufeff# the shop\r\n  shop=key-nr-3  \r\n\r\nmy shop=key-nr-4,x\n#old=key-nr-0\nacme=key-nr-1"), 0o600))
	keys, warnings, err := readAPIKeys([]string{"acme=key-nr-1", "acme=key-nr-2==", "b,c=key-nr,5"}, file, " d=key-nr-6,e=key-nr-7\n\tf=key-nr-8-which-is-long ")
	require.NoError(t, err)
	require.Equal(t, apiKeys{
		"key-nr-1": "acme", "key-nr-2==": "acme", "key-nr,5": "b,c",
		"key-nr-3": "shop", "key-nr-4,x": "my shop",
		"key-nr-6": "d", "key-nr-7": "e", "key-nr-8-which-is-long": "f",
	}, keys)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "7 of 8 API keys have fewer than 16 characters")
}

func TestAPIKeysRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		entry, says string
	}{
		"no account at all": {"s3cret-s3cret", "not of the form"},
		"empty":             {"", "not of the form"},
		"empty account":     {"=s3cret-s3cret", "the account must be"},
		"long account":      {strings.Repeat("s3cret", 43) + "=s3cret-s3cret", "the account must be"},
		"account not UTF-8": {"s3cret\xff=s3cret-s3cret", "the account must be"},
		"empty key":         {"acme=", "the key is empty"},
		"space":             {"acme= s3cret-s3cret", "printable ASCII"},
		"not ASCII":         {"acme=s3crét-s3crét", "printable ASCII"},
		"control character": {"acme=s3cret-s3cret\x7f", "printable ASCII"},
		"short":             {"acme=s3cret", "fewer than 8 characters"},
		"one character":     {"acme=s", "fewer than 8 characters"},
		"key of another":    {"acme=taken-by-another", "the key was given before"},
		// The wrong way round: what stands where the account should is the key.
		"turned round":                       {"s3cret-s3cret-s3cret=acme", "fewer than 8 characters"},
		"turned round, account with space":   {"s3cret-s3cret-s3cret=the shop of acme", "printable ASCII"},
		"turned round, account not ASCII":    {"s3cret-s3cret-s3cret=bäckerei", "printable ASCII"},
		"turned round, no account":           {"s3cret-s3cret-s3cret=", "the key is empty"},
		"turned round, two of one account":   {"s3cret-s3cret-s3cret=taken-by-another", "the key was given before"},
		"turned round, key of a base64 kind": {"s3cret-s3cret==acme", "fewer than 8 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readAPIKeys([]string{"other=taken-by-another", tc.entry}, "", "")
			require.ErrorContains(t, err, "--api-key, the 2nd given: ")
			require.ErrorContains(t, err, tc.says)
			require.NotContains(t, err.Error(), "s3cr")
		})
	}
}

func TestAPIKeysErrorsSayWhere(t *testing.T) {
	_, _, err := readAPIKeys(nil, "", "a=key-nr-1 b=key-nr-2,wrong")
	require.EqualError(t, err, "SHELFLIFE_API_KEYS: the 3rd entry: not of the form ACCOUNT=KEY")
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 111: "111th"} {
		require.Equal(t, want, ordinal(n))
	}
}

// FuzzAPIKeys reads a text as a file and as an environment variable. Every key
// that is accepted works in a request, for its account.
func FuzzAPIKeys(f *testing.F) {
	f.Add("acme=secret-secret")
	f.Fuzz(func(t *testing.T, text string) {
		for name, add := range map[string]func(apiKeys, string) error{"file": apiKeys.addFile, "environment": apiKeys.addEnvironment} {
			keys := apiKeys{}
			if add(keys, text) != nil {
				continue
			}
			auth, err := httpadapter.NewAPIKeys(keys)
			require.NoError(t, err, name)
			var again strings.Builder
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				account := keys[key]
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set(httpadapter.APIKeyHeader, key)
				got, err := auth.Authenticate(r)
				require.NoError(t, err, name)
				require.Equal(t, account, got, name)
				again.WriteString(account + "=" + key + "\n")
			}
			reread := apiKeys{}
			require.NoError(t, add(reread, again.String()), name)
			require.Equal(t, keys, reread, name)
		}
	})
}
