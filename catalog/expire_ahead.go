package catalog

import (
	"encoding/binary"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// aheadScans is of how many scans what entries said is kept: the index asks for the next
// when half of what the one before has brought is handled.
const aheadScans = 2

// saidAhead is what entries of the expiry space said when a scan met them, until the
// sweeper hands them on: mostly that is a moment later, and nothing has happened to their
// products. Then they need not be read again.
//
// What was said is given once. An entry that comes back failed, and its removal may have
// happened all the same, which tx.saysStill would not see.
//
// It is the sweeper's, which calls expirer.Entries and expirer.Expire one at a time, and
// empty where processes share the store: of other processes' Updates nothing is known.
type saidAhead struct {
	scans []*aheadScan
}

// An aheadScan is what one scan of the expiry space met.
type aheadScan struct {
	// began is the time, and generation that of the backend, before it read anything.
	began      int64
	generation uint64
	// said ascends; what is before next was handed on.
	said []aheadEntry
	next int
	keys pieces
}

type aheadEntry struct {
	key   string
	value encoding.ExpiryValue
}

// aheadKeys is of how many bytes pieces of memory for keys are. One that is due leaves
// the index soon, and in the order in which it came: such entries share memory.
const aheadKeys = 4 << 10

// begin notes that a scan begins, and returns nil where none is to be noted.
func (a *saidAhead) begin(c *Catalog) *aheadScan {
	if !c.exclusive || c.opts.OnExpire != nil {
		return nil
	}
	s := &aheadScan{began: c.now.Now(), generation: c.generation(), keys: pieces{size: aheadKeys}}
	if len(a.scans) == aheadScans {
		a.scans[0] = nil
		a.scans = a.scans[1:]
	}
	a.scans = append(a.scans, s)
	return s
}

// entry returns the index's form of an entry that is due, and notes what it says.
func (s *aheadScan) entry(deadline int64, key []byte, value encoding.ExpiryValue) ttl.Entry {
	own := alias(s.keys.copy(key))
	s.said = append(s.said, aheadEntry{own, value})
	return ttl.Entry{Deadline: deadline, Key: own}
}

// take returns what an entry said when the last scan met it, and the scan, nil if none
// did. It forgets what comes before: entries are handed on in the order of their keys.
func (a *saidAhead) take(key string) (scan *aheadScan, value encoding.ExpiryValue) {
	for _, s := range a.scans {
		for s.next < len(s.said) && s.said[s.next].key <= key {
			if e := &s.said[s.next]; e.key == key {
				scan, value = s, e.value
			}
			s.next++
		}
		if s.next == len(s.said) {
			s.said, s.next = nil, 0
		}
	}
	return scan, value
}

// saysStill reports whether an entry says what it said when a scan met it, and is there.
//
// All who write an expiry entry, or remove it, are counted as renewals of its product but
// for two. The sweeper removes it after it was handed on. And what is created in bulk was
// not there before: who removed the product that the entry was of was counted. Whoever
// wrote before this Update had the scope has been uncounted by now, at a time not before
// that of the scan if the scan did not see it. A store that was healed may have taken back
// what the scan saw.
func (t *tx) saysStill(e *dueEntry, k productkey.Key) bool {
	return e.scan != nil && e.scan.generation == t.generation && t.c.renewals.QuietSince(k, e.scan.began)
}

// seenEntry is the index's form of an entry that a Scan has met: its note is the value
// with the version, where there is one.
func seenEntry(deadline int64, e backend.Entry) ttl.Entry {
	if e.Version == 0 {
		return indexEntry(deadline, e.Key)
	}
	all := make([]byte, 0, len(e.Key)+8+len(e.Value)) // one piece for both
	all = binary.BigEndian.AppendUint64(append(all, e.Key...), uint64(e.Version))
	text := string(append(all, e.Value...))
	return ttl.Entry{Deadline: deadline, Key: text[:len(e.Key)], Note: text[len(e.Key):]}
}

// noted is what the note of an entry says of its value.
func noted(note string) backend.Entry {
	if len(note) < 8 {
		return backend.Entry{}
	}
	return backend.Entry{Version: int64(binary.BigEndian.Uint64([]byte(note[:8]))), Value: []byte(note[8:])}
}
