package httpadapter

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"
)

// APIKeyHeader is the request header that [APIKeys] reads.
const APIKeyHeader = "X-API-Key"

// APIKeys is an authenticator that knows a fixed set of API keys. It keeps
// their SHA-256 sums alone, so keys should be long and random: whoever reads
// the process's memory can try out guessable ones. It is safe for concurrent
// use.
//
// Authenticating costs one hash and one look into a map of sums, however many
// keys there are. The time that takes may tell something about the sum that was
// looked for, which its sender knows, but nothing about a key: a sender that does not know
// one can't choose sums that come close to its own.
type APIKeys struct {
	accounts map[[sha256.Size]byte]string // by the sum of a key
}

// NewAPIKeys returns an authenticator for keys, which maps each API key to the
// account it is for; an account may have several. It fails for an empty key
// and for an account that is not 1 to 255 bytes of valid UTF-8. The error names
// neither: they may have been mistaken for each other.
func NewAPIKeys(keys map[string]string) (*APIKeys, error) {
	a := &APIKeys{accounts: make(map[[sha256.Size]byte]string, len(keys))}
	for key, account := range keys {
		if key == "" {
			return nil, errors.New("httpadapter: an API key is empty")
		}
		if !isAccount(account) {
			return nil, errors.New("httpadapter: the account of an API key is not 1 to 255 bytes of valid UTF-8")
		}
		a.accounts[sha256.Sum256([]byte(key))] = account
	}
	return a, nil
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
	account, ok := a.accounts[sha256.Sum256([]byte(given[0]))]
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
		return fmt.Errorf("httpadapter: the account %q is not 1 to 255 bytes of valid UTF-8", account)
	}
	return nil
}

func isAccount(account string) bool {
	return account != "" && len(account) <= 255 && utf8.ValidString(account)
}
