package httpadapter

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
)

// APIKeyHeader is the request header that [APIKeys] reads.
const APIKeyHeader = "X-API-Key"

// APIKeys is an authenticator that knows a set of API keys. It keeps
// their SHA-256 sums alone, so keys should be long and random: an attacker that reads
// the process's memory can try out guessable ones. It is safe for concurrent
// use.
//
// Authenticating costs one hash and one look into a map of sums, however many
// keys there are. The time that this takes may reveal something about the sum
// that was looked for, which its sender knows, but nothing about a key: without
// the key there is no way to choose sums that come close to its sum.
type APIKeys struct {
	keys atomic.Pointer[sumsOfKeys]
}

// sumsOfKeys are accounts by the SHA-256 sum of a key.
type sumsOfKeys map[[sha256.Size]byte]string

// hashedKey is what a key begins with that is given by its sum.
const hashedKey = "sha256:"

// NewAPIKeys returns an authenticator for keys, which maps each API key to the
// account it is for; an account may have several. A key of the form sha256: and 64
// hexadecimal digits stands for the key that has this sum, so that the
// configuration of a service need not hold its keys.
//
// It fails for an empty key, for one that begins with sha256: and goes on
// otherwise, and for an account that is not 1 to 255 bytes of valid UTF-8. The error
// names neither: they may have been mistaken for each other.
func NewAPIKeys(keys map[string]string) (*APIKeys, error) {
	a := new(APIKeys)
	if err := a.Replace(keys); err != nil {
		return nil, err
	}
	return a, nil
}

// Replace replaces the keys by others, in the form that NewAPIKeys takes. Each
// request is judged by the old keys or by the new ones. After an error the old
// ones stay.
func (a *APIKeys) Replace(keys map[string]string) error {
	sums := make(sumsOfKeys, len(keys))
	for key, account := range keys {
		if key == "" {
			return errors.New("httpadapter: an API key is empty")
		}
		if !isAccount(account) {
			return fmt.Errorf("httpadapter: the account of an API key is not 1 to %d bytes of valid UTF-8", catalog.MaxNameBytes)
		}
		sum, err := sumOfKey(key)
		if err != nil {
			return err
		}
		if other, ok := sums[sum]; ok && other != account {
			return errors.New("httpadapter: an API key is given for two accounts, by itself and by its sum")
		}
		sums[sum] = account
	}
	a.keys.Store(&sums)
	return nil
}

// sumOfKey returns the sum of a key, or the one that it is given by.
func sumOfKey(key string) (sum [sha256.Size]byte, err error) {
	digits, hashed := strings.CutPrefix(key, hashedKey)
	if !hashed {
		return sha256.Sum256([]byte(key)), nil
	}
	decoded, err := hex.DecodeString(digits)
	if err != nil || len(decoded) != len(sum) {
		return sum, errors.New("httpadapter: behind sha256: an API key has no 64 hexadecimal digits")
	}
	return [sha256.Size]byte(decoded), nil
}

// Authenticate is an Options.Authenticate. It returns the account of the key
// in the header X-API-Key, ErrMissingKey if there is none, and ErrInvalidKey
// if it is not known or there are several.
func (a *APIKeys) Authenticate(r *http.Request) (account string, err error) {
	given := r.Header.Values(APIKeyHeader)
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		return "", ErrMissingKey
	}
	if len(given) > 1 {
		return "", ErrInvalidKey
	}
	account, ok := (*a.keys.Load())[sha256.Sum256([]byte(given[0]))]
	if !ok {
		return "", ErrInvalidKey
	}
	return account, nil
}

// authenticate asks the authenticator and refuses accounts that can't be,
// which are its fault and not the client's.
func (h *Handler) authenticate(r *http.Request) (account string, err error) {
	account, err = h.options.Authenticate(r)
	if err != nil {
		return "", &authError{err}
	}
	if err := checkAccount(account); err != nil {
		return "", &authError{err}
	}
	return account, nil
}

// authError keeps an authenticator's error from being told in any other way
// than those that Options.Authenticate lists.
type authError struct{ cause error }

func (e *authError) Error() string { return "authenticating: " + e.cause.Error() }

// Is lets through the sentinels for authenticators and nothing else.
func (e *authError) Is(target error) bool {
	switch target {
	case ErrMissingKey, ErrInvalidKey, ErrForbidden, ErrAuthUnavailable:
		return errors.Is(e.cause, target)
	}
	return false
}

func checkAccount(account string) error {
	if !isAccount(account) {
		return fmt.Errorf("httpadapter: the account %q is not 1 to %d bytes of valid UTF-8", account, catalog.MaxNameBytes)
	}
	return nil
}

func isAccount(account string) bool {
	return account != "" && len(account) <= catalog.MaxNameBytes && utf8.ValidString(account)
}
