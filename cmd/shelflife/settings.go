package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// environment has the variables that stand for flags of serve, by the flag. It is
// written by hand: a prefix that all flags had would also have SHELFLIFE_VERSION, as an
// image may set it, print the version and end. Keys have one of their own, see
// keysVariable, and so has --store.
var environment = map[string]string{
	"addr":             "SHELFLIFE_ADDR",
	"admin-addr":       "SHELFLIFE_ADMIN_ADDR",
	"admin-host":       "SHELFLIFE_ADMIN_HOST",
	"allowed-origin":   "SHELFLIFE_ALLOWED_ORIGIN",
	"api-key-file":     "SHELFLIFE_API_KEY_FILE",
	"cache-size":       "SHELFLIFE_CACHE_SIZE",
	"config":           "SHELFLIFE_CONFIG",
	"data":             "SHELFLIFE_DATA",
	"disk-reserve":     "SHELFLIFE_DISK_RESERVE",
	"durability":       "SHELFLIFE_DURABILITY",
	"log-format":       "SHELFLIFE_LOG_FORMAT",
	"log-level":        "SHELFLIFE_LOG_LEVEL",
	"max-image-size":   "SHELFLIFE_MAX_IMAGE_SIZE",
	"max-request-size": "SHELFLIFE_MAX_REQUEST_SIZE",
	"prefix":           "SHELFLIFE_PREFIX",
	"public-path":      "SHELFLIFE_PUBLIC_PATH",
	"session-key-file": "SHELFLIFE_SESSION_KEY_FILE",
	"shutdown-delay":   "SHELFLIFE_SHUTDOWN_DELAY",
	"shutdown-timeout": "SHELFLIFE_SHUTDOWN_TIMEOUT",
	"spool-dir":        "SHELFLIFE_SPOOL_DIR",
	"tls-cert":         "SHELFLIFE_TLS_CERT",
	"tls-key":          "SHELFLIFE_TLS_KEY",
	"trusted-origin":   "SHELFLIFE_TRUSTED_ORIGIN",
	"trusted-proxy":    "SHELFLIFE_TRUSTED_PROXY",
	"use-window":       "SHELFLIFE_USE_WINDOW",
}

// environmentNames returns the variables of environment for people.
func environmentNames() string {
	var names []string
	for _, name := range environment {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// settings give the flags of serve what the command line does not: the environment
// first, then the file that --config names.
type settings struct {
	read bool
	file string
	// values are those of the file.
	values map[string]setting
	// err is the first fault of the file. The parser would put it under a flag that
	// has nothing to do with it.
	err error
}

// setting is what a file has of a flag.
type setting struct {
	line   int
	values []string
}

var _ kong.Resolver = (*settings)(nil)

// Validate implements kong.Resolver.
func (*settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. It is called for flags that were not given.
func (s *settings) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	command := ctx.Selected()
	if command == nil || command.Name != "serve" {
		return nil, nil
	}
	if !s.read {
		s.read = true
		if s.err = s.load(ctx, command); s.err == nil {
			s.err = s.oneStore(ctx, command)
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	if variable, ok := environment[flag.Name]; ok {
		if value := os.Getenv(variable); value != "" {
			return value, nil
		}
	}
	for _, variable := range flag.Envs {
		if os.Getenv(variable) != "" {
			return nil, nil // the parser has seen to it
		}
	}
	set, ok := s.values[flag.Name]
	switch {
	case !ok:
		return nil, nil
	case flag.Target.Kind() == reflect.Slice:
		var all []any
		for _, value := range set.values {
			if flag.Tag.Sep == -1 {
				all = append(all, value)
				continue
			}
			for _, one := range kong.SplitEscaped(value, flag.Tag.Sep) {
				all = append(all, one)
			}
		}
		return all, nil
	case len(set.values) > 1:
		s.err = fmt.Errorf("%s, line %d: %s is there already", s.file, set.line, flag.Name)
		return nil, s.err
	}
	return set.values[0], nil
}

// oneStore returns an error if the store is named twice, as a folder and as a database,
// wherever: an image or a unit has one name, and whoever gives the other means that.
func (s *settings) oneStore(ctx *kong.Context, serve *kong.Node) error {
	folder, database := s.source(ctx, serve, "data"), s.source(ctx, serve, "store")
	if folder == "" || database == "" {
		return nil
	}
	return fmt.Errorf("%s and %s name two stores: give one of them", folder, database)
}

// source says where a flag is set, "" if it is not.
func (s *settings) source(ctx *kong.Context, serve *kong.Node, name string) string {
	for _, p := range ctx.Path {
		if p.Flag != nil && p.Flag.Name == name {
			return "--" + name
		}
	}
	variables := []string{environment[name]}
	for _, flag := range serve.Flags {
		if flag.Name == name {
			variables = append(variables, flag.Envs...)
		}
	}
	for _, variable := range variables {
		if variable != "" && os.Getenv(variable) != "" {
			return variable
		}
	}
	if set, ok := s.values[name]; ok {
		return fmt.Sprintf("%s (%s, line %d)", name, s.file, set.line)
	}
	return ""
}

// load reads the file, if there is to be one.
func (s *settings) load(ctx *kong.Context, serve *kong.Node) error {
	s.file = os.Getenv(environment["config"])
	for _, flag := range serve.Flags {
		if flag.Name == "config" {
			if given, _ := ctx.FlagValue(flag).(string); given != "" {
				s.file = given
			}
		}
	}
	if s.file == "" {
		return nil
	}
	text, _, err := readRegularFile(s.file)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	s.values, err = parseSettings(text)
	if err != nil {
		return fmt.Errorf("%s, %w", s.file, err)
	}
	known := map[string]bool{}
	for _, flag := range serve.Flags {
		known[flag.Name] = flag.Name != "config" && flag.Name != "help" && flag.Name != "demo"
	}
	for name, set := range s.values {
		switch {
		case name == "api-key":
			err = errors.Join(err, fmt.Errorf("%s, line %d: keys are not read from here: name a file of them with api-key-file", s.file, set.line))
		case !known[name]:
			err = errors.Join(err, fmt.Errorf("%s, line %d: there is no flag --%s for it", s.file, set.line, name))
		}
	}
	return err
}

// parseSettings reads lines of the form NAME = VALUE, where NAME is that of a flag.
func parseSettings(text []byte) (map[string]setting, error) {
	values := map[string]setting{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxKeyFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("line %d: not of the form NAME = VALUE", n)
		}
		values[name] = setting{n, append(values[name].values, value)}
	}
	return values, lines.Err()
}
