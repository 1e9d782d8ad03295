package deadspans

import "slices"

// A Watch is a walk's, from before it reads until it has ended. Its methods are
// for one goroutine.
type Watch struct {
	spans   *Spans
	account string
	shard   *shard

	// What was marked since and lies ahead of what was kept; the shard's lock
	// guards it.
	written []string
	lost    bool // there was too much of it, or a Reset
}

// Watch begins to note what is written to an account, until End.
func (s *Spans) Watch(account string) *Watch {
	w := &Watch{spans: s, account: account, shard: s.shard(account)}
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	for m := w.shard.marks; m != nil; m = m.next {
		if m.account == account {
			w.note(m.key())
		}
	}
	w.shard.watches = append(w.shard.watches, w)
	return w
}

// note remembers a key. The shard's lock is held.
func (w *Watch) note(key string) {
	if len(w.written) == maxWritten {
		w.lost, w.written = true, nil
	}
	if !w.lost {
		w.written = append(w.written, key)
	}
}

// End ends the watch.
func (w *Watch) End() {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	i := slices.Index(w.shard.watches, w)
	w.shard.watches = slices.Delete(w.shard.watches, i, i+1)
}

// Keep makes a span of the keys from start up to end, which is not among them, but
// for those that may have been written since the watch began. records is how many
// had expired there. What lies in front of end can't be kept any more.
func (w *Watch) Keep(start, end string, records int) {
	sh := w.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if w.lost || start >= end {
		return
	}
	var within []string
	ahead := w.written[:0]
	for _, key := range w.written {
		switch {
		case key >= end:
			ahead = append(ahead, key)
		case key >= start:
			within = append(within, key)
		}
	}
	clear(w.written[len(ahead):])
	w.written = ahead
	if len(within) > maxWithin {
		return
	}
	// The keys are cut out before the rest is united with what is there: one that
	// another walk has found dead since stays in that walk's span, which is Known.
	parts := []span{{start, end, records}}
	for _, key := range within {
		parts, _ = cut(parts, key)
	}
	spans := slices.Clone(sh.accounts[w.account])
	for _, p := range parts {
		spans = add(spans, p)
	}
	w.spans.set(sh, w.account, spans)
}
