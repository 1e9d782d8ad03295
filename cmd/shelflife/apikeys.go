package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// keysVariable is the environment variable that API keys are read from.
const keysVariable = "SHELFLIFE_API_KEYS"

// A key of fewer than minKey characters is refused: it takes no time to find
// one by trying. One of fewer than goodKey gets a warning.
const (
	minKey  = 8
	goodKey = 16
)

// apiKeys maps API keys to their accounts. No error that it returns holds a
// key, or what might be one: an account that it does not like may be a key that
// was typed in its place.
type apiKeys map[string]string

// readAPIKeys collects the keys of the flags, of a file if one is named, and
// of the environment. The warnings are for the operator, and hold no key either.
func readAPIKeys(flags []string, file, environment string) (keys apiKeys, warnings []string, err error) {
	keys = apiKeys{}
	for i, entry := range flags {
		if err := keys.add(entry); err != nil {
			return nil, nil, fmt.Errorf("--api-key, the %s given: %w", ordinal(i+1), err)
		}
	}
	if file != "" {
		text, warning, err := readKeyFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("--api-key-file: %w", err)
		}
		if warning != "" {
			warnings = append(warnings, "--api-key-file: "+warning)
		}
		if err := keys.addFile(text); err != nil {
			return nil, nil, fmt.Errorf("--api-key-file %s: %w", file, err)
		}
	}
	if err := keys.addEnvironment(environment); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keysVariable, err)
	}
	if len(keys) == 0 {
		return nil, nil, errors.New("there is no API key, so that every request would be refused: give --api-key, --api-key-file or " + keysVariable)
	}
	short := 0
	for key := range keys {
		if len(key) < goodKey {
			short++
		}
	}
	if short > 0 {
		warnings = append(warnings, fmt.Sprintf("%d of %d API keys have fewer than %d characters and may be guessed: replace them with long random ones, as \"openssl rand -hex 16\" makes them",
			short, len(keys), goodKey))
	}
	return keys, warnings, nil
}

// addFile adds the keys of a file's text: one ACCOUNT=KEY a line, white space
// around it, blank lines and lines that begin with # ignored.
func (k apiKeys) addFile(text string) error {
	text = strings.TrimPrefix(text, "\ufeff") // some editors begin a file with it
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := k.add(line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// addEnvironment adds the keys of a variable: ACCOUNT=KEY entries with white
// space or commas between them, which neither can hold here.
func (k apiKeys) addEnvironment(text string) error {
	entries := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	for i, entry := range entries {
		if err := k.add(entry); err != nil {
			return fmt.Errorf("the %s entry: %w", ordinal(i+1), err)
		}
	}
	return nil
}

// add adds one ACCOUNT=KEY. The first "=" separates: a key may hold more of
// them, as base64 does, an account can't.
func (k apiKeys) add(entry string) error {
	account, key, ok := strings.Cut(entry, "=")
	switch {
	case !ok:
		return errors.New("not of the form ACCOUNT=KEY")
	case account == "" || len(account) > 255 || !utf8.ValidString(account):
		return errors.New("the account must be 1 to 255 bytes of valid UTF-8")
	case key == "":
		return errors.New("the key is empty (the form is ACCOUNT=KEY)")
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		// A header could not carry it, or not unchanged.
		return errors.New("the key must be printable ASCII without spaces (the form is ACCOUNT=KEY)")
	case strings.HasPrefix(key, hashedKey) && !isSum(key[len(hashedKey):]):
		return errors.New("behind sha256: there are not 64 hexadecimal digits (the form is ACCOUNT=sha256:SUM)")
	case len(key) < minKey:
		return fmt.Errorf("the key has fewer than %d characters and could be guessed (the form is ACCOUNT=KEY)", minKey)
	}
	if other, ok := k[key]; ok && other != account {
		return errors.New("the key was given before, for another account (the form is ACCOUNT=KEY)")
	}
	k[key] = account
	return nil
}

// hashedKey is what a key begins with that is given by its SHA-256 sum, see
// httpadapter.NewAPIKeys.
const hashedKey = "sha256:"

// isSum reports whether text is a SHA-256 sum as hexadecimal digits.
func isSum(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size
}

func ordinal(n int) string {
	suffix := "th"
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		suffix = "st"
	case n%10 == 2:
		suffix = "nd"
	case n%10 == 3:
		suffix = "rd"
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
