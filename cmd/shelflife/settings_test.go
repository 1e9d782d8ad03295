package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// parseServe returns what the flags of serve are.
func parseServe(t *testing.T, args ...string) (*serveCmd, error) {
	t.Helper()
	var c cli
	given := new(settings)
	parser, err := kong.New(&c, kong.Vars{"version": "v"}, kong.Resolvers(given))
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"serve"}, args...))
	if given.err != nil {
		err = given.err
	}
	return &c.Serve, err
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shelflife.conf")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// TestSettings: the command line comes before the environment, which comes before the
// file, which comes before defaults.
func TestSettings(t *testing.T) {
	file := writeConfig(t, `# a comment
addr = 127.0.0.1:1
log-level=warn
 log-format = json
data = /var/lib/with = sign
read-only = true
trusted-proxy = 10.0.0.0/8
trusted-proxy = 192.168.0.1
allowed-origin = https://a.example,https://b.example
allowed-origin = https://c.example
cache-size = 64MiB
`)
	c, err := parseServe(t, "--config", file)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", c.Addr)
	require.Equal(t, "/var/lib/with = sign", c.Data)
	require.True(t, c.ReadOnly)
	require.Equal(t, []string{"10.0.0.0/8", "192.168.0.1"}, c.TrustedProxy)
	require.Equal(t, []string{"https://a.example", "https://b.example", "https://c.example"}, c.AllowedOrigin)
	require.EqualValues(t, 64<<20, c.CacheSize)
	require.Equal(t, "warn", c.LogLevel)
	require.Equal(t, "synced", c.Durability)

	t.Setenv("SHELFLIFE_LOG_LEVEL", "error")
	t.Setenv("SHELFLIFE_LOG_FORMAT", "") // as if it were not there
	t.Setenv("SHELFLIFE_TRUSTED_PROXY", "10.1.0.0/16")
	t.Setenv("SHELFLIFE_CONFIG", file)
	c, err = parseServe(t, "--addr", "127.0.0.1:2")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", c.Addr)
	require.Equal(t, "error", c.LogLevel)
	require.Equal(t, "json", c.LogFormat)
	require.Equal(t, []string{"10.1.0.0/16"}, c.TrustedProxy)
	c, err = parseServe(t, "--log-level", "debug", "--config", writeConfig(t, "store = postgres://file\n"))
	require.NoError(t, err)
	require.Equal(t, "debug", c.LogLevel)
	require.Equal(t, "postgres://file", c.Store)
	require.Empty(t, c.Data)
	t.Setenv("SHELFLIFE_STORE", "postgres://environment")
	c, err = parseServe(t, "--config", writeConfig(t, "store = postgres://file\n"))
	require.NoError(t, err)
	require.Equal(t, "postgres://environment", c.Store)
}

// TestOneStore: a store that is named twice, in whatever two places, is refused, and
// both places are named, but not the database.
func TestOneStore(t *testing.T) {
	const url = "postgres://u:sesame@h/d"
	type named struct{ option, variable, line string } // where
	places := func(flag, variable, value string) map[string]named {
		return map[string]named{
			"--" + flag:    {option: value},
			variable:       {variable: value},
			flag + " (":    {line: flag + " = " + value + "\n"},
			"not anywhere": {},
		}
	}
	for dataAt, data := range places("data", "SHELFLIFE_DATA", "/folder") {
		for storeAt, store := range places("store", "SHELFLIFE_STORE", url) {
			t.Run(dataAt+storeAt, func(t *testing.T) {
				t.Setenv("SHELFLIFE_DATA", data.variable)
				t.Setenv("SHELFLIFE_STORE", store.variable)
				args := []string{"--config", writeConfig(t, "prefix = /\n"+data.line+store.line)}
				if data.option != "" {
					args = append(args, "--data", data.option)
				}
				if store.option != "" {
					args = append(args, "--store", store.option)
				}
				c, err := parseServe(t, args...)
				if data == (named{}) || store == (named{}) {
					require.NoError(t, err)
					require.Equal(t, data != (named{}), c.Data == "/folder")
					require.Equal(t, store != (named{}), c.Store == url)
					return
				}
				require.ErrorContains(t, err, "name two stores")
				require.ErrorContains(t, err, dataAt)
				require.ErrorContains(t, err, storeAt)
				require.NotContains(t, err.Error(), "sesame")
			})
		}
	}
}

func TestWrongSettings(t *testing.T) {
	for text, says := range map[string]string{
		"adr = x\n":                             "line 1: there is no flag --adr",
		"\n# c\naddr\n":                         "line 3: not of the form NAME = VALUE",
		"addr =\n":                              "line 1: not of the form NAME = VALUE",
		"addr = a:1\nprefix = /\naddr = a:2\n":  "line 3: addr is there already",
		"api-key = shop=a-key-that-is-secret\n": "line 1: keys are not read from here",
		"config = other\n":                      "line 1: there is no flag --config",
		"demo = true\n":                         "line 1: there is no flag --demo",
		"log-level = loud\n":                    "--log-level must be one of",
		"use-window = soon\n":                   "--use-window",
	} {
		status, out, errs := execute(t, nil, "serve", "--config", writeConfig(t, text))
		require.Equal(t, exitFailure, status)
		require.Empty(t, out)
		require.Contains(t, errs, says)
		require.NotContains(t, errs, "secret")
	}
	status, _, errs := execute(t, nil, "serve", "--config", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, exitFailure, status)
	require.Contains(t, errs, "--config: stat")
	t.Setenv("SHELFLIFE_CONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("SHELFLIFE_VERSION", "1.0") // of an image: nothing of ours
	status, _, _ = execute(t, nil, "completion", "bash")
	require.Equal(t, exitOK, status, "other commands have no such file")
}

// Each variable stands for a flag, and none for a flag that nothing but the command
// line should have.
func TestEnvironmentIsOfFlags(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, kong.Vars{"version": "v"})
	require.NoError(t, err)
	var flags []string
	for _, command := range parser.Model.Children {
		if command.Name == "serve" {
			for _, f := range command.Flags {
				flags = append(flags, f.Name)
			}
		}
	}
	for flag, variable := range environment {
		require.Contains(t, flags, flag)
		require.Equal(t, "SHELFLIFE_"+strings.ToUpper(strings.ReplaceAll(flag, "-", "_")), variable)
	}
	require.NotContains(t, environment, "api-key")
	require.NotContains(t, environment, "version")
	require.Equal(t, len(environment), len(strings.Split(environmentNames(), ", ")))
}
