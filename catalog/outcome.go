package catalog

import "fmt"

// Outcome is what a write did to a product. The zero Outcome is that of a
// failed write, and is not valid.
type Outcome uint8

const (
	// Created: there was no live product.
	Created Outcome = iota + 1
	// Edited: the product has a new version.
	Edited
	// Unchanged: the patch said nothing new. A use or a renewal of the
	// lifetime may have been recorded.
	Unchanged
	// Used: there was no patch, and a use was recorded. No upsert has this
	// outcome: it is for those that resolve a product in one of several ways,
	// as package httpadapter does.
	Used
)

var outcomes = [...]string{Created: "created", Edited: "edited", Unchanged: "unchanged", Used: "used"}

// String returns "created", "edited", "unchanged" or "used".
func (o Outcome) String() string {
	if !o.valid() {
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
	return outcomes[o]
}

func (o Outcome) valid() bool { return o >= Created && o <= Used }

// MarshalText returns what String does, and an error if o is not valid.
func (o Outcome) MarshalText() ([]byte, error) {
	if !o.valid() {
		return nil, fmt.Errorf("shelflife: %v is no outcome", o)
	}
	return []byte(o.String()), nil
}

// UnmarshalText reads what MarshalText returned.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, name := range outcomes {
		if name == string(text) && Outcome(i).valid() {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("shelflife: %q is no outcome", text)
}
