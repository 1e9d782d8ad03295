// Package productkey names a product within the process.
package productkey

// Key identifies a product. It is comparable, for maps and hashes.
type Key struct {
	Account, ID string
}

// Of returns the key of an account's product.
func Of(account, id string) Key { return Key{account, id} }

// Clone returns a key that shares no memory with k, for one that is kept.
func (k Key) Clone() Key {
	both := k.Account + k.ID
	return Key{both[:len(k.Account)], both[len(k.Account):]}
}
