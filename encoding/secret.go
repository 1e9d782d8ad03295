package encoding

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is random bytes that must not leave the store. However it is printed,
// logged or marshalled as text, alone or as a part of something, it shows
// "(secret)" instead; its bytes are had by slicing it.
type Secret [32]byte

const hidden = "(secret)"

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)

// Format implements [fmt.Formatter], for every verb but %p, which prints pointers.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements [encoding.TextMarshaler], and so hides it from JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
