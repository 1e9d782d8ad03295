package catalog_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

var (
	isolationSeed  = flag.Uint64("isolation.seed", 0, "begins the isolation test with this seed; 0: random")
	isolationTimes = flag.Int("isolation.histories", 30, "histories of the isolation test on each kind of store")
)

// transcript is what an account is answered, without what is random.
type transcript struct {
	lines []string
	// names replaces random parts by their order of appearance.
	names map[string]string
}

// random matches what differs from run to run.
var random = regexp.MustCompile(`upload://[0-9a-f]{32}|_anon_[A-Z2-7]{26}|"version":"[\w-]{22}"`)

func (s *transcript) note(format string, args ...any) {
	line := random.ReplaceAllStringFunc(fmt.Sprintf(format, args...), func(text string) string {
		if _, ok := s.names[text]; !ok {
			s.names[text] = fmt.Sprintf("random-%d", len(s.names))
		}
		return s.names[text]
	})
	s.lines = append(s.lines, line)
}

// tenant is an account at work: its calls are those of its seed.
type tenant struct {
	w       *world
	account string
	rng     *rand.Rand
	out     *transcript
	names   []string // IDs
	// seen are references that it was given, borrowed those of another account.
	seen, borrowed *[]string
	// hostile tenants try what is another's.
	hostile   bool
	generated bool
}

func (n *tenant) show(what string, p *catalog.Product, err error) {
	if err != nil {
		n.out.note("%s: %v", what, err)
		return
	}
	for _, img := range p.Images {
		if img.Uploaded() {
			*n.seen = append(*n.seen, img.SourceURL)
		}
	}
	n.out.note("%s: %s", what, p.AppendJSON(nil))
}

func (n *tenant) step(ctx context.Context) {
	c, rng := n.w.c(), n.rng
	id := n.names[rng.IntN(len(n.names))]
	pick := rng.Uint64()
	switch op := rng.IntN(24); {
	case op < 7:
		p := catalog.Patch{Title: catalog.Set(fmt.Sprint(pick % 3))}
		switch pick % 5 {
		case 0:
			p = withImage(p)
		case 1, 2:
			p.Images = imagesOf(pngOf(pick%4, 3, 3))
			p.ValidForDays = catalog.Set(1)
		case 3:
			if n.hostile && len(*n.borrowed) > 0 {
				p.Images = catalog.Set([]catalog.NewImage{{URL: (*n.borrowed)[pick%uint64(len(*n.borrowed))]}})
			}
		}
		call := c.Upsert
		if op == 0 {
			call = c.UpsertInline
		}
		res, err := call(ctx, n.account, id, p)
		n.show(fmt.Sprintf("upsert %q %v", id, res.Outcome), res.Product, err)
	case op < 8:
		if n.generated {
			return // the order of several is random
		}
		n.generated = true
		res, err := c.CreateOneShot(ctx, n.account, withImage(catalog.Patch{}))
		n.show("one-shot", res.Product, err)
	case op < 11:
		p, err := c.Use(ctx, n.account, id)
		n.show(fmt.Sprintf("use %q", id), p, err)
	case op < 14:
		p, err := c.Get(ctx, n.account, id)
		n.show(fmt.Sprintf("get %q", id), p, err)
	case op < 16:
		n.out.note("delete %q: %v", id, c.Delete(ctx, n.account, id))
	case op < 17:
		removed, err := c.DeleteAccount(ctx, n.account)
		n.out.note("delete account: %d %v", removed, err)
	case op < 20:
		o := catalog.ListOptions{Limit: 1 + int(pick%3), Prefix: id[:rng.IntN(2)*len(id)], Unlisted: pick%2 == 0}
		for range 20 {
			page, err := c.List(ctx, n.account, o)
			n.out.note("list %q: %v more %v", o.Prefix, err, page.HasMore)
			for _, p := range page.Products {
				n.show("item", p, nil)
			}
			if o.Cursor = page.NextCursor; o.Cursor == "" {
				break
			}
		}
	case op < 21:
		stats, err := c.Stats(ctx, n.account)
		n.out.note("stats: %+v %v", stats, err)
	case op < 23:
		r, err := c.OpenImage(ctx, n.account, id, 0)
		if err != nil {
			n.out.note("image %q: %v", id, err)
			return
		}
		data, err := io.ReadAll(r)
		n.out.note("image %q: %+v %x %v", id, r.Info(), data, err)
		_ = r.Close()
	default:
		for p, err := range c.All(ctx, n.account, catalog.AllOptions{Unlisted: true}) {
			n.show("all", p, err)
		}
	}
}

// runTenant runs the history of an account by itself, or with others at work
// between its calls, and returns what it was answered.
func runTenant(t *testing.T, store int, seed uint64, beside bool) []string {
	w := &world{t: t, clock: ttl.NewManualClock(epoch), open: stores[store].open(t), handles: stores[store].handles}
	w.opts.Clock = w.clock
	w.start()
	defer w.close()
	rng := rand.New(rand.NewPCG(seed, 0))
	var names []string
	for range 6 {
		names = append(names, randomName(rng, false))
	}
	account := randomName(rng, true)
	var mine, theirs []string
	n := &tenant{w: w, account: account, rng: rng, out: &transcript{names: map[string]string{}}, names: names, seen: &mine, borrowed: &theirs}
	others := rand.New(rand.NewPCG(seed, 1))
	var hostile []*tenant
	for _, a := range []string{account + "\x00", account + "\x01", account + "/", account[:len(account)-1] + "b", "a", randomName(others, true), account + account} {
		if a != account && strings.ToValidUTF8(a, "") == a {
			hostile = append(hostile, &tenant{
				w: w, account: a, rng: others, out: &transcript{names: map[string]string{}}, names: names, seen: &theirs, borrowed: &mine, hostile: true,
			})
		}
	}
	for range 80 {
		if beside {
			for range others.IntN(4) {
				hostile[others.IntN(len(hostile))].step(t.Context())
			}
		}
		w.clock.Advance([]time.Duration{0, time.Second, 5 * time.Hour}[rng.IntN(3)])
		if rng.IntN(10) == 0 {
			w.sweep()
		}
		n.step(t.Context())
	}
	return n.out.lines
}

// contract 2: no answer that an account gets depends on what others do that
// have almost the same name and the same IDs and try its references: it is the
// same as if it were alone.
func TestAnswersDoNotDependOnOthers(t *testing.T) {
	first := *isolationSeed
	if first == 0 {
		first = rand.Uint64()
	}
	for i := range stores {
		t.Run(stores[i].name, func(t *testing.T) {
			answers, times := 0, uint64(*isolationTimes)
			if testing.Short() {
				times = min(times, 6)
			}
			for seed := first; seed < first+times; seed++ {
				alone, beside := runTenant(t, i, seed, false), runTenant(t, i, seed, true)
				for line := range min(len(alone), len(beside)) {
					require.Equal(t, alone[line], beside[line], "replay with -isolation.seed=%d -isolation.histories=1; answer %d", seed, line)
				}
				require.Len(t, beside, len(alone), "seed %d", seed)
				answers += len(alone)
			}
			t.Logf("%d answers compared, from -isolation.seed=%d", answers, first)
		})
	}
}
