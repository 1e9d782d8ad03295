package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// useJournal is the part of the store that makes uses durable before they are
// in the records. A use takes some 50 bytes there, as often as it is written
// within a window; in its record it takes all of the record. It is in parts,
// which are removed when the records show all that is in them.
//
// It belongs to the useFolder, and to open and Close while that does not run.
type useJournal struct {
	c     *Catalog
	parts []journalPart // in order
	bytes int           // of all parts
	next  uint64        // the number of the next part
}

// journalPart is one meta entry.
type journalPart struct {
	number uint64
	bytes  int
}

const (
	// journalPartBytes is about how long a part gets: far below the size from
	// which a backend may keep values apart.
	journalPartBytes = 8 << 10
	// journalEntry estimates the length of an entry without its strings.
	journalEntry = 22
)

// load puts what an earlier opening left into the overlay. It fails where a
// part can't be read from the store; one that can't be understood is left alone,
// for Check to report.
func (j *useJournal) load(ctx context.Context) error {
	// Many parts may have been removed, and an engine may still have to step over
	// what is left of them.
	startKey := encoding.AppendMetaKey(nil, encoding.UseJournalStart)
	_, err := j.c.backend.Get(ctx, startKey, func(value []byte) (err error) {
		j.next, err = encoding.DecodeUseJournalStart(value)
		return err
	})
	if isUnreadable(err) {
		j.c.opts.Logger.Error("shelflife: could not read where the use journal starts", "error", err)
	} else if err != nil {
		return err
	}
	start, _ := journalKey(j.next)
	_, end := encoding.UseJournalRange()
	for e, err := range j.c.backend.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{}) {
		if err != nil {
			return err
		}
		number, uses, err := decodeJournalPart(e)
		j.next = max(j.next, number+1)
		if err != nil {
			j.c.opts.Logger.Error("shelflife: could not read a part of the use journal", "error", err)
			continue
		}
		for _, u := range uses {
			j.c.uses.restore(dueUse{productKey{u.Account, u.ID}, u.Incarnation, u.At})
		}
		j.add(journalPart{number, len(e.Value)})
	}
	return nil
}

// write makes uses durable.
func (j *useJournal) write(ctx context.Context, due []dueUse) error {
	var (
		parts  []journalPart
		scopes []backend.Scope
		keys   [][]byte
		values [][]byte
	)
	uses := make([]encoding.Use, 0, min(len(due), journalPartBytes/journalEntry))
	for len(due) > 0 {
		uses = uses[:0]
		for size := 0; len(due) > 0 && size < journalPartBytes; due = due[1:] {
			d := &due[0]
			uses = append(uses, encoding.Use{Account: d.account, ID: d.id, Incarnation: d.incarnation, At: d.at})
			size += journalEntry + len(d.account) + len(d.id)
		}
		number := j.next + uint64(len(parts))
		key, scope := journalKey(number)
		value := encoding.AppendUses(nil, uses)
		keys, values, scopes = append(keys, key), append(values, value), append(scopes, scope)
		parts = append(parts, journalPart{number, len(value)})
	}
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	err := j.c.backend.Update(ctx, scopes, o, func(_ context.Context, txn backend.Txn) error {
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
	return j.c.backend.Durable(ctx, scopes)
}

// end tells where the journal ends now, for remove.
func (j *useJournal) end() int { return len(j.parts) }

// remove removes the first n parts.
func (j *useJournal) remove(ctx context.Context, n int, patient bool) error {
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
	err := j.c.backend.Update(ctx, scopes, o, func(_ context.Context, txn backend.Txn) error {
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
		j.bytes -= p.bytes
	}
	j.parts = j.parts[n:]
	return nil
}

func (j *useJournal) add(parts ...journalPart) {
	for _, p := range parts {
		j.parts = append(j.parts, p)
		j.bytes += p.bytes
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
