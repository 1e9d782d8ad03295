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
	require.NoError(t, os.WriteFile(file, []byte("\ufeff# the shop\r\n  shop=k3  \r\n\r\nmy shop=k4,x\n#old=k0\nacme=k1"), 0o600))
	keys, err := readAPIKeys([]string{"acme=k1", "acme=k2==", "b,c=k,5"}, file, " d=k6,e=k7\n\tf=k8 ")
	require.NoError(t, err)
	require.Equal(t, apiKeys{
		"k1": "acme", "k2==": "acme", "k,5": "b,c",
		"k3": "shop", "k4,x": "my shop",
		"k6": "d", "k7": "e", "k8": "f",
	}, keys)
}

func TestAPIKeysRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		entry, says string
	}{
		"no account at all": {"s3cret", "not of the form"},
		"empty":             {"", "not of the form"},
		"empty account":     {"=s3cret", "the account must be"},
		"long account":      {strings.Repeat("a", 256) + "=s3cret", "the account must be"},
		"account not UTF-8": {"\xff=s3cret", "the account must be"},
		"empty key":         {"acme=", `the key of account "acme" is empty`},
		"space":             {"acme= s3cret", "printable ASCII"},
		"not ASCII":         {"acme=s3crét", "printable ASCII"},
		"control character": {"acme=s3cret\x7f", "printable ASCII"},
		"key of another":    {"acme=taken", `accounts "other" and "acme" have the same key`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAPIKeys([]string{"other=taken", tc.entry}, "", "")
			require.ErrorContains(t, err, "--api-key, the 2nd given: ")
			require.ErrorContains(t, err, tc.says)
			require.NotContains(t, err.Error(), "s3cr")
		})
	}
}

func TestAPIKeysErrorsSayWhere(t *testing.T) {
	_, err := readAPIKeys(nil, "", "a=1 b=2,wrong")
	require.EqualError(t, err, "SHELFLIFE_API_KEYS: the 3rd entry: not of the form ACCOUNT=KEY")
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 111: "111th"} {
		require.Equal(t, want, ordinal(n))
	}
}

// FuzzAPIKeys reads a text as a file and as an environment variable. Every key
// that is accepted works in a request, for its account.
func FuzzAPIKeys(f *testing.F) {
	f.Add("acme=secret")
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
