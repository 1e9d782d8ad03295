package backendtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/shelflife-db/shelflife/backend"
)

// The suite's keys are group/item/rest, where rest is anything.

// scopeOf is the suite's rule for the scopes of keys.
func scopeOf(key []byte) (backend.Scope, bool) {
	group, rest, ok := bytes.Cut(key, []byte("/"))
	if !ok {
		return backend.Scope{}, false
	}
	item, _, ok := bytes.Cut(rest, []byte("/"))
	return backend.Scope{Group: string(group), Item: string(item)}, ok
}

// key returns the key of an item, followed by rest.
func key(group, item string, rest ...string) []byte {
	return []byte(group + "/" + item + "/" + strings.Join(rest, ""))
}

func item(group, item string) backend.Scope { return backend.Scope{Group: group, Item: item} }

func whole(group string) backend.Scope { return backend.Scope{Group: group} }

// under is the range of all keys of a group, or of the item of it.
func under(group string, items ...string) backend.Range {
	prefix := group + "/"
	for _, i := range items {
		prefix += i + "/"
	}
	return backend.Range{Start: []byte(prefix), End: []byte(prefix[:len(prefix)-1] + "0")} // '0' follows '/'
}

var (
	durable  = backend.UpdateOptions{}
	buffered = backend.UpdateOptions{Buffered: true}

	forward  = backend.ScanOptions{}
	reverse  = backend.ScanOptions{Reverse: true}
	keysOnly = backend.ScanOptions{KeysOnly: true}
)

// errTest is what a callback returns that fails on purpose.
var errTest = errors.New("backendtest: on purpose")

// kv is an entry that is the test's own.
type kv struct{ key, value string }

// get returns the value of key, and whether there is one.
func get(ctx context.Context, r backend.Reader, key []byte) (value string, found bool, err error) {
	ran := 0
	found, err = r.Get(ctx, key, func(v []byte) error {
		ran++
		value = string(v)
		return nil
	})
	if err == nil && (ran > 1 || found != (ran == 1)) {
		err = fmt.Errorf("found is %t after %d calls of fn for key %x", found, ran, key)
	}
	return value, found, err
}

// getMany returns the values of those keys that exist, by index.
func getMany(ctx context.Context, r backend.Reader, keys [][]byte) (map[int]string, error) {
	values := map[int]string{}
	err := r.GetMany(ctx, keys, func(i int, v []byte) error {
		if i < 0 || i >= len(keys) {
			return fmt.Errorf("index %d of %d keys", i, len(keys))
		}
		if _, ok := values[i]; ok {
			return fmt.Errorf("index %d for the second time", i)
		}
		values[i] = string(v)
		return nil
	})
	return values, err
}

// scan collects the entries of r.
func scan(ctx context.Context, r backend.Reader, rng backend.Range, o backend.ScanOptions) ([]kv, error) {
	var all []kv
	var last error
	for e, err := range r.Scan(ctx, rng, o) {
		switch {
		case last != nil:
			return nil, fmt.Errorf("a step after the error %w", last)
		case err != nil:
			if e.Key != nil || e.Value != nil {
				return nil, fmt.Errorf("an entry with the error %w", err)
			}
			last = err
		case o.KeysOnly && e.Value != nil:
			return nil, fmt.Errorf("KeysOnly, but the key %x has a value", e.Key)
		default:
			all = append(all, kv{string(e.Key), string(e.Value)})
		}
	}
	return all, last
}

// number reads a counter; a missing one is 0.
func number(ctx context.Context, r backend.Reader, key []byte) (n uint64, err error) {
	_, err = r.Get(ctx, key, func(v []byte) error {
		if len(v) != 8 {
			return fmt.Errorf("a counter of %d bytes at %x", len(v), key)
		}
		n = binary.BigEndian.Uint64(v)
		return nil
	})
	return n, err
}

func putNumber(t backend.Txn, key []byte, n uint64) error {
	return t.Put(key, binary.BigEndian.AppendUint64(nil, n))
}

// add changes the counter at key and returns its new value.
func add(ctx context.Context, t backend.Txn, key []byte, delta int64) (uint64, error) {
	n, err := number(ctx, t, key)
	if err != nil {
		return 0, err
	}
	n += uint64(delta)
	return n, putNumber(t, key, n)
}

// update is Update that must succeed.
func (s *store) update(scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) {
	s.Helper()
	if err := s.Update(s.ctx, scopes, o, fn); err != nil {
		s.Fatalf("Update: %v", err)
	}
}

// put writes entries, each key under its item's scope.
func (s *store) put(o backend.UpdateOptions, entries ...kv) {
	s.Helper()
	scopes := make([]backend.Scope, 0, len(entries))
	for _, e := range entries {
		scope, ok := scopeOf([]byte(e.key))
		if !ok {
			s.Fatalf("no scope for %x", e.key)
		}
		scopes = append(scopes, scope)
	}
	s.update(scopes, o, func(_ context.Context, t backend.Txn) error {
		for _, e := range entries {
			if err := t.Put([]byte(e.key), []byte(e.value)); err != nil {
				return err
			}
		}
		return nil
	})
}

// check fails the test when a read through r does not give value, or nothing
// if that is "".
func (s *store) check(r backend.Reader, key []byte, value string) {
	s.Helper()
	v, found, err := get(s.ctx, r, key)
	switch {
	case err != nil:
		s.Fatalf("Get of %x: %v", key, err)
	case v != value || found != (value != ""):
		s.Fatalf("Get of %x: %s, found %t; want %s", key, brief(v), found, brief(value))
	}
}

// checkScan fails the test when a scan through r does not give want.
func (s *store) checkScan(r backend.Reader, rng backend.Range, o backend.ScanOptions, want []kv) {
	s.Helper()
	got, err := scan(s.ctx, r, rng, o)
	if err != nil {
		s.Fatalf("Scan of %x: %v", rng, err)
	}
	if err := same(got, want); err != nil {
		s.Fatalf("Scan of %x with %+v: %v", rng, o, err)
	}
}

// same compares two lists of entries.
func same(got, want []kv) error {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("%d entries, want %d; missing is key %x", len(got), len(want), want[i].key)
		case i >= len(want):
			return fmt.Errorf("%d entries, want %d; too much is key %x", len(got), len(want), got[i].key)
		case got[i].key != want[i].key:
			return fmt.Errorf("entry %d has key %x, want %x", i, got[i].key, want[i].key)
		case got[i].value != want[i].value:
			return fmt.Errorf("the value of %x is %s, want %s", got[i].key, brief(got[i].value), brief(want[i].value))
		}
	}
	return nil
}

func brief(v string) string {
	if len(v) > 32 {
		return fmt.Sprintf("%q… (%d bytes)", v[:32], len(v))
	}
	return fmt.Sprintf("%q", v)
}

// is fails the test when err does not match want.
func (s *store) is(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: error %v, want %v", what, err, want)
	}
}
