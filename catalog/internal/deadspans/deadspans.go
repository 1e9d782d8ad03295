package deadspans

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/encoding"
)

const (
	shardCount = 64
	// maxSpans bounds the spans of a shard's accounts together, and so those of one:
	// about ten mebibytes in all, with keys of the usual length.
	maxSpans = 1024
	// maxWithin is how many keys are cut out of a stretch at most: one in which
	// more is written while it is read is not kept.
	maxWithin = 64
	// maxWritten bounds the keys that a watch remembers. A walk during which more
	// are written ahead of it keeps nothing.
	maxWritten = 1 << 14
)

// Spans are those of all accounts. They are safe for concurrent use, by the rules
// of the package.
type Spans struct {
	seed   maphash.Seed
	count  atomic.Int64 // spans in all: readers that find none lock nothing
	shards [shardCount]shard
}

// shard has the accounts that hash to it.
type shard struct {
	// mu guards what follows, and what is linked into it. Nothing is locked under
	// it.
	mu       sync.Mutex
	accounts map[string][]span // disjoint, in order; no empty ones
	spans    int               // of all accounts
	marks    *Mark             // of Updates at work, in no order
	watches  []*Watch          // of walks at work
	// cuts counts what may have made a span untrue: keys that were cut out of one,
	// and spans that were forgotten, from which nothing can be cut any more.
	cuts uint64
}

// span is a stretch of keys: start is in it, end is behind it.
type span struct {
	start, end string
	// records is about how many records of the stretch had expired. It decides
	// what is forgotten first, nothing else.
	records int
}

// New returns no spans.
func New() *Spans { return &Spans{seed: maphash.MakeSeed()} }

func (s *Spans) shard(account string) *shard {
	return &s.shards[maphash.String(s.seed, account)%shardCount]
}

// Behind returns the end of the span in which key lies, "" if it lies in none.
func (s *Spans) Behind(account string, key []byte) (end string) {
	if s.count.Load() == 0 {
		return ""
	}
	sh := s.shard(account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return behind(sh.accounts[account], key)
}

func behind(spans []span, key []byte) (end string) {
	i, ok := find(spans, string(key))
	if !ok {
		return ""
	}
	return spans[i].end
}

// find returns the index of the span in which key lies, if there is one.
func find(spans []span, key string) (i int, ok bool) {
	i = sort.Search(len(spans), func(i int) bool { return spans[i].end > key })
	return i, i < len(spans) && spans[i].start <= key
}

// Reset forgets everything that was kept or is about to be.
func (s *Spans) Reset() {
	for i := range s.shards {
		s.reset(&s.shards[i])
	}
}

func (s *Spans) reset(sh *shard) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.count.Add(-int64(sh.spans))
	sh.accounts, sh.spans = nil, 0
	sh.cuts++
	for _, w := range sh.watches {
		w.lost, w.written = true, nil
	}
}

// set replaces the spans of an account and keeps the bounds. The shard's lock is
// held.
func (s *Spans) set(sh *shard, account string, spans []span) {
	for len(spans) > maxSpans {
		// Of two at random the smaller one: were it the smallest of all, spans that
		// are alike would always go from the front, where pages begin.
		i, j := rand.IntN(len(spans)), rand.IntN(len(spans))
		if spans[j].records < spans[i].records {
			i = j
		}
		spans = slices.Delete(spans, i, i+1)
		sh.cuts++
	}
	s.put(sh, account, spans)
	for other := range sh.accounts {
		if sh.spans <= maxSpans {
			return
		}
		if other != account {
			s.put(sh, other, nil)
			sh.cuts++
		}
	}
}

func (s *Spans) put(sh *shard, account string, spans []span) {
	more := len(spans) - len(sh.accounts[account])
	sh.spans += more
	s.count.Add(int64(more))
	switch {
	case len(spans) == 0:
		delete(sh.accounts, account)
	case sh.accounts == nil:
		sh.accounts = map[string][]span{account: spans}
	default:
		sh.accounts[account] = spans
	}
}

// add unites n with the spans that it touches.
func add(spans []span, n span) []span {
	first := sort.Search(len(spans), func(i int) bool { return spans[i].end >= n.start })
	last := first
	for ; last < len(spans) && spans[last].start <= n.end; last++ {
		n.start = min(n.start, spans[last].start)
		n.end = max(n.end, spans[last].end)
		n.records += spans[last].records
	}
	return slices.Replace(spans, first, last, n)
}

// cut takes a key out of the span in which it lies, and reports whether there is
// one.
func cut(spans []span, key string) ([]span, bool) {
	i, ok := find(spans, key)
	if !ok {
		return spans, false
	}
	whole := spans[i]
	before := span{whole.start, key, whole.records}
	after := span{successor(key), whole.end, whole.records}
	var parts []span
	if before.start < before.end {
		parts = append(parts, before)
	}
	if after.start < after.end {
		parts = append(parts, after)
	}
	if len(parts) == 2 { // where the records lie is not known
		parts[0].records, parts[1].records = whole.records/2, whole.records/2
	}
	return slices.Replace(spans, i, i+1, parts...), true
}

// successor returns the first key behind another.
func successor(key string) string { return key + "\x00" }

// Known are the spans of an account at a moment.
type Known struct {
	shard *shard
	spans []span
	cuts  uint64
}

// Known returns the spans of an account.
func (s *Spans) Known(account string) Known {
	if s.count.Load() == 0 {
		return Known{}
	}
	sh := s.shard(account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return Known{sh, slices.Clone(sh.accounts[account]), sh.cuts}
}

// Holds reports whether nothing has become untrue since k was made; otherwise k
// is emptied.
func (k *Known) Holds() bool {
	if len(k.spans) == 0 {
		return true
	}
	k.shard.mu.Lock()
	defer k.shard.mu.Unlock()
	if k.cuts != k.shard.cuts {
		k.spans = nil
	}
	return k.spans != nil
}

// Behind returns the end of the span in which key lies, "" if it lies in none.
func (k *Known) Behind(key []byte) (end string) { return behind(k.spans, key) }

// A Mark says that an Update is at work on a product. It must not move until it
// is unmarked, and may be used again then.
type Mark struct {
	account, id string
	shard       *shard
	prev, next  *Mark
}

func (m *Mark) key() string {
	return string(encoding.AppendProductKey(nil, m.account, m.id))
}

// Mark cuts a product out of the span in which it lies, and keeps it out of those
// to come until m is unmarked.
func (s *Spans) Mark(m *Mark, account, id string) {
	sh := s.shard(account)
	*m = Mark{account: account, id: id, shard: sh}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if m.next = sh.marks; m.next != nil {
		m.next.prev = m
	}
	sh.marks = m
	spans := sh.accounts[account]
	if len(spans) == 0 && len(sh.watches) == 0 {
		return
	}
	key := m.key()
	for _, w := range sh.watches {
		if w.account == account {
			w.note(key)
		}
	}
	if spans, was := cut(spans, key); was {
		sh.cuts++
		s.set(sh, account, spans)
	}
}

// Unmark ends a Mark: the Update has become visible, or never will.
func (s *Spans) Unmark(m *Mark) {
	sh := m.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		sh.marks = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	}
	*m = Mark{}
}
