package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHelp(t *testing.T) {
	for name, args := range map[string][]string{
		"shelflife": {"--help"},
		"serve":     {"serve", "--help"},
		"import":    {"import", "--help"},
		"check":     {"check", "--help"},
		"export":    {"export", "--help"},
		"salvage":   {"salvage", "--help"},
		"dump":      {"dump", "--help"},
		"load":      {"load", "--help"},
		"accounts":  {"accounts", "--help"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := execute(t, nil, args...)
			require.Equal(t, exitOK, status)
			require.Empty(t, errs)
			golden(t, filepath.Join("testdata", "help", name+".txt"), out)
		})
	}
}

func TestNoArgumentsIsHelp(t *testing.T) {
	_, help, _ := execute(t, nil, "--help")
	status, out, _ := execute(t, nil)
	require.Equal(t, exitOK, status)
	require.Equal(t, help, out)
}

func TestVersion(t *testing.T) {
	status, out, errs := execute(t, nil, "--version")
	require.Equal(t, exitOK, status)
	require.Empty(t, errs)
	require.Regexp(t, `^shelflife \S+( [0-9a-f]+)? go1\.\S+\n$`, out)
}

func TestWrongUsage(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte("# keys\n\nacme=key-nr-1\nk2-without-account\n"), 0o600))
	data := filepath.Join(t.TempDir(), "store")
	table := filepath.Join(t.TempDir(), "products.csv")
	require.NoError(t, os.WriteFile(table, []byte("externalId,title\na,b\n"), 0o600))
	const key = "a=a-key-that-is-long"
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"unknown command":        {[]string{"fly"}, "fly"},
		"unknown flag":           {[]string{"check", "--fast"}, "--fast"},
		"serve without keys":     {[]string{"serve", "--data", data}, "there is no API key"},
		"serve without data":     {[]string{"serve", "--api-key", key}, "--data or --store is missing"},
		"key without account":    {[]string{"serve", "--data", data, "--api-key", key, "--api-key", "k2-without-account"}, "--api-key, the 2nd given: not of the form ACCOUNT=KEY"},
		"key file, wrong line":   {[]string{"serve", "--data", data, "--api-key-file", keys}, "line 4: not of the form ACCOUNT=KEY"},
		"key file, absent":       {[]string{"serve", "--data", data, "--api-key-file", keys + "2"}, "--api-key-file: stat"},
		"demo with a key":        {[]string{"serve", "--demo", "--api-key", key}, "--demo has a key of its own"},
		"prefix":                 {[]string{"serve", "--data", data, "--api-key", key, "--prefix", "shop"}, `--prefix "shop" must be`},
		"negative window":        {[]string{"serve", "--data", data, "--api-key", key, "--use-window=-1s"}, "--use-window is negative"},
		"negative delay":         {[]string{"serve", "--data", data, "--api-key", key, "--shutdown-delay=-1s"}, "--shutdown-delay is negative"},
		"negative timeout":       {[]string{"serve", "--data", data, "--api-key", key, "--shutdown-timeout=-1s"}, "--shutdown-timeout is negative"},
		"image over request":     {[]string{"serve", "--data", data, "--api-key", key, "--max-image-size=3MiB", "--max-request-size=2MiB"}, "--max-image-size is 3145728 bytes and --max-request-size 2097152: an image comes in a request"},
		"request under image":    {[]string{"serve", "--data", data, "--api-key", key, "--max-request-size=10MiB"}, "--max-image-size is 20971520 bytes and --max-request-size 10485760"},
		"log level":              {[]string{"serve", "--data", data, "--api-key", key, "--log-level=loud"}, "--log-level"},
		"short key":              {[]string{"serve", "--data", data, "--api-key", "a=k"}, "fewer than 8 characters"},
		"long window":            {[]string{"serve", "--data", data, "--api-key", key, "--use-window=61m"}, "--use-window is more than 1h"},
		"no reserve":             {[]string{"serve", "--data", data, "--api-key", key, "--disk-reserve=0"}, `"0" is not a size`},
		"size":                   {[]string{"serve", "--data", data, "--api-key", key, "--cache-size=lots"}, `"lots" is not a size`},
		"cache too small":        {[]string{"serve", "--data", data, "--api-key", key, "--cache-size=1KiB"}, "--cache-size is less than"},
		"durability":             {[]string{"serve", "--data", data, "--api-key", key, "--durability=none"}, "--durability"},
		"no uploads":             {[]string{"serve", "--data", data, "--api-key", key, "--account-uploads=0"}, "--account-uploads is less than 1"},
		"allowed origin":         {[]string{"serve", "--data", data, "--api-key", key, "--allowed-origin", "https://a.example,https://b.example/"}, `--allowed-origin: "https://b.example/" is not how browsers write it: https://b.example`},
		"public path":            {[]string{"serve", "--data", data, "--api-key", key, "--public-path=shop"}, `--public-path "shop" must be a path`},
		"address":                {[]string{"serve", "--data", data, "--api-key", key, "--addr", "nowhere"}, "nowhere"},
		"import without account": {[]string{"import", "--data", data, "-"}, "--account"},
		"import of no file":      {[]string{"import", "--data", data, "--account", "a"}, "<file>"},
		"import of a table":      {[]string{"import", "--data", data, "--account", "a", table}, "nothing was imported: the input begins with neither { nor [: expected one JSON object a line, or one JSON array of objects"},
		"import of absent file":  {[]string{"import", "--data", data, "--account", "a", keys + "2"}, "keys2"},
		"not UTF-8":              {[]string{"import", "--data", data, "--account", "\xff", "-"}, "the 5th argument is not valid UTF-8"},
		"check without data":     {[]string{"check"}, "--data"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := execute(t, nil, tc.args...)
			require.Equal(t, exitFailure, status, errs)
			require.Empty(t, out)
			require.Contains(t, errs, tc.says)
			require.NotContains(t, errs, "k2-without-account", "what may be a key is not shown")
			require.NoDirExists(t, data)
		})
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "512B": 512, "4KiB": 4 << 10, "256MiB": 256 << 20, "2 GiB": 2 << 30, "3KB": 3e3, "5MB": 5e6, "7GB": 7e9,
		"": 0, "0": 0, "-1": 0, "MiB": 0, "1.5MiB": 0, "1TiB": 0, "9223372036854775807GiB": 0, "99999999999999999999": 0,
	} {
		var s byteSize
		err := s.UnmarshalText([]byte(text))
		require.Equal(t, want, int64(s), text)
		require.Equal(t, want == 0, err != nil, text)
	}
}

// golden compares text with a file, or writes it with -update.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}
