package main

import "slices"

const (
	validate  = "catalog/validate.go"
	imageURL  = "catalog/imageurl.go"
	merge     = "catalog/merge.go"
	record    = "encoding/record.go"
	use       = "catalog/use.go"
	upsert    = "catalog/upsert.go"
	tx        = "catalog/tx.go"
	write     = "catalog/write.go"
	expire    = "catalog/expire.go"
	remove    = "catalog/delete.go"
	looking   = "catalog/look.go"
	viewing   = "catalog/view.go"
	appending = "catalog/appendjson.go"
	cache     = "catalog/internal/recordcache/recordcache.go"
	overlay   = "catalog/internal/uses/overlay.go"
	lifetimes = "catalog/internal/uses/lifetime.go"
	folder    = "catalog/internal/uses/folder.go"
	renewals  = "catalog/internal/uses/renewals.go"
	header    = "catalog/internal/imageheader/"
	budgets   = "httpadapter/internal/budget/pool.go"

	connections = "cmd/shelflife/internal/connlimit/connlimit.go"
)

// allMutations returns those of all files.
func allMutations() []mutation {
	return slices.Concat(mutations, engineMutations, dashboardMutations, formatMutations, clientMutations)
}

// mutations break every rule of validation, merging and lifetimes.
var mutations = []mutation{
	{"a server that stops ends connections by its answers", "cmd/shelflife/leave.go", `w.Header().Set("Connection", "close")`, `_ = w`},
	{"a server that stops is not ready", "cmd/shelflife/leave.go", `return errStopping`, `return of()`},
	{"views: the pending use is on top", viewing, `v.lastUsedAt, v.anchor = s.header.LastUsedAt, s.header.Anchor`, `h := v.record.Header(); v.lastUsedAt, v.anchor = h.LastUsedAt, h.Anchor`},
	{"views: their shape is looked at", viewing, `} else if v.record, err = encoding.ViewRecord(s.data); err != nil {`, `} else if v.record = encoding.ViewChecked(s.data); false {`},
	{"views: Close waits for them", viewing, `	defer c.calls.Exit()
	s := seen{lends: true}`, `	c.calls.Exit()
	s := seen{lends: true}`},
	{"records: plain texts are looked at", "encoding/plaintext.go", `if !isPlain(r.ID) || !isPlain(r.Title) || !isPlain(r.Description) {`, `if !isPlain(r.ID) || !isPlain(r.Title) {`},
	{"records: so are those of images", "encoding/plaintext.go", `!isPlain(im.URL) || !isPlain(im.ContentType)`, `!isPlain(im.URL)`},
	{"records: the flag of plain texts is not kept", record, `flagsKnown = flagListed | flagGenerated | flagPlain`, `flagsKnown = flagListed | flagGenerated`},
	{"check: of plain texts", "catalog/check.go", `encoding.CheckTexts(value, &r); err != nil`, `encoding.CheckTexts(value, &r); false`},
	{"views: a product does not share what is lent", "encoding/recordview.go", `return append([]byte(nil), v.data...)`, `return v.data`},
	{"views: a page ends before the product", viewing, `case count > 0 && errors.Is(err, ErrEndPage):`, `case errors.Is(err, ErrEndPage):`},
	{"views: a page of so many bytes", viewing, `count > 0 && size > o.MaxBytes`, `count > 0 && size >= o.MaxBytes`},
	{"cache: what it takes can be read to its end", "catalog/read.go", `if _, err := encoding.ViewRecord(data); err != nil {
		return false // the reader is told
	}`, ``},
	{"stats: of a process that stood still", "catalog/list.go", `if instant {`, `if false {`},
	{"delete account: what a doomed run passed by goes too", remove, `bytes.Compare(d.some.next, until) < 0 {`, `bytes.Compare(d.some.next, until) > 0 {`},
	{"bulk upserts: those of one product are in order", "catalog/many.go", `return m.meet(before, b)`, `return false`},
	{"the sweep keeps an account in one lane", "catalog/expire_lanes.go", `l := &lanes[places[entries[i].Account]]`, `l := &lanes[i%len(lanes)]`},
	{"delete account: a batch ends before the next", "catalog/delete.go", `products.End = next`, `_ = next`},
	{"get many: the pending use is on top", "catalog/getmany.go", `pending[i].SeeHeader(&s.header)`, `_ = pending[i]`},
	{"get many: what has expired is looked at again", "catalog/getmany.go", `live, err = c.lookAgain(ctx, k, &s)`, `live = true`},
	{"get many: its number", "catalog/getmany.go", `len(ids) > maxGetMany`, `len(ids) > maxGetMany+1`},
	{"edit: conditions come first", "catalog/edit.go", `case !conditionsHold(e.conds, f.live):`, `case false:`},
	{"edit: of what lives", "catalog/edit.go", `case f.live == nil:
		return Result{}, ErrNotFound`, `case f.stored == nil:
		return Result{}, ErrNotFound`},
	{"edit: no uploads", "catalog/edit.go", `if images[i].Upload != nil {`, `if false {`},
	{"condition: says which version stood", "catalog/condition.go", `e.Version = versionOf(old)`, `_ = old`},
	{"JSON: control characters are escaped", "encoding/plaintext.go", `(control | quote | backslash)`, `(control&0 | quote | backslash)`},
	{"JSON: quotes are escaped", "encoding/plaintext.go", `(control | quote | backslash)`, `(control | quote&0 | backslash)`},
	{"JSON: backslashes are escaped", "encoding/plaintext.go", `(control | quote | backslash)`, `(control | quote | backslash&0)`},
	{"JSON: what is no UTF-8 is replaced", "encoding/plaintext.go", `(all&highBits == 0 || utf8.Valid(s))`, `(utf8.Valid(s) || true)`},
	{"JSON: leap days", appending, `(4*days + 3) / 146_097`, `(4*days + 2) / 146_097`},
	{"image: what is copied is verified", "encoding/chunk.go", `binary.BigEndian.Uint32(value[len(dst):]) != chunkSum(dst, id, n)`, `false`},
	{"image: the length of a chunk", "encoding/chunk.go", `len(value) != len(dst)+ChunkTrailer`, `len(value) < len(dst)+ChunkTrailer`},
	{"account: not empty", validate, `account == "" || len(account) > MaxNameBytes`, `len(account) > MaxNameBytes`},
	{"account: its length", validate, `account == "" || len(account) > MaxNameBytes`, `account == ""`},
	{"account: UTF-8", validate, `!utf8.ValidString(account)`, `false`},
	{"externalId: required", validate, `case id == "":`, `case false:`},
	{"externalId: its length", validate, `len(id) > MaxNameBytes`, `len(id) > MaxNameBytes+1`},
	{"externalId: UTF-8", validate, `!utf8.ValidString(id)`, `false`},
	{"externalId: no control characters", validate, `strings.ContainsFunc(id, unicode.IsControl)`, `false && strings.ContainsFunc(id, unicode.IsControl)`},
	{"externalId: not .", validate, `id == "." || id == ".."`, `id == ".."`},
	{"externalId: not ..", validate, `id == "." || id == ".."`, `id == "."`},
	{"externalId: the reserved prefix", merge, `kind != oneShot && strings.HasPrefix(id, generatedPrefix)`, `false && strings.HasPrefix(id, generatedPrefix)`},
	{"title: not null", validate, `if o.IsNull() {
		faults.add(path, CodeValidationFailed, "must not be null; an empty string clears it")`, `if false {
		faults.add(path, CodeValidationFailed, "must not be null; an empty string clears it")`},
	{"title: UTF-8", validate, `if !utf8.ValidString(s) {`, `if false {`},
	{"title: its length", validate, `n > limit`, `n > limit+1`},
	{"title: length in code points", validate, `utf8.RuneCountInString(s)`, `len(s)`},
	{"metadata: their size", validate, `len(compact) > maxBytes`, `len(compact) > maxBytes+1`},
	{"metadata: nesting", validate, `maxNesting-enclosing`, `maxNesting-enclosing+1`},
	{"metadata: null is none", validate, `case string(compact) == "null":`, `case false:`},
	{"metadata: strings byte for byte", validate, `jsontext.PreserveRawStrings(true)`, `jsontext.PreserveRawStrings(false)`},
	{"metadata: no duplicate names", validate, `jsontext.PreserveRawStrings(true)`, `jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true)`},
	{"metadata: valid UTF-8 and surrogates", validate, `jsontext.PreserveRawStrings(true)`, `jsontext.PreserveRawStrings(true), jsontext.AllowInvalidUTF8(true)`},
	{"classifications: an object", validate, `raw != nil && raw[0] != '{'`, `false`},
	{"validForDays: at least 1", validate, `days < 1 || days > maxDays`, `days < 0 || days > maxDays`},
	{"validForDays: at most 365", validate, `days < 1 || days > maxDays`, `days < 1 || days > maxDays+1`},
	{"images: not null", validate, `if o.IsNull() {
		faults.add(path, CodeValidationFailed, "must not be null")`, `if false {
		faults.add(path, CodeValidationFailed, "must not be null")`},
	{"images: not empty", validate, `case len(images) == 0:`, `case false:`},
	{"images: at most 32", validate, `len(images) > c.limits.Images`, `len(images) > c.limits.Images+1`},
	{"images: exactly one source", validate, `sources != 1`, `sources < 1`},
	{"images: at least one source", validate, `sources != 1`, `sources > 1`},
	{"url: its length", validate, `len(raw) > c.limits.URLBytes`, `len(raw) > c.limits.URLBytes+1`},
	{"url: an escape is looked at", imageURL, `c == '%' || c == '#'`, `c == '#'`},
	{"url: a host that is not plain is looked at", imageURL, `!isPlainHost(c) || c == '.' && last == '.'`, `c == '.' && last == '.'`},
	{"url: an empty label is not plain", imageURL, `!isPlainHost(c) || c == '.' && last == '.'`, `!isPlainHost(c)`},
	{"url: http or https", imageURL, `!ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https")`, `!ok || scheme == ""`},
	{"url: a host", imageURL, `if host == "" {
		return`, `if host == "" {
		return ""
		return`},
	{"url: UTF-8", imageURL, `!utf8.ValidString(raw)`, `false`},
	{"url: no control characters", imageURL, `case unicode.IsControl(r):`, `case false:`},
	{"url: no space at the ends", imageURL, `unicode.IsSpace(r) && (i == 0 ||`, `unicode.IsSpace(r) && (false ||`},
	{"url: no credentials", imageURL, `i := strings.IndexByte(authority, '@'); i >= 0`, `i := strings.LastIndexByte(authority, '@'); i >= 0 && false`},
	{"url: its port", imageURL, `err != nil || n == 0`, `err == nil && n == 0`},
	{"url: a port of zero", imageURL, `err != nil || n == 0`, `err != nil || n > 65535`},
	{"url: no empty label", imageURL, `case label == "":`, `case false:`},
	{"url: the length of a label", imageURL, `len(label) > 63`, `len(label) > 64`},
	{"url: the length of a host", imageURL, `len(name) > 253`, `len(name) > 254`},
	{"url: an address of numbers", imageURL, `if isNumeric(labels[len(labels)-1]) {`, `if false {`},
	{"url: a zone of an address", imageURL, `|| ip.Zone() != ""`, ``},
	{"url: what an international name is mapped to", imageURL, `if err != nil || strings.ContainsFunc(ascii,`, `if err != nil || false && strings.ContainsFunc(ascii,`},
	{"url: a percent sign in the query", imageURL, `if !query && !isEscape(raw[i:]) {`, `if (query || !query) && !isEscape(raw[i:]) {`},
	{"url: a question mark in the fragment", imageURL, `query = !fragment`, `query = !fragment || fragment`},
	{"url: a reference is well formed", validate, `if !ok || id.IsZero() {`, `if !ok && id.IsZero() && false {`},
	{"url: a reference is the product's own", merge, `			if at < 0 {`, `			if at < -1 {`},
	{"creating needs an image", merge, `if p.images == nil {
		faults`, `if false {
		faults`},
	{"strict: an unknown name is a fault", "catalog/productjson/decode.go", `!d.options.Strict || slices.Contains(readOnly, m.name)`, `true`},
	{"strict: names without end are counted", "catalog/productjson/decode.go", `d.unknowns <= maxUnknowns`, `true`},
	{"strict: parameters without end are counted", "httpadapter/query.go", `min(len(unknown), maxUnknowns)`, `len(unknown)`},
	{"strict: read-only names are known", "catalog/productjson/decode.go", `!d.options.Strict || slices.Contains(readOnly, m.name)`, `!d.options.Strict`},
	{"image headers: a bound on parts", header + "source.go", `s.steps == maxSteps`, `s.steps == maxSteps+1`},
	{"image headers: boxes are parts", header + "bmff.go", `if err := r.src.step(); err != nil {`, `if err := r.src.step(); err != nil && false {`},
	{"image headers: stray markers are parts", header + "jpeg.go", `if err := src.step(); err != nil {`, `if err := src.step(); err != nil && false {`},
	{"image headers: WebP chunks are parts", header + "webp.go", `if err := src.step(); err != nil {`, `if err := src.step(); err != nil && false {`},
	{"image headers: a checksum is not judged", header + "png.go", `if err := src.fill(ihdr[8:]); err != nil {`, `if err := src.fill(ihdr[8:]); err != nil || binary.BigEndian.Uint32(ihdr[21:]) == binary.BigEndian.Uint32([]byte("none")) {`},
	{"image headers: a GIF without a screen", header + "gif.go", `if h.width > 0 && h.height > 0 {`, `if true {`},
	{"image headers: of both sides of a GIF", header + "gif.go", `if h.width > 0 && h.height > 0 {`, `if h.width > 0 || h.height > 0 {`},
	{"image headers: a sequence without an item", header + "heif.go", `case track != nil:`, `case track != nil && false:`},
	{"image headers: the item before the track", header + "heif.go", `case err == errFound:`, `case err == errFound && track == nil:`},
	{"image headers: the first track", header + "heif_track.go", `if first != nil || !b.is("trak") {`, `if !b.is("trak") {`},
	{"image headers: visual tracks alone", header + "heif_track.go", `case "pict", "vide":`, `case "pict", "vide", "auxv":`},
	{"image headers: coded before shown", header + "heif_track.go", `if *first == (extent{}) {`, `if t.shown != (extent{}) {`},
	{"image headers: the brand of a minimized file", header + "heif.go", `major == "mif3"`, `major == "mif4"`},
	{"image headers: minimized sides of 7 bits", header + "heif.go", `p[2]&0x80 == 0`, `false`},

	{"fileKey: names a part", "catalog/productjson/decode.go", `CodeFileNotFound`, `CodeValidationFailed`},

	{"explicit lists what it creates", merge, `Listed:       kind == explicit`, `Listed:       kind == inline`},
	{"one-shots are never listed", merge, `kind == explicit && !old.Listed && !old.Generated`, `kind == explicit && !old.Listed`},
	{"explicit lists what was inline", merge, `kind == explicit && !old.Listed && !old.Generated`, `false`},
	{"inline leaves the listing alone", merge, `kind == explicit && !old.Listed && !old.Generated`, `!old.Listed && !old.Generated`},
	{"title is kept when absent", merge, `p.title.set && p.title.text != old.Title`, `p.title.text != old.Title`},
	{"the same title is no change", merge, `p.title.set && p.title.text != old.Title`, `p.title.set`},
	{"the same description is no change", merge, `p.description.set && p.description.text != old.Description`, `p.description.set`},
	{"the same images are no change", merge, `changed = changed || !slices.EqualFunc(r.Images, old.Images, sameImage)`, `changed = true`},
	{"other classifications are a change", merge, `&& bytes.Equal(a.Classifications, b.Classifications)`, ``},
	{"the same metadata are no change", merge, `p.setMetadata && !bytes.Equal(p.metadata, old.Metadata)`, `p.setMetadata`},
	{"null clears metadata", merge, `p.setMetadata && !bytes.Equal(p.metadata, old.Metadata)`, `p.metadata != nil && !bytes.Equal(p.metadata, old.Metadata)`},
	{"another lifetime is a change", merge, `changed = changed || p.days != old.ValidForDays`, `changed = changed || p.days > old.ValidForDays`},
	{"an edit has a new version", merge, `		r.Edit = random()
		r.Revision++`, `		r.Revision++`},
	{"an edit moves updatedAt", merge, `r.UpdatedAt = max(now, old.UpdatedAt)`, `r.UpdatedAt = old.UpdatedAt`},
	{"updatedAt never goes back", merge, `r.UpdatedAt = max(now, old.UpdatedAt)`, `r.UpdatedAt = now`},
	{"equal bytes at the same position are kept", merge, `case i < len(old) && !old[i].Blob.IsZero() && old[i].SHA256 == p.blob.header.SHA256 && old[i].Size == p.blob.header.Size:`, `case false:`},
	{"faults change nothing", merge, `if err := faults.err(); err != nil {
		return &r, false, false, err
	}`, ``},
	{"a condition is judged", upsert, `if !conditionsHold(conds, f.live) {`, `if false {`},
	{"a condition judges the live product", upsert, `if !conditionsHold(conds, f.live) {`, `if !conditionsHold(conds, f.stored) {`},
	{"delete: a condition is judged", remove, `if !conditionsHold(conds, f.live) {`, `if false {`},
	{"delete: what has expired is not found", remove, `if f.live == nil {
			return ErrNotFound`, `if f.stored == nil {
			return ErrNotFound`},

	{"inline creates for 15 days", merge, `return 15`, `return 14`},
	{"one-shots live for 7 days", merge, `return 7`, `return 8`},
	{"explicit creates forever", merge, `	default:
		return 0
	}
}

// isUse`, `	default:
		return 365
	}
}

// isUse`},
	{"explicit is no use", merge, `return kind != explicit`, `return true`},
	{"inline is a use", merge, `return kind != explicit`, `return kind == oneShot`},
	{"gone from the instant of the deadline", merge, `now < deadline`, `now <= deadline`},
	{"null lives forever", merge, `deadline == encoding.None || now < deadline`, `now < deadline`},
	{"a number restarts the clock", merge, `renewed = p.days != 0`, `renewed = false`},
	{"null does not restart the clock", merge, `renewed = p.days != 0`, `renewed = true`},
	{"a renewal counts from now", merge, `r.Anchor = max(now, r.Anchor)`, `r.Anchor = max(r.CreatedAt, r.Anchor)`},
	{"the anchor never goes back by a renewal", merge, `r.Anchor = max(now, r.Anchor)`, `r.Anchor = now`},
	{"a use moves the deadline", overlay, `r.Anchor = max(at, r.Anchor)`, ``},
	{"the anchor never goes back by a use", overlay, `r.Anchor = max(at, r.Anchor)`, `r.Anchor = at`},
	{"a use sets lastUsedAt", overlay, `r.LastUsedAt = max(at, r.LastUsedAt)`, ``},
	{"lastUsedAt never goes back", overlay, `r.LastUsedAt = max(at, r.LastUsedAt)`, `r.LastUsedAt = at`},
	{"creation is the first anchor", merge, `Anchor:       now,`, `Anchor:       0,`},
	{"a day has 24 hours", record, `lifetime := int64(days) * dayMillis`, `lifetime := int64(days)*dayMillis + 1`},
	{"a use near the deadline is durable first", use, `!l.life.IsFurtherThan(c.useMargin(), c.now.Now())`, `false`},
	{"the margin is ten seconds at least", use, `minUseMargin  = 10 * time.Second`, `minUseMargin  = 9 * time.Second`},
	{"the margin is five windows at least", use, `marginWindows = 5`, `marginWindows = 4`},
	{"a use that comes late is none", overlay, `life.isFurtherThan(0, o.now)`, `true`},
	{"touch: near the deadline it is durable first", lifetimes, `!u.life.isFurtherThan(margin, o.now)`, `false`},
	{"touch: of what is known alone", lifetimes, `return l.deadline == encoding.None || `, `return l.days == 0 || `},
	{"touch: a use moves the deadline", lifetimes, `return u.life.withUse(u.at), true`, `return u.life.deadline, true`},
	{"touch: the deadline never goes back", lifetimes, `return max(l.deadline, h.ExpiresAt())`, `return h.ExpiresAt()`},
	{"touch: the use is written", lifetimes, `s.refresh(k, u)`, ``},
	{"touch: it is seen", lifetimes, `u.at = max(u.at, at)`, ``},
	{"touch: a writer forgets what is known", lifetimes, `	if u := s.uses[k]; u != nil {
		u.life = Lifetime{}
	}`, ``},
	{"touch: nothing is kept beside a writer", lifetimes, `return Token{s.epoch, s.marks == 0}`, `return Token{s.epoch, true}`},
	{"touch: nor what was written since the read", lifetimes, `t.ok && s.epoch == t.epoch`, `t.ok`},
	{"touch: nor what was read without a token", lifetimes, `t.ok && s.epoch == t.epoch`, `s.epoch == t.epoch`},
	{"touch: all is forgotten", lifetimes, `		for _, u := range s.uses {
			u.life = Lifetime{}
		}`, ``},
	{"touch: and what was read before is not kept", lifetimes, `		s.mu.Lock()
		s.epoch++
		for`, `		s.mu.Lock()
		for`},
	{"touch: when the store has healed", "catalog/heal.go", `	c.uses.Forget()
`, ``},
	{"touch: the journal knows no lifetimes", overlay, `u.incarnation, u.at, u.life = use.Incarnation, use.At, Lifetime{}`, `u.incarnation, u.at = use.Incarnation, use.At`},
	{"touch: nothing is known of a store of others", use, `return c.exclusive && c.opts.UseWindow > 0`, `return c.opts.UseWindow > 0`},
	{"touch: an Update at work may renew it", use, `	if c.renewals.Possible(k) {
		return encoding.None, false
	}`, ``},
	{"touch: not while folds are stuck", use, `!c.folder.Stuck() && `, ``},
	{"touch: not while the store takes no writes", use, ` && c.backend.Ready() == nil`, ``},
	{"touch: every writer marks", "catalog/effects.go", `		t.c.uses.Mark(k)
`, ``},
	{"touch: until its Update has ended", "catalog/effects.go", `			t.c.uses.Unmark(m.key)
`, ``},
	{"what has expired can't be read", looking, `if l.found && s.isLive(l.now) {`, `if l.found {`},
	{"an edit at work may renew what has expired", renewals, `r.others || r.stripe(k).count.Load() > 0`, `r.others`},
	{"so may one of another catalog", renewals, `r.others || r.stripe(k).count.Load() > 0`, `r.stripe(k).count.Load() > 0`},
	{"what has expired stays gone", looking, `err == nil && l.found && s.isLive(l.now), err`, `err == nil && l.found, err`},
	{"what has expired can't be used durably", use, `if f.live == nil {
			return ErrNotFound`, `if f.stored == nil {
			return ErrNotFound`},
	{"a use is seen by its incarnation alone", overlay, `u.incarnation == r.Incarnation && u.at > r.LastUsedAt`, `u.at > r.LastUsedAt`},
	{"an upsert of what has expired creates", tx, `isLive(live, t.now)`, `true`},
	{"an earlier deadline is indexed at once", write, `t.now < was && was <= is`, `t.now < was`},
	{"the sweep spares what was used since", expire, `deadline == encoding.None || deadline > horizon`, `deadline == encoding.None`},
	{"the sweep spares what is kept forever now", expire, `deadline == encoding.None || deadline > horizon`, `deadline > horizon`},
	{"the sweep knows stale entries", expire, `f.stored == nil || f.stored.IndexedAt != e.Deadline`, `f.stored == nil`},
	{"the sweep spares image bytes that are owned", expire, `h == nil || h.State == encoding.BlobOwned || h.Deadline != e.Deadline`, `h == nil || h.Deadline != e.Deadline`},
	{"the sweep waits for the readers' grace", "catalog/blob.go", `t.now+t.c.opts.ImageGrace.Milliseconds()`, `t.now`},
	{"a leap holds removals back", "ttl/step.go", `if leap > 0 {`, `if false {`},
	{"so does one before opening", "ttl/sweeper.go", `start.Seen == 0 || gap <= s.o.GapTolerance`, `true`},
	{"a new store has no leap behind it", "ttl/sweeper.go", `start.Seen == 0 || gap <= s.o.GapTolerance`, `gap <= s.o.GapTolerance`},
	{"a leap is not remembered as the time", "ttl/sweeper.go", `case elapsed < r.pauseUntil:`, `case elapsed < 0*r.pauseUntil:`},
	{"uploads may stand still while their bytes are there", "catalog/blob.go", `h.Deadline <= t.now && !b.ours`, `h.Deadline <= t.now`},
	{"a product is no larger than the backend takes", write, `limit == 0 || size < limit/2 ||`, `true ||`},
	{"a long window does not delay folds", folder, `min(f.Window, maxFoldDelay)`, `f.Window`},
	{"Close waits for a disk that hangs", folder, `f.Fold(ctx, part, true)`, `f.Fold(ctx, part, false)`},
	{"expiries are reported after a hang", "catalog/effects.go", `case err == nil, t.visible && errors.Is(err, backend.ErrUnknownOutcome):`, `case err == nil, t.visible && errors.Is(err, backend.ErrUnknownOutcome) && false:`},
	{"not before they are durable", "catalog/internal/expiryhooks/expiryhooks.go", `b.durable != nil && b.durable(context.Background()) != nil`, `false`},
	{"an engine that may resume may renew", looking, `errors.Is(err, backend.ErrStopped)`, `errors.Is(err, backend.ErrUnavailable)`},
	{"the cache: a mark takes the entry out", cache, `		c.entries.Invalidate(k)
`, ``},
	{"the cache: nobody fills what is marked", cache, `return Token{s.epoch, s.marks == 0}`, `return Token{s.epoch, true}`},
	{"the cache: nor what was marked since the read", cache, `s.marks > 0 || s.epoch != t.epoch`, `s.marks > 0`},
	{"doubts of a clock end over openings", "ttl/sweeper.go", `since = start.DoubtSince`, ``},
	{"but not where it leaps again", "ttl/sweeper.go", `fromMillis(wall-start.DoubtSeen) <= s.o.GapTolerance`, `true`},
	{"a reader that only claims to seek can't", "catalog/upload.go", `err == nil && at == u.start+u.read`, `err == nil && at >= 0`},
	{"an upload is read again from where it stood", "catalog/upload.go", `at, err := seeker.Seek(u.start, io.SeekStart); err != nil || at != u.start`, `at, err := seeker.Seek(0, io.SeekStart); err != nil || at != 0`},
	{"an upload is not read on from where it ended", "catalog/upload.go", `	case !u.seeks:
		return nil, ErrUploadSpent`, `	case !u.seeks:`},
	{"the patch of a product kept forever says so", "catalog/patch_json.go", `if p.ValidForDays != 0 {`, `if true {`},
	{"no JSON stands for image bytes", "catalog/patch_json.go", `case img.Upload != nil:
		w.fail(path, errUploadInJSON)`, `case img.Upload != nil:`},
	{"nor for staged ones", "catalog/patch_json.go", `case img.Staged != "":
		w.fail(path, errStagedInJSON)`, `case img.Staged != "":`},
	{"the context of OnExpire ends when Close is called", "catalog/catalog.go", `opts.OnExpire(c.closing, c, e)`, `opts.OnExpire(context.Background(), c, e)`},
	{"a list skips nothing silently", "catalog/lister.go", `if err == nil || !l.pastDamage {`, `if err == nil {`},
	{"what is read past damage is marked", "catalog/list.go", `		case past:
			info.Damaged = append(info.Damaged, damage)`, `		case past:
			page.Damaged = append(page.Damaged[:0:0], damage)[:0]`},
	{"a report of nothing is not sound", "catalog/check.go", `return r.Complete && len(r.Problems) == 0`, `return len(r.Problems) == 0`},

	{"http: an origin that no browser sends", "httpadapter/cors.go", `written != origin`, `false`},
	{"http: a public path is a path", "httpadapter/representation.go", `!strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//")`, `false`},
	{"http: a tag of a compressed answer names its version", "httpadapter/representation.go", `"-gzip", "-br"`, `"-br"`},
	{"http: a copy of a compressed answer is found again", "httpadapter/products.go", `|| c.noneMatch.matchesEncoded(etag)`, ``},
	{"http: the client learns that a weak tag never matches", "httpadapter/conditions.go", `&& c.match.isWeak()`, `&& false`},

	{"budget: an account's share", budgets, `if !h.account.left.TryAcquire(n) {`, `if false {`},
	{"budget: the size of the pool", budgets, `if !h.pool.all.TryAcquire(n) {`, `if false {`},
	{"budget: what holds something does not wait", budgets, `case h.has > 0:`, `case false:`},
	{"budget: bodies are charged as they come", "httpadapter/budget.go", `m.usage.charge(bodyFactor * int64(n))`, `m.usage.charge(0)`},
	{"budget: uploads of an account", "httpadapter/budget.go", `if kind == kindMultipart && u.uploads`, `if false && u.uploads`},
	{"budget: what waits has read nothing", "httpadapter/products.go", `	// Before anything is read: what waits must hold nothing that is not counted.
	if err := r.usage.await(r.Context(), answerMemory); err != nil {`, `	if err := r.usage.await(r.Context(), answerMemory); false {`},
	{"budget: an account's rate", "httpadapter/routes.go", `h.options.Budget.spend(account); err != nil`, `error(nil); err != nil`},
	{"budget: an account's rate, of claims", "httpadapter/claim.go", `b.spend(account); err != nil`, `error(nil); err != nil`},
	{"budget: when there is a request again", "httpadapter/errors.go", `header.Set("Retry-After", retryAfter(err))`, `header.Set("Retry-After", "1")`},
	{"rates: what was refused costs nothing", "httpadapter/internal/rates/rates.go", `	taken.CancelAt(now)`, ``},
	{"rates: memory is bounded", "httpadapter/internal/rates/rates.go", `if len(s.buckets) >= maxPerShard {`, `if false {`},
	{"rates: full buckets go first", "httpadapter/internal/rates/rates.go", `b.TokensAt(now) >= float64(burst)`, `b.TokensAt(now) < 0`},
	{"budget: requests of an account", "httpadapter/budget.go", `if u.requests.Grow(1) != nil {`, `if false {`},
	{"budget: of an account or of all", "httpadapter/budget.go", `case errors.Is(err, budget.ErrShare):`, `case false:`},
	{"budget: uploads leave free disk alone", "httpadapter/spool.go", `if ok && free < reserve+n {`, `if ok && free < reserve+n && false {`},
	{"keys: a sum is no key", "httpadapter/apikeys.go", `	if !hashed {`, `	if true || !hashed {`},
	{"keys: replaced ones are gone", "httpadapter/apikeys.go", `	a.keys.Store(&sums)`, `	if old := a.keys.Load(); old != nil {
		for k, v := range *old {
			sums[k] = v
		}
	}
	a.keys.Store(&sums)`},
	{"admin: names that are not its own", "httpadapter/admin/admin.go", `	case !h.knows(r):`, `	case false:`},
	{"admin: pages of other sites", "httpadapter/admin/admin.go", `	case isForeign(r):`, `	case false:`},
	{"admin: a backup that failed is cut off", "httpadapter/admin/admin.go", `		panic(http.ErrAbortHandler) // net`, `		return // net`},
	{"admin: the machine alone", "cmd/shelflife/admin.go", `(err != nil || !address.IsLoopback()) && len(f.AdminHost) == 0`, `false && address.IsLoopback()`},
	{"admin: a file is no socket", "cmd/shelflife/admin.go", `if info.Mode()&fs.ModeSocket == 0 {`, `if info.Mode()&fs.ModeSocket == 0 && false {`},
	{"connections: from one address", connections, `own != nil && own.full()`, `false && own.full()`},
	{"connections: without a key", connections, `case c.unproven && l.unproven.full():`, `case false:`},
	{"connections: in all", connections, `case l.served.full():`, `case false:`},
	{"connections: streams count", "cmd/shelflife/internal/connlimit/connset.go", `s.count+s.extra >= s.limit`, `s.count >= s.limit`},
	{"connections: streams look for room", connections, `case full || c.running == 0 || c.gone:`, `case true:`},
	{"connections: handlers that outlive theirs", connections, `full := l.handlers >= l.o.Total+l.o.Spare`, `full := false`},
	{"connections: answers that there is no room", connections, `case l.overflow < l.o.Spare:`, `case true:`},
	{"connections: streams that find none are forgotten", connections, `		l.overflow--`, ``},
	{"connections: a key moves streams too", "cmd/shelflife/internal/connlimit/connset.go", `	s.extra -= p.conn.extra()
`, ``},
	{"connections: header blocks that no handler sees", "cmd/shelflife/internal/connlimit/frames.go", `m.headers.Add(int64(n)) > maxHeaderBacklog`, `false`},
	{"connections: header blocks within TLS", "cmd/shelflife/internal/connlimit/tls.go", `sent := c.own.meter(p[:n]); sent != nil`, `sent := c.own.meter(p[:0]); sent != nil`},
	{"connections: a request ends the backlog", "cmd/shelflife/internal/connlimit/frames.go", `m.headers.Store(0)`, ``},
	{"connections: bodies are no header blocks", "cmd/shelflife/internal/connlimit/frames.go", `if m.isHeader && `, `if `},
	{"answers: memory of one that failed", "httpadapter/bodies.go", `written == nil && cap(*body) <= b.most`, `cap(*body) <= b.most`},
	{"answers: memory of an image that failed", "catalog/image_reader.go", `			r.pooled, r.chunk, r.number = nil, nil, -1
			return n, err`, `			return n, err`},
	{"bulk: ends when the server stops", "httpadapter/bulk.go", `case context.Cause(b.waiting) == errDraining:`, `case false:`},
	{"bulk: does not wait for its rate when the server stops", "httpadapter/bulk.go", `b.h.options.Budget.sleep(b.waiting, limited.wait); err != nil`, `b.h.options.Budget.sleep(b.r.Context(), limited.wait); err != nil`},
	{"bulk: is read at a pace", "httpadapter/bulkread.go", `took > 0 && float64(sent) < linesRate*took.Seconds()`, `took > 0 && sent < 0`},
	{"quota: of products", "catalog/quota.go", `have.Products+more.Products > quota.Products`, `have.Products+more.Products > quota.Products+1`},
	{"quota: of image bytes", "catalog/quota.go", `have.ImageBytes+more.ImageBytes > quota.ImageBytes`, `false`},
	{"quota: what grows by nothing is admitted", "catalog/quota.go", `	if more.Products <= 0 && more.ImageBytes <= 0 {
		return nil
	}
`, ``},
	{"quota: an image counts once", "catalog/quota.go", `!id.IsZero() && indexOfBlob(r.Images, id) == i`, `!id.IsZero()`},
	{"quota: what a batch has added counts", "catalog/quota.go", `have = have.Plus(g.Amount)`, `_ = g`},
	{"quota: of edits too", upsert, `t.admit(f.account, f.live, next)`, `error(nil)`},
	{"quota: an item of many is refused alone", "catalog/many.go", ` || errors.Is(err, ErrQuotaExceeded)`, ``},
	{"quota: a refusal has it counted", "catalog/quota.go", `t.c.usage.Refused(account)`, `_ = account`},
	{"usage: counted anew after a while", "catalog/internal/accountusage/accountusage.go", `if !a.tried || u.config.Clock.Elapsed()-a.at >= u.config.Fresh {`, `if !a.tried {`},
	{"usage: a write is not there twice", "catalog/internal/accountusage/accountusage.go", `if turn >= a.since {`, `if true {`},
	{"usage: what came during a count", "catalog/internal/accountusage/accountusage.go", `a.running && a.turn != 0 && turn >= a.turn`, `false`},
	{"usage: what the count has found", "catalog/internal/accountusage/accountusage.go", `a.running && a.turn != 0 && turn >= a.turn`, `a.running`},
	{"usage: a rest between two", "catalog/internal/accountusage/accountusage.go", `restFactor * (clock.Elapsed() - start)`, `0 * (clock.Elapsed() - start)`},
	{"usage: how many accounts", "catalog/internal/accountusage/accountusage.go", `	if len(u.accounts) < u.config.Accounts {`, `	if true {`},
	{"backup: rests between its steps", "catalog/pace.go", `if worked < paceWork {`, `if true {`},
	{"backup: rests for no longer than a while", "catalog/pace.go", `min(worked, paceRest)`, `worked`},
	{"backup: rests for as long as it worked", "catalog/pace.go", `min(worked, paceRest)`, `paceWork`},
	{"bulk: leaves some of the rate to others", "httpadapter/internal/rates/rates.go", `want := float64(1 + l.burst/2)`, `want := float64(1)`},
	{"bulk: a long result waits alone", "httpadapter/lineanswer.go", `len(a.memory) == 0 || len`, `len`},
	{"bulk: its key is judged anew", "httpadapter/bulk.go", `if now-b.judged < judgeEvery {`, `if true {`},
	{"admin: so many copies at once", "httpadapter/admin/admin.go", `defer func() { <-h.copying }()`, `<-h.copying`},
	{"connections: time gives frames", "cmd/shelflife/internal/connlimit/frames.go", `m.earn(int64(min(frames, maxFrames)) * bytesPerFrame)`, ``},
	{"one-shots: one for a key", "catalog/upsert.go", `if kind == oneShot && f.live != nil {`, `if false {`},
	{"one-shots: the account is part of the key", "catalog/oneshot.go", `len(account), account, key)`, `0, "", key)`},
	{"one-shots: an account and a key are two", "catalog/oneshot.go", `len(account), account, key)`, `0, account, key)`},
	{"one-shots: the secret makes the ID", "catalog/oneshot.go", `hmac.New(sha256.New, c.secret)`, `hmac.New(sha256.New, nil)`},
	{"bulk: what was read is written before more is waited for", "httpadapter/bulk.go", `	if err := idle(); err != nil {
		return productimport.Entry{}, err
	}
`, ``},
	{"bulk: a line waits for its rate", "httpadapter/bulk.go", `b.h.options.Budget.sleep(b.waiting, limited.wait); err != nil`, `error(nil); err == nil`},
	{"bulk: what was sent leaves the file", "httpadapter/lineanswer.go", `a.sent += int64(n)`, ``},
	{"bulk: memory after the file", "httpadapter/lineanswer.go", `if a.file == nil && (len(a.memory) == 0`, `if (len(a.memory) == 0`},
	{"bulk: a full spool waits", "httpadapter/lineanswer.go", `} else if a.late || a.file.Size() != size {`, `} else {`},
	{"bulk: lines that failed are answered", "httpadapter/bulk.go", `Report: b.report, Failed: b.report}`, `Report: b.report}`},
	{"bulk: one who sends may read later", "cmd/shelflife/pace.go", `b.answer.excuse()`, ``},
	{"connections: streams leave room for connections", connections, `c.spare, l.served.extra >= l.streams():`, `c.spare:`},
	{"connections: requests that are taken back", "cmd/shelflife/internal/connlimit/frames.go", `m.credit.Add(-framesPerReset * bytesPerFrame)`, `m.credit.Add(-bytesPerFrame)`},
	{"connections: control frames", connections, `wait > 0 {`, `false && wait > 0 {`},
	{"connections: a request earns frames", "cmd/shelflife/internal/connlimit/frames.go", `m.earn(framesPerRequest * bytesPerFrame)`, ``},
	{"connections: so many and no more", "cmd/shelflife/internal/connlimit/frames.go", `sum := min(old+n, maxFrames*bytesPerFrame)`, `sum := old + n`},
	{"connections: an answer earns frames", connections, `c.frames.wrote(n)`, ``},
	{"connections: bodies are no control frames", "cmd/shelflife/internal/connlimit/frames.go", `case kind == frameData && m.payload >= smallData:`, `case false:`},
	{"connections: empty pieces of bodies are", "cmd/shelflife/internal/connlimit/frames.go", `m.payload >= smallData:`, `m.payload >= 0:`},
	{"connections: clients at work keep theirs", "cmd/shelflife/internal/connlimit/connlimit.go", `from.quietest(unproven, now-restingTime)`, `from.quietest(unproven, now)`},
	{"connections: streams leave alone what has just come", "cmd/shelflife/internal/connlimit/connlimit.go", `		unproven -= restingTime // one`, `		unproven -= 0 // one`},
	{"budget: uploads end before a store does", "httpadapter/spool.go", `min(max(total*3/20, 24<<20), total*3/8, 384<<20)`, `min(total/16, 128<<20)`},
	{"memory: the cache is a share of it", "cmd/shelflife/memory.go", `max(min(defaultCache, limit/cacheShare), minCache)`, `int64(defaultCache + 0*limit)`},
	{"connections: quiet ones are closed", "cmd/shelflife/internal/connlimit/connset.go", `e.Value.(*conn).since <= t`, `false`},
	{"connections: those that were used are not", "cmd/shelflife/internal/connlimit/connlimit.go", `		c.since = l.o.Clock.Elapsed()`, ``},
	{"connections: one at work does not give way", "cmd/shelflife/internal/connlimit/connset.go", `case c.running > 0:`, `case false:`},
	{"connections: without a key they go first", "cmd/shelflife/internal/connlimit/connset.go", `{{&s.unproven, unproven}, {&s.proven, proven}}`, `{{&s.proven, proven}, {&s.unproven, unproven}}`},
	{"healing: the cache lets go", cache, `	c.entries.InvalidateAll()
`, ``},
	{"healing: the sweeper begins anew", "ttl/step.go", `r.startOver, r.sweptTo, r.unsaved = true, 0, true`, ``},
	{"healing: the journal is read anew", folder, `if err := f.journal.load(ctx, f.overlay.restore); err != nil {
		f.reload`, `if err := error(nil); err != nil {
		f.reload`},
	{"healing: a lost part of the journal is written again", "catalog/internal/uses/journal.go", `if backend.Generation(j.backend) != generation {`, `if backend.Generation(j.backend) < generation {`},
	{"healing: what is lost is not called durable", "catalog/heal.go", `err == nil && c.generation() != generation`, `false`},
	{"healing: an image keeps all its chunks", "catalog/staging.go", `} else if err := t.since(w.generation); err != nil {`, `} else if err := error(nil); err != nil {`},
	{"healing: nor is one claimed that lost some", "catalog/blob.go", `		if b.ours {
			if`, `		if false {
			if`},
	{"dead spans: a writer cuts its product out", "catalog/write.go", `	if next != nil {
		t.markWritten(f.account, f.id)
	}
`, ``},
	{"dead spans: until the Update has ended", "catalog/internal/deadspans/deadspans.go", `	if m.prev != nil {
		m.prev.next = m.next
	} else {
		sh.marks = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	}
	*m = Mark{}`, `	_ = sh`},
	{"dead spans: writers at work are not passed by", "catalog/internal/deadspans/watch.go", `	for m := w.shard.marks; m != nil; m = m.next {`, `	for m := w.shard.marks; false; m = m.next {`},
	{"dead spans: what is written during a walk is left out", "catalog/internal/deadspans/watch.go", `		parts, _ = cut(parts, key)`, `		_ = key`},
	{"dead spans: what was read before the watch is read again", "catalog/deadrun.go", `		d.count, d.total = 0, 0
		return bytes.Clone(d.first)`, `		_ = bytes.Clone(d.first)`},
	{"dead spans: a living product ends a run", "catalog/deadrun.go", `		d.keep()
		d.first, d.total = encoding.AppendSuccessor(d.first[:0], key), 0`, `		_ = key`},
	{"dead spans: a snapshot rests on what was known before", "catalog/internal/deadspans/deadspans.go", `	if k.cuts != k.shard.cuts {`, `	if false {`},
	{"dead spans: a span that is forgotten is no longer known", "catalog/internal/deadspans/deadspans.go", `		spans = slices.Delete(spans, i, i+1)
		sh.cuts++`, `		spans = slices.Delete(spans, i, i+1)`},
	{"a panic leaves no marks behind", "catalog/tx.go", `		if !ended { // fn`, `		if false && !ended { // fn`},
	{"dead spans: not where others write", "catalog/catalog.go", `	if c.exclusive {
		c.dead`, `	if true {
		c.dead`},
	{"due: a pending use keeps what has expired by its entry", "catalog/duewalk.go", `if _, pending := w.pending[id]; pending {`, `if false {`},
	{"due: an Update at work may renew what is due", "catalog/duewalk.go", `	w.renewing = c.renewals.AnyPossibleSince(l.began)
`, ``},
	{"due: of what was renewed the record is read", "catalog/duewalk.go", `!flags.HasDeadline() || `, ``},
	{"due: unlisted products may live among the listed ones", "catalog/duewalk.go", `w.watch = c.deadListed.Watch(l.account)`, `w.watch = c.dead.Watch(l.account)`},
	{"due: a writer cuts its product out", "catalog/effects.go", `	t.c.deadListed.Mark(t.nextMark(), account, id)
`, ``},
	{"due: names come in any order", "catalog/dueset.go", `		s.unsorted = s.n > 0 && s.compare(s.n-1, name) >= 0
`, ``},
	{"due: damage is not passed over in silence", "catalog/duewalk.go", `	w.l.c.noteDamage(wrap("list", "", err))
`, ``},
	{"accounts: what can't be read is named", "catalog/accounts.go", `			if damage != nil {
`, `			if false && damage != nil {
`},
	{"lists: a pending use keeps what has expired by its record", "catalog/lister.go", `!l.c.uses.Has(k) && l.unrenewed(k, deadline)`, `l.unrenewed(k, deadline)`},
	{"lists: an Update at work may renew what has expired", "catalog/lister.go", `!l.c.uses.Has(k) && l.unrenewed(k, deadline)`, `!l.c.uses.Has(k)`},
	{"renewals: what ended since is not quiet", "catalog/internal/uses/renewals.go", `s.count.Load() == 0 && s.last.Load() < then`, `s.count.Load() == 0`},
	{"backup: uses in memory are in it", "catalog/backup.go", `c.foldUses(ctx, c.uses.Unfolded(), false)`, `c.foldUses(ctx, nil, false)`},
	{"backup: a restored store begins an epoch", "catalog/catalog.go", `restored == nil || !restored.WasRestored()`, `restored == nil || true`},
	{"backup: but one", "catalog/catalog.go", `return meta, restored.SettleRestored()`, `return meta, nil`},
	{"backup: what has expired since lives again", "catalog/extend.go", `next.Anchor = min(next.Anchor+by, t.now)`, `next.Anchor = min(next.Anchor, t.now)`},
	{"backup: no lifetime begins later than now", "catalog/extend.go", `next.Anchor = min(next.Anchor+by, t.now)`, `next.Anchor += by`},
	{"backup: it is checked before it is written", "catalog/backup.go", `if !report.Sound() {`, `if false {`},
	{"dump: uses in memory are in it", "catalog/verbatim.go", `ok && u.Incarnation == r.Incarnation {`, `ok && false {`},
	{"dump: what has expired is left out", "catalog/verbatim.go", `if !isLive(r, v.now) {`, `if false {`},
	{"dump: image bytes of a sound product are compared", "catalog/verbatim.go", `left != 0 || [sha256.Size]byte(hash.Sum(nil)) != img.SHA256`, `left != 0`},
	{"dump: its sum is compared", "catalog/dump/archive.go", `if !bytes.Equal(a.in.tail(), appendTrailer(nil, a.in.sum)) {`, `if false {`},
	{"dump: lines are compared before they are loaded", "catalog/dump/archive.go", `hex.EncodeToString(got[:]) != sum[1]`, `len(got) == 0`},
	{"dump: image bytes are compared", "catalog/dump/read.go", `from.left == 0 && [sha256.Size]byte(from.sum.Sum(nil)) != img.SHA256`, `false`},
	{"dump: products are in order", "catalog/dump/read.go", `cmp.Compare(r.ID, p.id)) <= 0`, `cmp.Compare(r.ID, p.id)) < -1`},
	{"dump: its manifest is compared", "catalog/dump/read.go", `Products: p.info.Products,`, `Products: m.Products,`},
	{"dump: equal bytes come once", "catalog/dump/internal/repeats/repeats.go", `return taken <= 1, left > 0, err`, `return taken <= 9, left > 0, err`},
	{"dump: bytes that were left out come with the next", "catalog/dump/internal/repeats/repeats.go", `_, _, err := c.update(h, 0)`, `_, _, err := c.update(h, 1)`},
	{"load: uses go forward alone", "catalog/verbatim_restore.go", `		next.LastUsedAt, next.Anchor = max(r.LastUsedAt, stored.LastUsedAt), max(r.Anchor, stored.Anchor)`, `		_ = stored`},
	{"load: another version stays unless it is to be replaced", "catalog/verbatim_restore.go", `		if !replace {`, `		if false {`},
	{"load: what has expired stays out", "catalog/verbatim_restore.go", `case f.live == nil && !isLive(&next, t.now):`, `case false:`},
	{"load: bytes that come again are held", "catalog/dump/load.go", `	if u.again {
		held`, `	if false {
		held`},
	{"load: and let go of", "catalog/dump/load.go", `			l.used = append(l.used, u.images[0])`, ``},
	{"load: a product that comes back has not expired", "catalog/verbatim_restore.go", `	if !f.isOf(r) {
		t.expire(f)`, `	if true {
		t.expire(f)`},
	{"accounts: a seek each", "catalog/accounts.go", `			_, start = encoding.ProductRange(account)`, `			start = encoding.AppendSuccessor(nil, encoding.AppendProductKey(nil, account, ""))`},
	{"import: it goes on at a line", "cmd/shelflife/input.go", `if err == nil && line < in.from {`, `if false {`},
	{"salvage: what is old is not copied unasked", "catalog/salvage_damage.go", `if !s.options.IncludeStale {`, `if false {`},
	{"salvage: nor where what is newest can be read", "catalog/salvage_damage.go", `if err != nil || !damaged {`, `if err != nil || !damaged && false {`},
	{"salvage: image bytes below damage are read", "catalog/salvage.go", `s.read(encoding.AppendBlobKey(nil, r.Account, img.Blob, 0), func`, `s.from.Get(s.ctx, encoding.AppendBlobKey(nil, r.Account, img.Blob, 0), func`},
	{"image grace: ends early beyond its budget", "catalog/internal/imagegrace/imagegrace.go", `if !ended && q.bytes <= q.budget {`, `if !ended {`},
	{"image grace: no further than its budget", "catalog/internal/imagegrace/imagegrace.go", `if !ended && q.bytes <= q.budget {`, `if false {`},
	{"image grace: what has ended counts no more", "catalog/internal/imagegrace/imagegrace.go", `ended := b.Deadline <= now`, `ended := now < 0`},
	{"image grace: what could not be removed is tried again", "catalog/grace.go", `c.released.Return(excess)`, `_ = excess`},
	{"image grace: a release counts", "catalog/blob.go", `t.c.released.Add(waits)`, `_ = waits`},
	{"erasure: a product that is created again has left", "catalog/write.go", `f.stored != nil && f.stored.Incarnation != next.Incarnation`, `false`},
	{"delete account: staged images too", "catalog/unowned.go", `h.State == encoding.BlobStaged && h.Kind != "" ||`, ``},
	{"delete account: no grace where it is erased", "catalog/unowned.go", `h.State == encoding.BlobGarbage && garbage`, `false`},
	{"delete account: erased now", remove, `return removed, backend.Reclaim(ctx, c.backend)`, `return removed, nil`},
	{"damage: what the sweeper meets is known", expire, `func (x expirer) met(err error) { x.c.noteDamage(wrap("sweep", "", err)) }`, `func (x expirer) met(error) {}`},
	{"readers judge the readers' schema", "catalog/catalog.go", `err = meta.Readable()`, `err = meta.Compatible()`},
	{"readers keep what is in the journal", "catalog/internal/uses/folder.go", `if f.ReadOnly {`, `if false {`},
	{"uses: a journal that is written anew has all of them", folder, `slices.Chunk(waiting, f.rewritePart)`, `slices.Chunk(waiting[:len(waiting)/2], f.rewritePart)`},
	{"uses: a large journal is written anew", folder, `&& f.writeJournal(ctx) && f.shortenJournal(ctx) {`, `&& f.writeJournal(ctx) {`},
	{"uses: none waits when the journal could not be shortened", folder, `	f.unfinished.Store(int64(f.Clock.Elapsed()))
	if err := f.journal.remove(ctx, end, false)`, `	if err := f.journal.remove(ctx, end, false)`},
	{"uses: parts that came back are not passed over", "catalog/internal/uses/journal.go", `if backend.Generation(j.backend) != j.generation {`, `if false {`},
	{"uses: a part is durable before others go", "catalog/internal/uses/journal.go", `if err := j.backend.Durable(ctx, scopes); err != nil {`, `if err := error(nil); err != nil {`},
	{"upload: what a reader may still write to is not given back", "catalog/staging.go", `	w.pooled = nil
	n, err = r.Read(room)`, `	n, err = r.Read(room)`},
	{"uses: a journal is not written anew during a fold", folder, `f.folding || f.journal.size < f.maxJournal`, `f.journal.size < f.maxJournal`},
	{"uses: a journal is written anew where that shortens it", folder, `journalSize(waiting) > f.maxJournal/2`, `false`},

	{"observe: what a call makes of a commit is no failure of it", "catalog/observe.go", `own != nil && errors.Is(err, own)`, `own != nil && errors.Is(err, own) && own == nil`},
	{"figures: a failed backup is none", "catalog/backup.go", `if info.BackupInfo, err = copied.Write(ctx, pacedWriter{w, ctx, pace}, taken); err != nil {`, `if info.BackupInfo, err = copied.Write(ctx, w, taken); false {`},
	{"figures: what the store is at work on is due", "ttl/sweeper.go", `if s.handling = len(entries); s.handling > 0 {`, `if false {`},

	{"bulk: it is looked again under the scope", "catalog/bulk.go", `if areNew, err := areNew(t.ctx, t.txn, all); err != nil || !areNew {`, `if areNew, err := true, error(nil); err != nil || !areNew {`},
	{"bulk: where nobody else writes", "catalog/many.go", `bulk: c.exclusive && len(items)`, `bulk: len(items)`},
	{"bulk: uploads are read by the caller", "catalog/many.go", `return i.Upload != nil })`, `return i.Upload != nil && i.URL != "" })`},
	{"bulk: uploads are received when it is their turn", "catalog/many.go", `			if hasUploads(m.items[begin+i].Patch) {
				r.in, r.err = m.receive(begin + i)
			}
			m.add(begin+i, r.in, r.err)
		}
`, `			if hasUploads(m.items[begin+i].Patch) {
				r.in, r.err = m.receive(begin + i)
			}
			some[i] = r
		}
		for i, r := range some {
			m.add(begin+i, r.in, r.err)
		}
`},
	{"bulk: what is checked apart keeps its place", "catalog/many.go", `m.add(begin+i, r.in, r.err)`, `m.add(i, r.in, r.err)`},
	{"bulk: not the same product twice", "catalog/bulk.go", `if byID(order[n], order[n+1]) == 0 {`, `if false && byID(order[n], order[n+1]) == 0 {`},
	{"plain JSON: no name twice", "catalog/internal/plainjson/plainjson.go", `if bytes.Equal(other, name) {`, `if false && bytes.Equal(other, name) {`},
	{"plain JSON: UTF-8", "catalog/internal/plainjson/plainjson.go", `return text, ascii || utf8.Valid(text)`, `return text, ascii || true`},
	{"index: what it may take is not left out", "ttl/index.go", `return deadline <= x.limit.Load()`, `return deadline < x.limit.Load()-1`},
}
