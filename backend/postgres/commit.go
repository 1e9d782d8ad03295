package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/shelflife-db/shelflife/backend"
)

// Bounds of the locks that one commit holds: the server's table of locks is
// sized for some 64 per connection.
const (
	maxItemLocks = 16  // of a group, before the whole group is locked
	maxLocks     = 128 // before every group is, and of groups before the whole store is
)

// scopeLocks are the locks on the server that scopes stand for, in the order in
// which every commit takes them. A whole group is its lock, exclusive; an item is
// its group's lock, shared, and its own. Where those would be too many all groups are
// locked whole. The store's lock is shared by all but the commits for which those are
// too many, too.
func (s *Store) scopeLocks(scopes map[backend.Scope]struct{}) (locks []int64, exclusive []bool) {
	items := map[string]int{}
	for scope := range scopes {
		if scope.Item == "" {
			items[scope.Group] = maxItemLocks + 1
		} else {
			items[scope.Group]++
		}
	}
	modes := map[int64]bool{}
	lock := func(excl bool, names ...string) {
		n := s.lockNumber(names...)
		modes[n] = modes[n] || excl
	}
	separate := 0 // locks, where only groups with many items are locked whole
	for _, n := range items {
		if separate++; n <= maxItemLocks {
			separate += n
		}
	}
	whole := func(group string) bool { return separate > maxLocks || items[group] > maxItemLocks }
	for group := range items {
		lock(whole(group), "g", group)
	}
	for scope := range scopes {
		if !whole(scope.Group) {
			lock(true, "i", scope.Group, scope.Item)
		}
	}
	if len(modes) > maxLocks {
		clear(modes)
		lock(true, "s")
	} else if len(modes) > 0 {
		lock(false, "s")
	}
	locks, exclusive = make([]int64, 0, len(modes)), make([]bool, 0, len(modes))
	for n := range modes {
		locks = append(locks, n)
	}
	slices.Sort(locks)
	for _, n := range locks {
		exclusive = append(exclusive, modes[n])
	}
	return locks, exclusive
}

// lockNumber is the same in all processes. Names that happen to share one only
// wait for each other.
func (s *Store) lockNumber(names ...string) int64 {
	text := []byte(s.lockSalt)
	for _, n := range names {
		text = append(binary.AppendUvarint(text, uint64(len(n))), n...)
	}
	sum := sha256.Sum256(text)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// rows are what Updates have read and write, but for ranges, as the server takes it.
type rows struct {
	readParts          []int32
	readKeys           byteas
	readVers           []int64
	removeParts        []int32
	removeKeys         byteas
	removeVers         []int64 // notRead, or what was read; see add
	putParts           []int32
	putKeys, putValues byteas
}

// noRows are rows without a nil, which would become NULL.
func noRows() rows {
	return rows{
		readParts: []int32{}, readKeys: byteas{}, readVers: []int64{},
		removeParts: []int32{}, removeKeys: byteas{}, removeVers: []int64{},
		putParts: []int32{}, putKeys: byteas{}, putValues: byteas{},
	}
}

// notRead stands for the version of what is removed whatever it is.
const notRead = -1

// add adds those of a batch. If once, what was there when it was read and is removed is
// not among what was read, but has its version where it is removed: the server looks it
// up once.
func (r *rows) add(s *Store, b *batch, once bool) {
	for k, ver := range b.reads {
		if once && ver != 0 && b.writes.keys[k].deleted {
			continue
		}
		key := []byte(k)
		r.readParts, r.readKeys, r.readVers = append(r.readParts, s.part(key)), append(r.readKeys, key), append(r.readVers, ver)
	}
	// In order, so that statements outside of any scope, a vacuum or a portable
	// commit meet rows in the same order as others.
	keys := make([]string, 0, len(b.writes.keys))
	for k := range b.writes.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare)
	for _, k := range keys {
		w, key := b.writes.keys[k], []byte(k)
		if w.deleted {
			ver, read := b.reads[k]
			switch {
			case !once || !read:
				ver = notRead
			case ver == 0:
				continue // nothing to remove, if it is missing still
			}
			r.removeParts, r.removeKeys, r.removeVers = append(r.removeParts, s.part(key)), append(r.removeKeys, key), append(r.removeVers, ver)
		} else {
			r.putParts, r.putKeys, r.putValues = append(r.putParts, s.part(key)), append(r.putKeys, key), append(r.putValues, w.value)
		}
	}
}

// A change is a batch as the server takes it.
type change struct {
	locks     []int64
	exclusive []bool

	rows
	rangeParts           []int32
	rangeFrom, rangeTo   byteas
	rangeCounts          []int64
	rangeSums            []string
	deleteParts          []int32
	deleteFrom, deleteTo byteas
	removals
	ver   int64
	bytes int  // of what is written, roughly
	isNew bool // see batch.isNew
}

// removals are the keys that a commit removes, in the order of their groups: of the keys
// of a part those that were read are one, and the others another.
type removals struct {
	groupParts         []int32
	groupRead          []bool
	groupFrom, groupTo []int32 // the numbers of the first and the last key, from 1
	groupKeys          byteas
	read               readPart // of all that were read
}

// group makes the groups of what is removed.
func (r *rows) group() removals {
	g := removals{groupParts: []int32{}, groupRead: []bool{}, groupFrom: []int32{}, groupTo: []int32{}, groupKeys: make(byteas, 0, len(r.removeKeys))}
	order := make([]int, len(r.removeKeys))
	for i := range order {
		order[i] = i
	}
	wasRead := func(i int) bool { return r.removeVers[i] != notRead }
	slices.SortStableFunc(order, func(i, j int) int {
		if c := cmp.Compare(r.removeParts[i], r.removeParts[j]); c != 0 || wasRead(i) == wasRead(j) {
			return c
		}
		if wasRead(i) {
			return -1
		}
		return 1
	})
	for n, i := range order {
		if last := len(g.groupParts) - 1; last < 0 || g.groupParts[last] != r.removeParts[i] || g.groupRead[last] != wasRead(i) {
			g.groupParts, g.groupRead = append(g.groupParts, r.removeParts[i]), append(g.groupRead, wasRead(i))
			g.groupFrom, g.groupTo = append(g.groupFrom, int32(n+1)), append(g.groupTo, 0)
		}
		g.groupTo[len(g.groupTo)-1] = int32(n + 1)
		g.groupKeys = append(g.groupKeys, r.removeKeys[i])
		if wasRead(i) {
			g.read.add(r.removeVers[i])
		}
	}
	return g
}

// isNew reports whether a batch writes keys and nothing else, and all that it has read was
// missing and is among them.
func (b *batch) isNew() bool {
	if len(b.reads) == 0 || len(b.ranges)+len(b.writes.ranges) > 0 {
		return false
	}
	for k, ver := range b.reads {
		if _, written := b.writes.keys[k]; ver != 0 || !written {
			return false
		}
	}
	for _, w := range b.writes.keys {
		if w.deleted {
			return false
		}
	}
	return true
}

func (s *Store) change(b *batch) *change {
	c := &change{
		rows:       noRows(),
		rangeParts: []int32{}, rangeFrom: byteas{}, rangeTo: byteas{}, rangeCounts: []int64{}, rangeSums: []string{},
		deleteParts: []int32{}, deleteFrom: byteas{}, deleteTo: byteas{},
		ver: b.ver, bytes: b.writes.bytes, isNew: b.isNew(),
	}
	c.locks, c.exclusive = s.scopeLocks(b.scopes)
	c.add(s, b, !s.portable)
	if !s.portable {
		c.removals = c.group()
	}
	for _, r := range b.ranges {
		for i := range r.parts {
			p := &r.parts[i]
			c.rangeParts = append(c.rangeParts, p.part)
			c.rangeFrom, c.rangeTo = append(c.rangeFrom, r.r.Start), append(c.rangeTo, r.r.End)
			c.rangeCounts, c.rangeSums = append(c.rangeCounts, p.count), append(c.rangeSums, p.text())
		}
	}
	for _, r := range b.writes.ranges {
		first, last := int32(0), int32(s.parts-1)
		if part, ok := s.o.Partition.RangePart(r.Start, r.End, s.parts); ok {
			first, last = int32(part), int32(part)
		}
		for p := first; p <= last; p++ {
			c.deleteParts = append(c.deleteParts, p)
			c.deleteFrom, c.deleteTo = append(c.deleteFrom, r.Start), append(c.deleteTo, r.End)
		}
	}
	return c
}

// call sends the change as one call of the server's function. In a transaction
// it commits with that, else by itself.
func (c *change) call(ctx context.Context, s *Store, conn *pgx.Conn, lockTimeout string) (ok bool, err error) {
	if shared, own, ok := c.editLocks(); ok {
		err = conn.QueryRow(ctx, s.sql.edit, lockTimeout, shared[0], shared[1], own,
			c.putParts[0], c.putKeys[0], c.readVers[0], c.putValues[0], c.ver).Scan(&ok)
		if !errors.Is(err, pgx.ErrNoRows) {
			return ok, err
		}
		// It had no effect: the function waits for the locks, and says whether what was
		// read has changed.
	}
	if c.isNew {
		_, err = conn.Exec(ctx, s.sql.insert, lockTimeout, c.locks, c.exclusive, c.putParts, c.putKeys, c.putValues, c.ver)
		if sqlState(err) != stateUnique {
			return err == nil, err
		}
		// It had no effect, as above: one of the keys is there.
	}
	err = conn.QueryRow(ctx, s.sql.commit, lockTimeout, c.locks, c.exclusive,
		c.readParts, c.readKeys, c.readVers,
		c.rangeParts, c.rangeFrom, c.rangeTo, c.rangeCounts, c.rangeSums,
		c.deleteParts, c.deleteFrom, c.deleteTo,
		c.groupParts, c.groupRead, c.groupFrom, c.groupTo, c.groupKeys, c.removals.read.count, c.removals.read.text(),
		c.putParts, c.putKeys, c.putValues, c.ver).Scan(&ok)
	return ok, err
}

// isEdit reports whether it is about one row alone, which was there.
func (c *change) isEdit() bool {
	return len(c.readKeys) == 1 && len(c.putKeys) == 1 && c.readVers[0] != 0 && bytes.Equal(c.readKeys[0], c.putKeys[0]) &&
		len(c.rangeParts)+len(c.deleteParts)+len(c.removeParts) == 0
}

// editLocks returns the locks of an edit whose scope is one item: those of the store and
// the group, which are shared, and the item's own. ok is false for all else.
func (c *change) editLocks() (shared []int64, own int64, ok bool) {
	if !c.isEdit() {
		return nil, 0, false
	}
	for i, n := range c.locks {
		if c.exclusive[i] {
			own = n
		} else {
			shared = append(shared, n)
		}
	}
	return shared, own, len(shared) == 2 && len(c.locks) == 3
}

// portable sends it as one statement in a transaction, all in one round trip.
func (c *change) portable(ctx context.Context, s *Store, conn *pgx.Conn) (ok bool, err error) {
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL SERIALIZABLE")
	b.Queue(s.sql.portableCommit, c.readParts, c.readKeys, c.readVers,
		c.rangeParts, c.rangeFrom, c.rangeTo, c.rangeCounts, c.rangeSums,
		c.deleteParts, c.deleteFrom, c.deleteTo, c.removeParts, c.removeKeys,
		c.putParts, c.putKeys, c.putValues, c.ver).QueryRow(func(r pgx.Row) error { return r.Scan(&ok) })
	committed := false
	b.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		committed = tag.String() == "COMMIT"
		return nil
	})
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		if sqlState(err) != "" && !conn.IsClosed() && conn.PgConn().TxStatus() != 'I' {
			_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll() // else the pool closes the connection
		}
		return false, err
	}
	return ok && committed, nil
}

// retryContext is how long a commit that surely had no effect is sent again.
func (s *Store) retryContext(patient bool) (context.Context, context.CancelFunc) {
	if patient {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), s.o.CallTimeout)
}

// commit sends a batch, at most once where that could take effect twice. It is
// false when something that was read has changed.
func (s *Store) commit(retry context.Context, b *batch) (ok bool, err error) {
	c := s.change(b)
	var p pause
	for {
		ok, err = s.send(retry, c, b.patient)
		if err == nil || !errors.Is(err, errAgain) {
			return ok, err
		}
		if !p.wait(retry, s.life.Closing()) {
			return false, unavailable(errors.Unwrap(err))
		}
		s.resends.Add(1)
	}
}

// errAgain is matched by errors of commits that surely had no effect and may
// have one when they are sent again.
var errAgain = errors.New("postgres: send again")

type againError struct{ cause error }

func (e *againError) Error() string        { return describe(e.cause) }
func (e *againError) Unwrap() error        { return e.cause }
func (e *againError) Is(target error) bool { return target == errAgain }

// send sends a commit once.
func (s *Store) send(acquire context.Context, c *change, patient bool) (ok bool, err error) {
	if err := s.sendable(patient); err != nil {
		return false, err
	}
	conn, err := s.calls.Acquire(acquire)
	sent := s.sinceOpen()
	if err != nil {
		s.lostWrite(err, sent)
		if transient(err) {
			return false, &againError{err}
		}
		return false, unavailable(err)
	}
	defer conn.Release()
	ctx, cancel := s.commitContext(patient, c.bytes)
	defer cancel()
	takeWarning(conn.Conn())
	if s.portable {
		ok, err = c.portable(ctx, s, conn.Conn())
	} else {
		ok, err = c.call(ctx, s, conn.Conn(), s.lockTimeout(patient))
	}
	return ok, s.judge(conn.Conn(), sent, ok && len(c.putKeys) > 0, err)
}

// commitContext limits the wait for the answer to a commit of so many bytes.
func (s *Store) commitContext(patient bool, bytes int) (context.Context, context.CancelFunc) {
	if patient {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), s.o.CommitTimeout+time.Duration(bytes>>20)*time.Second)
}

// lockTimeout is how long the server waits for commits of other processes, in
// milliseconds: less than its client waits for it, which then knows that there was
// no effect.
func (s *Store) lockTimeout(patient bool) string {
	if patient {
		return "0"
	}
	return strconv.FormatInt(max(1, (s.o.CommitTimeout/2).Milliseconds()), 10)
}

// judge says what the end of a commit on c means that was sent at a time of sinceOpen.
// It wrote if err is nil and there is something that the server had to make durable.
func (s *Store) judge(c *pgx.Conn, sent time.Duration, wrote bool, err error) error {
	if err == nil {
		// The server has committed, and may not know whether its standby has.
		if err := standbyAwaited(c); err != nil {
			s.lostWrite(err, sent)
			return unknown(err)
		}
		if s.reached(); wrote {
			s.wrote(sent)
		}
		return nil
	}
	switch {
	case pgconn.SafeToRetry(err): // nothing was sent
		s.lostWrite(err, sent)
		return &againError{err}
	case ended(err): // it may have come after the commit
		if pgconn.Timeout(err) {
			s.stuck.Add(1)
		}
		s.lostWrite(err, sent)
		return unknown(err)
	}
	// The server's answer: there was no commit.
	switch sqlState(err) {
	case stateSerialization, stateDeadlock, stateLockTimeout:
		return &againError{err}
	case "54000", "22001", "23502":
		return fmt.Errorf("postgres: %w", err)
	case stateReadOnly:
		s.lostWrite(errNoWrites, sent)
	default:
		s.probeSoon() // whether it refuses all writes, or this one
	}
	return unavailable(err)
}
