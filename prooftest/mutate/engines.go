package main

const hang = "backend/pebble/internal/diskguard/hang.go"

// engineMutations break the rules of the engines.
var engineMutations = []mutation{
	{"postgres: a connection that is refused is no fault of the call", "backend/postgres/errors.go", `case refused(err), code == "",`, `case code == "",`},
	{"postgres: a read that is answered says nothing of writes", "backend/postgres/ready.go", `o != nil && !o.writes {
		s.found(o)`, `o != nil {
		s.found(o)`},
	{"postgres: a commit that wrote nothing says nothing of writes", "backend/postgres/commit.go", `if s.reached(); wrote {`, `if s.reached(); true {`},
	{"postgres: a write that was lost says nothing of later ones", "backend/postgres/ready.go", `if time.Duration(s.answered.Load()) <= sent {`, `if true {`},
	{"postgres: commits that hang are few", "backend/postgres/ready.go", `int(s.stuck.Load()) < s.o.Connections/2`, `true`},
	{"postgres: of units that share a call none is out of date", "backend/postgres/sql.go", `WHERE coalesce(c.ver, 0) <> r.ver);`, `WHERE false);`},
	{"postgres: what is removed is of the version that was read", "backend/postgres/sql.go", `IF n <> a_xcount OR s <> a_xsum THEN`, `IF false THEN`},
	{"postgres: what a scan has shown is believed once", "backend/postgres/txn.go", `if t.believes && i < len(seen)`, `if i < len(seen)`},
	{"postgres: what a scan has shown is compared, whatever comes of it", "backend/postgres/txn.go", `t.states += 2 // whether it is so still the commit says`, ``},
	{"postgres: none is written whose locks others hold", "backend/postgres/sql.go", `bad := bad || busy;`, `bad := bad;`},
	{"postgres: an edit is of the version that was read", "backend/postgres/sql.go", `AND t.ver = $7`, `AND $7::int8 IS NOT NULL`},
	{"postgres: what is expected to be missing is believed once", "backend/postgres/txn.go", `t.believes && backend.ExpectsMissing(ctx)`, `backend.ExpectsMissing(ctx)`},
	{"postgres: what was believed is compared, whatever comes of it", "backend/postgres/txn.go", `t.states += 2 // whether they are missing the commit says`, ``},
	{"postgres: what is inserted may stand beside what is there", "backend/postgres/commit.go", `if sqlState(err) != stateUnique {`, `if true {`},
	{"postgres: one INSERT is of keys that were missing", "backend/postgres/commit.go", `ver != 0 || !written`, `ver < 0 || !written`},
	{"postgres: one INSERT is of all that was read", "backend/postgres/commit.go", `ver != 0 || !written`, `ver != 0 || !written && ver != 0`},
	{"postgres: what is refused of many is sent alone", "backend/postgres/shipment.go", `case err != nil, state == unitBusy:`, `case state == unitBusy:`},
	{"postgres: a call that is held up holds up no other", "backend/postgres/shipment.go", `} else if len(s.quay.waiting) == 1 {
		s.expectLate()`, `} else if len(s.quay.waiting) == 1 {`},
	{"postgres: time does not go back", "backend/postgres/clock.go", `ms = max(ms, high)`, `_ = high`},
	{"a slow flush is no hang", hang, `h.written()`, `0`},
	{"a disk that hangs is told", hang, `unanswered >= h.looks && !hanging`, `false`},
	{"not while it answers", hang, `n != p.before || p.pending.Load() == 0`, `p.pending.Load() == 0`},
	{"and until it answers", hang, `unanswered == 0 && hanging`, `hanging`},
	{"erasure: tables that a snapshot kept are forced", "backend/pebble/pass.go", `if left, err = r.force(ctx, paced, ranges); err != nil {`, `if false {`},
	{"erasure: what is owed is compacted", "backend/pebble/pass.go", `			if err := r.compact(ctx, part.Range); err != nil {
				return nil, err
			}
			if`, `			if`},
	{"erasure: blob files keep no garbage", "backend/pebble/pass.go", `		target = 0
`, ``},
	{"healing: by the error's number", "backend/pebble/internal/diskguard/passing.go", `syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE`, `syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE`},
	{"healing: not where another error was met", "backend/pebble/internal/diskguard/failure.go", `f.Failed() && !f.lasting.Load() && !f.broken.Load()`, `f.Failed() && !f.broken.Load()`},
	{"healing: nor from one that was met later", "backend/pebble/internal/diskguard/failure.go", `if !Passes(cause) && f.lasting.CompareAndSwap(false, true) {`, `if false {`},
	{"healing: no late write", "backend/pebble/internal/diskguard/disk.go", `	_ = d.operations.Close(func() error { return nil })
`, ``},
	{"healing: files that are read are kept", "backend/pebble/internal/diskguard/keeper.go", `	return k.holders > 0
`, `	return false
`},
	{"healing: loops end", "backend/pebble/heal.go", `	o.refuse(errHealing)
	_ = o.updates.Close(func() error { return nil })
`, `	_ = o.updates.Close(func() error { return nil })
	o.life.Refuse()
`},
	{"healing: Updates are over before the caller is told", "backend/pebble/heal.go", `	_ = o.updates.Close(func() error { return nil })
	o.unwatch()
	h.tell(`, `	o.unwatch()
	h.tell(`},
	{"healing: the caller is told", "backend/pebble/heal.go", `		fn(generation)
`, `		_ = fn
`},
	{"healing: calls are told that the disk hangs", "backend/pebble/heal.go", `		hung = h.hang.Begun()
`, ``},
	{"opening: compactions fail rather than wait", "backend/pebble/internal/diskguard/disk.go", `		case !d.opened.Load():
			return errOpening
`, ``},
	{"healing: tries get rarer", "backend/pebble/heal.go", `min(max(1, 2*h.interval), maxHealInterval)`, `max(1, 2*h.interval)`},
	{"rounds: nobody joins one whose sync has begun", "backend/pebble/internal/groupsync/group.go", `	if g.next == nil {
		g.next = &Round{done: make(chan struct{})}
	}
	r := g.next
`, `	if g.next == nil && g.current != nil {
		g.next = g.current
	}
	if g.next == nil {
		g.next = &Round{done: make(chan struct{})}
	}
	r := g.next
	if r == g.current {
		g.next = nil
	}
`},
	{"rounds: a commit joins behind its record", "backend/pebble/durability.go", `	a, err := d.applyPlaced(b, crdb.NoSync)
	if err != nil {
		return pendingSync{}, err
	}
	a.close()
	s := pendingSync{pos: a.pos}
	if durable {
		s.round = d.rounds.Join() // once it is applied, so that the round's mark is behind it
	}
	return s, nil`, `	var round *groupsync.Round
	if durable {
		round = d.rounds.Join()
		<-round.Done()
	}
	a, err := d.applyPlaced(b, crdb.NoSync)
	return pendingSync{pos: a.pos, round: round}, err`},
	{"rounds: those who were answered are awaited", "backend/pebble/internal/groupsync/group.go", `wait > 0 && g.next.members < g.awaited {`, `false {`},
	{"rounds: nobody leads who should await others", "backend/pebble/internal/groupsync/group.go", `if g.busy || g.wait() > 0 && g.awaited > 1 {`, `if g.busy {`},
	{"rounds: who does not come back is not awaited again", "backend/pebble/internal/groupsync/group.go", `	g.skips = g.penalty
`, ``},
	{"rounds: a hang makes nobody wait as long", "backend/pebble/internal/groupsync/group.go", `min(took, 2*g.usual)`, `took`},
	{"rounds: go on behind a commit that failed", "backend/pebble/durability.go", `	// After an error too: others may have joined the round behind this one.
`, `	if err != nil {
		return pendingSync{}, err
	}
`},
	{"rounds: a failed sync is an unknown outcome", "backend/pebble/durability.go", `	if s.round.Err() != nil {
		return d.fail.Unknown()
	}
	return nil`, `	return nil`},
	{"blob files: compactions leave them", "backend/pebble/options.go", `MaxBlobReferenceDepth: math.MaxInt32,`, `MaxBlobReferenceDepth: 10,`},
	{"blob files: a tick leaves a pass its aim", "backend/pebble/blobrewrites.go", `if on != b.loop.on {`, `if b.pass.on = false; on != b.loop.on {`},
	{"blob files: a pass has an aim of its own", "backend/pebble/blobrewrites.go", `[]rewriteAim{b.loop, b.pass}`, `[]rewriteAim{b.loop}`},
	{"a store without its log is refused", "backend/pebble/store.go", `if err := refuseWithoutLog(o.FS, dir); err != nil {`, `if err := refuseWithoutLog(o.FS, dir); false {`},
	{"logs: the newest is there before it is named", "backend/pebble/internal/diskguard/newest.go", `	g.syncDir(g.PathDir(name))
	if g.fail.Failed() {`, `	if g.fail.Failed() {`},
	{"logs: a name that can't be written is taken back", "backend/pebble/internal/diskguard/newest.go", `	if err := g.writeNewest(name); err == nil {`, `	if _ = g.writeNewest(name); true {`},
	{"logs: the newest is not named when it goes", "backend/pebble/internal/diskguard/newest.go", `	if g.newest.log != g.PathBase(log) {`, `	if true {`},
	{"logs: half a name is none", "backend/pebble/internal/diskguard/newest.go", `	if string(text) != newestText(name) {`, `	if false {`},
	{"logs: none is removed while another is begun", "backend/pebble/logs.go", `logs = logs[:slices.Index(logs, *newest)+1]`, `logs = logs[:max(len(logs), slices.Index(logs, *newest))]`},
	{"logs: a kept one is used where one is asked for that was dropped", "backend/pebble/internal/diskguard/logs.go", `if g.logs.fresh || len(g.logs.spare) == 0 {`, `if true {`},
	{"logs: one that was renamed and not opened is made anew", "backend/pebble/internal/diskguard/logs.go", `		if errors.Is(err, fs.ErrNotExist) {
			// An`, `		if false {
			// An`},
	{"logs: what is used again is kept no more", "backend/pebble/internal/diskguard/logs.go", `[]*[]string{&l.names, &l.spare}`, `[]*[]string{&l.names}`},
	{"logs: a store that is closed keeps none for use again", "backend/pebble/engine.go", `	e.keepLogs(0)
`, ``},
	{"erasure: no log is written over meanwhile", "backend/pebble/pass.go", `r.keepLogs(0)`, `_ = 0`},
	{"erasure: a store is left with what it owes", "backend/pebble/engine.go", `if exists && owed {`, `if false && owed {`},
	{"reserve: what was deleted is given back at once below it", "backend/pebble/reclaimer.go", `pass = r.dueWhenShort()`, `pass = reclaim.None`},
	{"backup: what was acknowledged becomes tables", "backend/pebble/checkpoint.go", `	if err := o.flush(); err != nil {
		return nil, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	c := &checkpoint`, `	c := &checkpoint`},
	{"backup: torn logs are left out", "backend/pebble/checkpoint.go", `		err = c.removeLogs()`, ``},
	{"backup: one at a time", "backend/pebble/checkpoint.go", `make(chan struct{}, 1)}`, `make(chan struct{}, 9)}`},
	{"backup: the end of the store ends it", "backend/pebble/checkpoint.go", `		c.closed = true`, ``},
	{"backup: what a crash leaves is removed", "backend/pebble/store.go", `		if err := f.removeCheckpoint(); err != nil {`, `		if err := error(nil); err != nil {`},
	{"backup: a failure of the copy is none of the store", "backend/pebble/engine.go", `	e.guard.Aside(f.checkpointDir())`, ``},
	{"backup: its sum is compared", "backend/pebble/backup.go", `if !bytes.Equal(want, got) {`, `if !bytes.Equal(want, want) {`},
	{"backup: nothing stands behind it", "backend/pebble/backup.go", `	case n > 0:
		return backend.BackupInfo{}, fmt.Errorf("%w: something`, `	case n > 1:
		return backend.BackupInfo{}, fmt.Errorf("%w: something`},
	{"backup: it is restored to an empty folder", "backend/pebble/restore.go", `if name != "lost+found" {`, `if false {`},
	{"backup: a folder that is being restored to is no store", "backend/pebble/contents.go", `case slices.Contains(names, restoringName):`, `case false:`},
	{"backup: a failed one leaves nothing", "backend/pebble/restore.go", `			err = errors.Join(err, f.clear())`, ``},
	{"salvage: a damaged log ends there", "backend/pebble/salvage.go", `d.view.cut = log`, `d.view.cut = damagedLog{}`},
	{"salvage: later logs are not read", "backend/pebble/salvagefs.go", `logNumber(name) > f.cut.number`, `false`},
	{"salvage: what lies before a table that can't be opened", "backend/pebble/damage.go", `bytes.Compare(before, p.next) > 0 &&`, `false &&`},
	{"ballast: dropped for deletions", "backend/pebble/gate.go", `if g.level() == spaceNone && g.folder.ballast.drop() {`, `if false {`},
	{"ballast: not dropped before it is needed", "backend/pebble/gate.go", `if reclaim {
		g.makeRoom()`, `{
		g.makeRoom()`},
	{"ballast: dropped for an opening", "backend/pebble/store.go", `isFull(err) && f.ballast.drop()`, `false`},
	{"ballast: as much again stays free", "backend/pebble/ballast.go", `n < uint64(reserve)+2*uint64(size)`, `n < uint64(reserve)`},
	{"ballast: grows with the store", "backend/pebble/ballast.go", `b.held && size < 2*b.size`, `b.held`},
	{"ballast: none where it takes up no room", "backend/pebble/ballast.go", `after+uint64(size)/2 > before`, `after > before+uint64(size)`},
	{"logs: room in steps", "backend/pebble/internal/diskguard/file.go", `if f.log == nil && f.disk.begin() {`, `if f.disk.begin() {`},
	{"resources: one budget of open files", "backend/pebble/resources.go", `e.Cache, e.FileCache = r.cache, r.files`, `e.Cache = r.cache`},
	{"resources: one cache", "backend/pebble/resources.go", `e.Cache, e.FileCache = r.cache, r.files`, `e.CacheSize = r.cacheSize`},
	{"resources: they stay for what is open", "backend/pebble/resources.go", `if r.closed && r.stores == 0 {`, `if r.closed {`},
	{"a folder that is gone is noticed", "backend/pebble/gate.go", `g.lookAtFolder()`, ``},
	{"a folder is known by its inodes", "backend/pebble/folder.go", `err == nil && (!os.SameFile(now.dir`, `false && (!os.SameFile(now.dir`},
	{"other files are left alone", "backend/pebble/contents.go", `!ownName.MatchString(name) && !isSocket`, `false && !isSocket`},
	{"a store that must exist is not made", "backend/pebble/store.go", `o.MustExist || readOnly != nil`, `readOnly != nil`},
	{"what can't be written is read", "backend/pebble/readonly.go", `return isFull(err) || errors.Is(err, syscall.EROFS)`, `return errors.Is(err, syscall.EROFS)`},
	{"files are for their user alone", "backend/pebble/private.go", `_ = os.Chmod(name, privateFile)
	}
	return file, err`, `}
	return file, err`},
	{"bulk: no commit comes between the sync and the ingestion", "backend/pebble/load.go", `	if err := l.gate.shut(w); err != nil {
		return 0, false, err
	}
	defer l.gate.open()
`, ``},
	{"bulk: the log is synced behind the gate", "backend/pebble/load.go", `	defer l.gate.open()
	if err := l.durable.syncWithin(w); err != nil {
		return 0, false, err
	}
`, `	defer l.gate.open()
`},
	{"bulk: an ordinary commit passes the gate", "backend/pebble/update.go", `	if err := o.loads.gate.pass(w); err != nil {
		return sync, err
	}
	defer o.loads.gate.leave()
`, ``},
	{"bulk: no room is no reason for the log", "backend/pebble/load.go", `if diskguard.Passes(err) {`, `if false {`},
	{"bulk: what can't be linked is not copied", "backend/pebble/internal/diskguard/loads.go", `return target == fs.ErrPermission`, `return false && target == fs.ErrPermission`},
	{"bulk: what a crash has left is removed", "backend/pebble/store.go", `if err := f.removeLoads(); err != nil {`, `if err := error(nil); err != nil {`},
	{"bulk: a table for each writer", "backend/pebble/load.go", `full := max(leastTable, (all+writers-1)/writers)`, `full := max(leastTable, all)`},
	{"bulk: no small tables", "backend/pebble/load.go", `full := max(leastTable, (all+writers-1)/writers)`, `full := (all + writers - 1) / writers`},
	{"bulk: no key between two tables is lost", "backend/pebble/load.go", `yield(entries[begin : i+1])`, `yield(entries[begin:max(i, begin+1)])`},
	{"bulk: the last write of a key counts", "backend/pebble/load.go", `return cmp.Compare(a.order, b.order)`, `return cmp.Compare(b.order, a.order)`},
}
