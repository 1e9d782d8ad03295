package main

// formatMutations break the rules of what is fixed on disk.
var formatMutations = []mutation{
	{"record: its checksum", record, `if binary.BigEndian.Uint32(data[offChecksum+1:]) != recordSum(data) {`, `if false {`},
	{"record: the checksum is of what stands before it too", record, `crc32.Update(binary.BigEndian.Uint32(data), castagnoli, data[offFlags:])`, `crc32.Checksum(data[offFlags:], castagnoli)`},
	{"record: the images are where the header says", record, `in.bad == "" && in.off != int(binary.BigEndian.Uint32(in.data[offImages+1:]))`, `false`},
	{"record: nothing stands behind the images", record, `s.in.bad == "" && s.in.left() != 0`, `false`},
	{"record: what is not known stays", record, `	dst = append(dst, r.extra...)
	images`, `	images`},
	{"record: its position in the feed stays", record, `putUint64(b, offPosition, codeUint64, r.FeedPosition)`, `putUint64(b, offPosition, codeUint64, 0)`},
	{"record: what is read alone is verified", "catalog/read.go", `return encoding.VerifyRecord(q.data)`, `return nil`},
	{"record: what a list meets is verified", "catalog/lister.go", `if err := encoding.VerifyRecord(record); err != nil {`, `if err := error(nil); err != nil {`},
	{"record: what an Update reads is verified", tx, `		return encoding.DecodeRecordAliasing(data, r)
	})`, `		images, err := encoding.BeginRecord(data, r)
		if err == nil {
			err = images.Rest(r)
		}
		return err
	})`},
	{"record: what is read together is verified", tx, `		return data, encoding.DecodeRecordAliasing(data, r)`, `		images, err := encoding.BeginRecord(data, r)
		if err == nil {
			err = images.Rest(r)
		}
		return data, err`},

	{"chunk: its bytes", "encoding/chunk.go", `if binary.BigEndian.Uint32(value[size:]) != chunkSum(chunk, id, n) {`, `if false {`},
	{"chunk: its place", "encoding/chunk.go", `crc32.Update(crc32.Checksum(chunk, castagnoli), castagnoli, place[:])`, `crc32.Checksum(chunk, castagnoli)`},
	{"chunk: what a reader gives away was verified", "catalog/image_reader.go", `err := encoding.CopyChunk(dst, value, id, n)`, `copy(dst, value); err := error(nil)`},
	{"chunk: what is lent was verified", "catalog/image_reader.go", `if _, err := encoding.DecodeChunk(value, id, n); err != nil {`, `if err := error(nil); err != nil {`},
	{"chunk: only what waits for nothing is lent one", "catalog/image_reader.go", `case *bytes.Buffer, *strings.Builder:`, `case *bytes.Buffer, *strings.Builder, interface{ BlockSize() int }:`},
	{"chunk: one that was verified has its length", "encoding/chunk.go", `if len(value) != size+ChunkTrailer {`, `if len(value) < size+ChunkTrailer {`},
	{"chunk: it is verified each time where the engine keeps no checksums", "catalog/catalog.go", `if props.Checksums {`, `if true {`},
	{"chunk: another of the same blob is not taken for it", "catalog/internal/verifiedchunks/verifiedchunks.go", `(binary.LittleEndian.Uint64(id[:8]) + uint64(n)<<32) | 1`, `binary.LittleEndian.Uint64(id[:8]) | 1`},
	{"upload: memory that goes with the commit is not given back before", "catalog/staging.go", `b.pooled, w.pooled = w.pooled, nil`, `_ = b`},
	{"chunk: one that was fetched ahead was there", "catalog/image_reader.go", `for got < len(right) && right[got] {`, `for got < len(right) {`},
	{"chunk: several at a time of a far store", "catalog/image_reader.go", `return fetchTogether`, `return 1`},
	{"chunk: check verifies", "catalog/check.go", `chunk, err := encoding.DecodeChunk(value, id, n)`, `chunk, err := value[:max(0, len(value)-encoding.ChunkTrailer)], error(nil)`},
	{"chunk: salvage verifies", "catalog/salvage.go", `chunk, err = encoding.DecodeChunk(value, id, 1+n)`, `chunk = value[:max(0, len(value)-encoding.ChunkTrailer)]`},

	{"entries: a flag that is not known has the record read", "encoding/entry.go", `return f&^ExpiryUnlisted != 0`, `return f&(ExpiryRenewed|ExpiryUploads) != 0`},
	{"entries: one is of a record that was renewed", write, `		v.Flags |= encoding.ExpiryRenewed
`, ``},
	{"entries: that has uploads", write, `		v.Flags |= encoding.ExpiryUploads
`, ``},
	{"entries: that is in no list", write, `		v.Flags |= encoding.ExpiryUnlisted
`, ``},
	{"entries: they follow what is written", write, `before.Flags == v.Flags && bits`, `bits`},
	{"entries: and its size", write, `bits.Len32(before.RecordSize) == bits.Len32(v.RecordSize)`, `bits.Len32(before.RecordSize) >= 0`},
	{"entries: a salvaged one says what there is", "catalog/salvage.go", `encoding.AppendExpiryValue(nil, expiryValue(r, len(record)))`, `encoding.AppendExpiryValue(nil, encoding.ExpiryValue{})`},
	{"sweep: what must be read is", expire, `case s.unreadable || s.value.Flags.MustRead():`, `case s.unreadable:`},
	{"sweep: what can't be understood is read", expire, `case s.unreadable || s.value.Flags.MustRead():`, `case s.value.Flags.MustRead():`},
	{"sweep: a use that waits has the record read", expire, `e.Kind != encoding.ExpiryProduct || t.c.uses.Has(k)`, `e.Kind != encoding.ExpiryProduct`},
	{"sweep: what was written since a scan met it is read", "catalog/expire_ahead.go", `t.c.renewals.QuietSince(k, e.scan.began)`, `k.ID != ""`},
	{"sweep: and what a store that healed took back", "catalog/expire_ahead.go", `e.scan.generation == t.generation && `, ``},
	{"sweep: and what other processes may have written", "catalog/expire_ahead.go", `!c.exclusive || c.opts`, `c.opts`},
	{"sweep: a scan brings what it met to the sweep", "catalog/expire_ahead.go", `	s.said = append(s.said, aheadEntry{own, value})
`, ``},
	{"sweep: image bytes are their own", expire, `e.Kind != encoding.ExpiryProduct || t.c.uses`, `t.c.uses`},
	{"get many: what ascends is read by its key", "backend/pebble/txn.go", `order = bytes.Compare(w.it.Key(), key); order < 0`, `order = bytes.Compare(w.it.Key(), key); false`},
	{"get many: a key behind which others are is not there", "backend/pebble/txn.go", `	if order != 0 {
		return nil
	}
`, ``},
	{"get many: damage is that of a key", "backend/pebble/txn.go", `	if !w.at && w.it.Error() != nil {`, `	if false {`},
	{"room: ranges that are joined hold what they held", "backend/pebble/internal/reclaim/ranges.go", `joined[len(joined)-1].End = r.End`, `_ = r.End`},
	{"txn: what many writes wrote is found", "backend/pebble/txn.go", `		t.index[string(t.writes[t.inIndex].key)] = t.inIndex
`, ``},
	{"sweep: hooks are told of products", expire, `	if t.c.opts.OnExpire != nil {
		return entries, nil // which is told of the product
	}`, ``},
	{"sweep: an entry that has gone takes nothing with it", expire, `		case !s.found:
		case`, `		case`},
	{"sweep: entries that can't be read leave it to the records", expire, `	case isDamage(err):
		return entries, nil // the records say what there is
	case err != nil:`, `	case err != nil:`},
	{"sweep: the clock was set back", expire, `		case t.isSetBack(s.entry.Deadline):
			return nil, errSetBack
`, ``},
	{"sweep: the clock was set back, of what is read", expire, `if t.isSetBack(deadline) {`, `if false {`},
	{"sweep: what was not read says nothing of the clock", expire, `if !t.c.clocked || t.c.storeTime.Fresh() {`, `if true {`},
	{"sweep: what is removed leaves the cache", expire, `		t.markGone(productkey.Of(e.Account, e.ID))
`, ``},
	{"sweep: nothing is deleted in lists that is in none", expire, `if unread[i].value.Flags&encoding.ExpiryUnlisted != 0 {`, `if false {`},
	{"sweep: what is listed leaves the list", expire, `if unread[i].value.Flags&encoding.ExpiryUnlisted != 0 {`, `if true {`},
	{"sweep: a scope is of its own account", expire, `i == 0 || e.Account != entries[i-1].Account`, `i == 0`},
	{"sweep: an account is shared with its own entries", "encoding/keys.go", `!account.escaped && string(account.raw) == before.Account`, `len(account.raw) == len(before.Account)`},
	{"sweep: a size of two bytes", "encoding/entry.go", `uint32(data[4])<<8 | uint32(data[5])`, `uint32(data[5])`},
	{"get many: a step may end before the key", "backend/pebble/txn.go", `order = bytes.Compare(w.it.Key(), key); order >= 0 {
				return order`, `order = bytes.Compare(w.it.Key(), key); true {
				return order`},
	{"get many: a step that was given up is followed by a search", "backend/pebble/txn.go", `		case crdb.IterExhausted:`, `		case crdb.IterExhausted, crdb.IterAtLimit:`},
	{"room: keys that are far apart stay so", "backend/pebble/internal/reclaim/ranges.go", `commonPrefix(a, b) <= s.joined || bytes`, `bytes`},
	{"room: keys may come in any order", "backend/pebble/internal/reclaim/ranges.go", `commonPrefix(a, b) <= s.joined || bytes.Compare(a, b) > 0`, `commonPrefix(a, b) <= s.joined`},
	{"locks: an item is of its own group", "backend/pebble/internal/scopelock/table.go", `again := n > 0 && c.Group == scopes[n-1].Group`, `again := n > 0`},
	{"locks: groups come before items", "backend/pebble/internal/scopelock/table.go", `return 1<<30 | int32(o.item)`, `return int32(o.item)`},
	{"index: an entry is there once", "ttl/entryset.go", `	case s.tree.Len() > 0 && s.tree.Has(e):
`, ``},
	{"index: what has gone may come again", "ttl/entryset.go", `	if s.run[i].gone {
		s.live++
	}
	s.run[i] = runEntry{Entry: e}
`, ``},
	{"index: a note that came later counts", "ttl/entryset.go", `	case s.tree.Len() > 0 && s.tree.Has(e):
		s.tree.ReplaceOrInsert(e)
`, `	case s.tree.Len() > 0 && s.tree.Has(e):
`},
	{"index: the first is that of both parts", "ttl/entryset.go", `(!ok || s.run[s.begin].less(e))`, `!ok`},
	{"index: the last is that of both parts", "ttl/entryset.go", `(!ok || e.less(s.run[n-1].Entry))`, `!ok`},
	{"index: an error leaves the end where reading stopped", "ttl/index.go", `		pos = last.next()
`, ``},
	{"compactions: no more than may", "backend/pebble/permits.go", `		c.running++ // nobody else may have it meanwhile
`, ``},
	{"compactions: one that waits runs when another has ended", "backend/pebble/permits.go", `	c.running--
	c.mu.Unlock()
	c.offer()`, `	c.running--
	c.mu.Unlock()`},
	{"compactions: what waits is looked at again", "backend/pebble/permits.go", `	if c.waiting && !c.closed {
		c.timer.Reset(permitEvery)
	}`, ``},
	{"compactions: nobody looks where nothing waits", "backend/pebble/permits.go", `			c.waiting = false
			return`, `			return`},
	{"compactions: one that was refused meanwhile is not forgotten", "backend/pebble/permits.go", `if c.refusals == refusals {`, `if c.refusals >= refusals {`},
	{"compactions: none begins before Pebble is open", "backend/pebble/permits.go", `	if !c.opened {
		return false
	}
`, ``},
	{"compactions: begin when Pebble is open", "backend/pebble/permits.go", `	c.opened = true
	if c.waiting {`, `	c.opened = true
	if false {`},
	{"compactions: wait between loads", "backend/pebble/permits.go", `c.loads == 0 || c.loads`, `true || c.loads`},
	{"compactions: which say so", "backend/pebble/load.go", `	l.permits.load()
`, ``},
	{"compactions: run when enough loads have come", "backend/pebble/permits.go", `c.loads >= loadsTogether || allowed`, `allowed`},
	{"compactions: and at once", "backend/pebble/permits.go", `	if c.waiting && c.loads >= loadsTogether {`, `	if false && c.waiting && c.loads >= loadsTogether {`},
	{"compactions: wait for the next loads then", "backend/pebble/permits.go", `	if c.loads >= loadsTogether {
		c.loads = 0`, `	if c.loads >= loadsTogether {
		_ = 0`},
	{"compactions: run when no more loads come", "backend/pebble/permits.go", `	c.loads = 0
	c.mu.Unlock()`, `	c.mu.Unlock()`},
	{"compactions: that are pressed for wait for no load", "backend/pebble/permits.go", ` || allowed > unpressed`, ``},
	{"compactions: none is offered to a store that is closed", "backend/pebble/permits.go", `	for c.offering {
		c.offered.Wait()
	}
`, ``},
	{"delete account: a damaged product takes its entry with it", remove, `for _, e := range entries[f.id] {`, `for _, e := range entries[f.id][:0] {`},
	{"delete account: and nobody else's", remove, `entry.Kind != encoding.ExpiryProduct || entry.Account != account`, `entry.Kind != encoding.ExpiryProduct`},
	{"check: a second entry", "catalog/check.go", `err == nil && !current && v.Flags.Known()`, `false`},
	{"check: what an entry says", "catalog/check.go", `case !flags.Known() || flags == want:`, `case want&^flags == 0:`},
	{"entries: lists refuse a newer listed one", "catalog/lister.go", `err = encoding.CheckListedValue(e.Value)`, `err = nil`},
	{"entries: the sweeper leaves a newer one", expire, `!readable || errors.Is(err, encoding.ErrNewerSchema)`, `!readable`},
	{"entries: a damaged one keeps nothing in the store", expire, `!readable || errors.Is(err, encoding.ErrNewerSchema)`, `true`},
	{"entries: damage is remembered", expire, `				x.met(err)
				x.c.opts.Logger.Error("shelflife: met an`, `				x.c.opts.Logger.Error("shelflife: met an`},
	{"entries: progress that can't be read is a hint", expire, `	if encoding.IsUnreadable(err) {
		c.noteDamage(wrap("load`, `	if false {
		c.noteDamage(wrap("load`},
	{"entries: check finds renewals that are not said", "catalog/check.go", `case missing&encoding.ExpiryRenewed != 0:`, `case false:`},
	{"entries: check finds uploads that are not said", "catalog/check.go", `case missing&encoding.ExpiryUploads != 0:`, `case false:`},
	{"entries: check looks into the list's", "catalog/check.go", `if err := encoding.CheckListedValue(value); err != nil {`, `if err := error(nil); err != nil {`},
	{"entries: check looks into the store's description", "catalog/check.go", `case name == encoding.StoreMetaName:`, `case false:`},
	{"entries: check looks into the progress", "catalog/check.go", `case name == encoding.SweepProgressName:`, `case false:`},

	{"meta: no partition function that is not known", "encoding/meta.go", `case m.Partition > partitionNewest:`, `case false:`},
	{"meta: an epoch", "encoding/meta.go", `case d.Epoch == 0:`, `case false:`},
	{"meta: a secret", "encoding/meta.go", `len(secret) != len(d.Secret) || Secret(secret) == Secret{}`, `len(secret) != len(d.Secret)`},
	{"meta: a secret is never shown", "encoding/secret.go", `func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }`, `func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, string(s[:])) }`},
	{"meta: nor written as JSON", "encoding/secret.go", `func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }`, ``},
	{"meta: the partition of its engine and no other", "catalog/catalog.go", `meta.Partition != partition || meta.Parts != props.Parts`, `false`},
	{"meta: an engine by a function that stores may have", "catalog/catalog.go", `	if !ok {
		return p, fmt.Errorf("the backend places`, `	if !ok && false {
		return p, fmt.Errorf("the backend places`},
	{"meta: cursors rest on the secret", "catalog/catalog.go", `meta.Secret[:]`, `meta.StoreID[:]`},
	{"salvage: time went back", "catalog/salvage.go", `meta.Epoch, meta.Partition, meta.Parts = newEpoch(), partition, props.Parts`, `meta.Partition, meta.Parts = partition, props.Parts`},
	{"salvage: keys are placed by the new engine", "catalog/salvage.go", `meta.Epoch, meta.Partition, meta.Parts = newEpoch(), partition, props.Parts`, `meta.Epoch = newEpoch()`},
	{"salvage: what of the store itself is damaged stays behind", "catalog/salvage.go", `errors.Is(checkMetaValue(name, value), encoding.ErrCorrupt)`, `false`},

	{"store's time: no process goes by its own", "catalog/catalog.go", `		opts.Clock = storeTime
`, ``},
	{"store's time: one that brings none is refused", "catalog/catalog.go", `c.clocked && !storeTime.Observed()`, `false`},
	{"store's time: an expiry is decided before it is told", tx, `if f.undecided = t.c.clocked && live.ExpiresAt() > before-uses.LongUpdate; f.undecided {`, `if f.undecided {`},
	{"store's time: never behind a read", "catalog/internal/storeclock/storeclock.go", `c.latest = max(c.latest, ahead)`, `c.latest = min(c.latest, ahead)`},
	{"store's time: set back with the store's", "catalog/internal/storeclock/storeclock.go", `age >= 2*window:`, `false:`},
	{"lease: one process sweeps", "catalog/sweeplease.go", `left > 0 && left <= sweepLease.Milliseconds()`, `false`},
	{"lease: not beyond what any takes", "catalog/sweeplease.go", `left > 0 && left <= sweepLease.Milliseconds()`, `left > 0`},
	{"lease: the sweeper asks", "ttl/step.go", `if wait := l.Lease(ctx); wait > 0 {`, `if wait := l.Lease(ctx); false && wait > 0 {`},
}
