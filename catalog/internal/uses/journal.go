package uses

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// journal is the part of the store that makes uses durable before they are in
// the records. A use takes some 50 bytes there, as often as it is written within
// a window; in its record it takes all of the record. It is in parts, which are
// removed when the records show all that is in them, or it was written once more.
//
// It belongs to the goroutine of the Folder.
type journal struct {
	backend backend.Backend
	logger  *slog.Logger
	parts   []journalPart // in order
	size    int           // of all parts, in bytes
	// generation is the backend's when the parts were read: they are those of no other.
	generation uint64
	next       uint64 // the number of the next part
}

// journalPart is one meta entry.
type journalPart struct {
	number uint64
	bytes  int
}

// errTakenBack says that the parts may be gone.
var errTakenBack = fmt.Errorf("%w: the store has healed meanwhile", backend.ErrUnavailable)

const (
	// journalPartBytes is about how long a part gets: far below the size from
	// which a backend may keep values apart.
	journalPartBytes = 8 << 10
	// journalEntry estimates the length of an entry without its strings.
	journalEntry = 22
)

// load hands what an earlier opening left to restore. It fails where a part can't
// be read from the store; one that can't be understood is left alone, for a check
// of the store to report.
//
// Called again it reads the journal anew. Numbers go on from the highest that was
// ever given.
func (j *journal) load(ctx context.Context, restore func(encoding.Use)) error {
	j.generation = backend.Generation(j.backend)
	var from uint64
	// Many parts may have been removed, and an engine may still have to step over
	// what is left of them.
	startKey := encoding.AppendMetaKey(nil, encoding.UseJournalStart)
	_, err := j.backend.Get(ctx, startKey, func(value []byte) (err error) {
		from, err = encoding.DecodeUseJournalStart(value)
		return err
	})
	if encoding.IsUnreadable(err) {
		j.logger.Error("shelflife: could not read where the use journal starts", "error", err)
	} else if err != nil {
		return err
	}
	j.parts, j.size, j.next = nil, 0, max(j.next, from)
	start, _ := journalKey(from)
	_, end := encoding.UseJournalRange()
	for e, err := range j.backend.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{}) {
		if err != nil {
			return err
		}
		number, uses, err := decodeJournalPart(e)
		j.next = max(j.next, number+1)
		if err != nil {
			j.logger.Error("shelflife: could not read a part of the use journal", "error", err)
			continue
		}
		for _, u := range uses {
			restore(u)
		}
		j.add(journalPart{number, len(e.Value)})
	}
	return nil
}

// write makes uses durable.
func (j *journal) write(ctx context.Context, due []encoding.Use) error {
	var (
		parts  []journalPart
		scopes []backend.Scope
		keys   [][]byte
		values [][]byte
	)
	for len(due) > 0 {
		n := partOf(due)
		number := j.next + uint64(len(parts))
		key, scope := journalKey(number)
		value := encoding.AppendUses(nil, due[:n])
		keys, values, scopes = append(keys, key), append(values, value), append(scopes, scope)
		parts = append(parts, journalPart{number, len(value)})
		due = due[n:]
	}
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	generation := backend.Generation(j.backend)
	err := j.backend.Update(ctx, scopes, o, func(_ context.Context, txn backend.Txn) error {
		for i, key := range keys {
			if err := txn.Put(key, values[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// They are there from now on, whether they turn out to be durable or not.
	j.add(parts...)
	j.next += uint64(len(parts))
	if err := j.backend.Durable(ctx, scopes); err != nil {
		return err
	}
	if backend.Generation(j.backend) != generation {
		return errTakenBack
	}
	return nil
}

// partOf returns how many of uses go into one part.
func partOf(uses []encoding.Use) (n int) {
	for size := 0; n < len(uses) && size < journalPartBytes; n++ {
		size += entrySize(&uses[n])
	}
	return n
}

// journalSize estimates what uses take in the journal, in bytes.
func journalSize(uses []encoding.Use) (size int) {
	for i := range uses {
		size += entrySize(&uses[i])
	}
	return size
}

func entrySize(u *encoding.Use) int { return journalEntry + len(u.Account) + len(u.ID) }

// end returns where the journal ends now, for remove.
func (j *journal) end() int { return len(j.parts) }

// remove removes the first n parts.
func (j *journal) remove(ctx context.Context, n int, patient bool) error {
	if n == 0 {
		return nil
	}
	scopes := make([]backend.Scope, n, n+1)
	keys := make([][]byte, n)
	for i, p := range j.parts[:n] {
		keys[i], scopes[i] = journalKey(p.number)
	}
	group, item := encoding.MetaScope(encoding.UseJournalStart)
	scopes = append(scopes, backend.Scope{Group: group, Item: item})
	startKey := encoding.AppendMetaKey(nil, encoding.UseJournalStart)
	start := encoding.AppendUseJournalStart(nil, j.parts[n-1].number+1)
	o := backend.UpdateOptions{Buffered: true, Reclaim: true, Patient: patient}
	err := j.backend.Update(ctx, scopes, o, func(_ context.Context, txn backend.Txn) error {
		// Parts that were removed may be there again: the start would be moved past them,
		// and none would ever find them.
		if backend.Generation(j.backend) != j.generation {
			return errTakenBack
		}
		for i, key := range keys {
			if err := txn.Delete(key, j.parts[i].bytes); err != nil {
				return err
			}
		}
		return txn.Put(startKey, start)
	})
	if err != nil {
		return err
	}
	for _, p := range j.parts[:n] {
		j.size -= p.bytes
	}
	j.parts = j.parts[n:]
	return nil
}

func (j *journal) add(parts ...journalPart) {
	for _, p := range parts {
		j.parts = append(j.parts, p)
		j.size += p.bytes
	}
}

func journalKey(number uint64) (key []byte, scope backend.Scope) {
	name := encoding.UseJournalName(number)
	group, item := encoding.MetaScope(name)
	return encoding.AppendMetaKey(nil, name), backend.Scope{Group: group, Item: item}
}

func decodeJournalPart(e backend.Entry) (number uint64, uses []encoding.Use, err error) {
	name, err := encoding.DecodeMetaKey(e.Key)
	if err != nil {
		return 0, nil, err
	}
	number, ok := encoding.ParseUseJournalName(name)
	if !ok {
		return 0, nil, encoding.ErrCorrupt
	}
	uses, err = encoding.DecodeUses(e.Value)
	return number, uses, err
}
