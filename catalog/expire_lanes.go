package catalog

import (
	"cmp"
	"context"
	"slices"
)

// Where processes share a store the sweeper hands on sharedBatch entries, which
// sharedLanes goroutines handle, in Updates of laneBatch, or of laneAccounts where that is
// less: while one waits for the server's disk another reads. An Update is two requests and
// a transaction, which cost as much as twenty products; but each account is a lock, and
// there are few. An account's entries are in one lane, since the
// server may know many scopes of an account as the account. They are so many that
// the lanes come to their ends together: products of an account that were created
// together expire together.
const (
	sharedLanes  = 8
	laneBatch    = 128
	laneAccounts = 64
	sharedBatch  = 4 * sharedLanes * laneBatch
)

// A lane has entries that are handled in order.
type lane struct {
	entries []dueEntry
	numbers []int // of the entries among all
	done    int   // so many are handled
	err     error // of the Update of those that follow
}

// spread spreads entries over lanes, each account's in one, in the order that they have:
// the largest accounts first, each to the lane that has the least.
func spread(entries []dueEntry, numbers []int) []lane {
	type share struct {
		account string
		entries int
	}
	var shares []share
	places := make(map[string]int, len(entries)/8) // of the accounts among shares, then their lanes
	for i := range entries {
		a := entries[i].Account
		place, ok := places[a]
		if !ok {
			place = len(shares)
			places[a], shares = place, append(shares, share{account: a})
		}
		shares[place].entries++
	}
	slices.SortStableFunc(shares, func(a, b share) int { return cmp.Compare(b.entries, a.entries) })
	lanes, loads := make([]lane, sharedLanes), make([]int, sharedLanes)
	for _, s := range shares {
		least := slices.Index(loads, slices.Min(loads))
		places[s.account], loads[least] = least, loads[least]+s.entries
	}
	for i := range lanes {
		lanes[i].entries, lanes[i].numbers = make([]dueEntry, 0, loads[i]), make([]int, 0, loads[i])
	}
	for i := range entries {
		l := &lanes[places[entries[i].Account]]
		l.entries, l.numbers = append(l.entries, entries[i]), append(l.numbers, numbers[i])
	}
	return lanes
}

// handleLane handles the entries of a lane, at most so many in one Update, and about
// as many in each.
func (x expirer) handleLane(ctx context.Context, l *lane, most int) {
	if len(l.entries) == 0 {
		return
	}
	updates := (len(l.entries) + most - 1) / most
	most = (len(l.entries) + updates - 1) / updates
	for l.done < len(l.entries) {
		some := l.entries[l.done:]
		if some = some[:min(most, len(some))]; !x.c.exclusive {
			some = ofAccounts(some, laneAccounts)
		}
		if l.err = x.handle(ctx, some); l.err != nil {
			return
		}
		l.done += len(some)
	}
}

// ofAccounts returns the first of the entries, of so many accounts at most.
func ofAccounts(entries []dueEntry, most int) []dueEntry {
	accounts := make(map[string]struct{}, most)
	for i := range entries {
		if i > 0 && entries[i].Account == entries[i-1].Account {
			continue
		}
		accounts[entries[i].Account] = struct{}{}
		if len(accounts) > most {
			return entries[:i]
		}
	}
	return entries
}
