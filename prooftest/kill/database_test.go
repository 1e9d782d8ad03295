package kill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/prooftest/internal/serve"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// sharing is how many servers share the database.
const sharing = 3

// shared are several servers on one database, under load.
type shared struct {
	t       *testing.T
	binary  string
	dsn     string
	seed    uint64
	rng     *rand.Rand
	servers []*serve.Server
	urls    []string
	all     []*writer
	hot     counted
	sum     figures
	refused int
}

// startShared starts them on a database.
func startShared(t *testing.T, dsn string) *shared {
	s := &shared{t: t, binary: serve.Build(t), dsn: dsn, seed: *killSeed, servers: make([]*serve.Server, sharing), urls: make([]string, sharing)}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	t.Logf("-kill.seed=%d", s.seed)
	s.rng = rand.New(rand.NewPCG(s.seed, 0))
	for i := range s.servers {
		s.serve(i)
	}
	s.all = make([]*writer, writers-1)
	for i := range s.all {
		s.all[i] = &writer{
			account: i, rng: rand.New(rand.NewPCG(s.seed, uint64(i+1))),
			client: &http.Client{Transport: new(http.Transport), Timeout: patience},
			known:  map[string]*product{}, uses: map[string][]use{},
		}
	}
	return s
}

// serve starts server i.
func (s *shared) serve(i int) {
	s.servers[i] = startOn(s.t, s.binary, "--store", s.dsn)
	s.urls[i] = s.servers[i].URL(s.t)
}

// round has every request sent to one of the servers at random, has strike kill
// something meanwhile, waits until requests are answered again, and compares
// everything with what was acknowledged.
func (s *shared) round(n int, strike func()) {
	t := s.t
	var wg sync.WaitGroup
	ended := make([]error, len(s.all)+sharing)
	var stop atomic.Bool
	for i, w := range s.all {
		w.urls = append([]string{}, s.urls...)
		w.stop.Store(false)
		w.client.CloseIdleConnections()
		wg.Go(func() {
			r, err := w.runShared()
			ended[i] = err
			s.hot.mu.Lock()
			s.refused += r
			s.hot.mu.Unlock()
		})
	}
	for i := range sharing {
		rng, urls := rand.New(rand.NewPCG(s.seed, uint64(n*sharing+i+100))), append([]string{}, s.urls...)
		wg.Go(func() { ended[len(s.all)+i] = s.hot.run(rng, urls, &stop) })
	}
	time.Sleep(time.Duration(300+s.rng.IntN(1200)) * time.Millisecond)
	killed := time.Now()
	strike()
	before := s.hot.total()
	for begun := time.Now(); s.hot.total() < before+10; { // the others go on by themselves
		require.Less(t, time.Since(begun), patience)
		time.Sleep(10 * time.Millisecond)
	}
	stop.Store(true)
	for _, w := range s.all {
		w.stop.Store(true)
	}
	wg.Wait()
	require.NoError(t, errors.Join(ended...), "seed %d", s.seed)
	awaitIdle(t, s.dsn)
	for _, w := range s.all {
		w.urls = append([]string{}, s.urls...)
		require.NoError(t, w.verify(killed, &s.sum), "in round %d, seed %d", n, s.seed)
	}
}

// end compares what all rounds together have done, and returns it in words.
func (s *shared) end() string {
	require.Zero(s.t, s.sum.usesLost, "a use is durable before it is acknowledged")
	s.hot.verify(s.t, s.urls)
	acked := 0
	for _, w := range s.all {
		acked += w.acked
	}
	out, err := exec.CommandContext(s.t.Context(), s.binary, "check", "--store", s.dsn).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return fmt.Sprintf("%d calls acknowledged, %d refused; outcomes not known: %d whole, %d not at all; %d products compared; one product edited %d times, %d outcomes not known",
		acked, s.refused, s.sum.applied, s.sum.lost, s.sum.products, s.hot.edits, s.hot.doubtful)
}

// TestKillOnDatabase has several servers on one database, every request sent to
// one of them at random, and kills one of them, the database or both under load,
// again and again. What was acknowledged is there afterwards, uses included;
// what was refused as UNAVAILABLE is not; of a call whose outcome is not known
// all or nothing. A product that all edit at once counts every edit once, and
// no call reads it as it was before an edit that was acknowledged.
func TestKillOnDatabase(t *testing.T) {
	database := postgrestest.Start(t)
	s := startShared(t, database.Database(t))
	var serversKilled, databaseKilled int
	for n := range max(1, *killTimes/4) {
		s.round(n, func() {
			what := s.rng.IntN(3)
			if what != 0 {
				require.NoError(t, database.Kill())
				databaseKilled++
			}
			if victim := s.rng.IntN(sharing); what != 1 {
				s.servers[victim].Kill()
				serversKilled++
				if what == 2 {
					require.NoError(t, database.Restart())
				}
				s.serve(victim)
			} else {
				require.NoError(t, database.Restart())
			}
		})
	}
	t.Logf("%d servers and %d databases killed, %s", serversKilled, databaseKilled, s.end())
}

// TestPromoteUnderServers is the same with a primary that is killed and its
// synchronous standby, which is promoted: the servers know both by name and
// find the one that takes writes by themselves.
func TestPromoteUnderServers(t *testing.T) {
	pair := postgrestest.StartPair(t)
	s := startShared(t, pair.Database(t))
	var down, after []time.Duration
	n := max(1, *killTimes/20)
	for i := range n {
		var killed, promoted time.Time
		s.round(i, func() {
			require.NoError(t, pair.Kill())
			killed = time.Now()
			s.hot.from(killed)
			require.NoError(t, pair.Promote())
			promoted = time.Now()
		})
		first := s.hot.resumed()
		down, after = append(down, first.Sub(killed)), append(after, first.Sub(promoted))
		require.NoError(t, pair.Rejoin())
	}
	slices.Sort(down)
	slices.Sort(after)
	t.Logf("%d promotions, %s; the first write came %v to %v after the kill (median %v), %v to %v after the promotion (median %v)",
		n, s.end(), down[0], down[n-1], down[n/2], after[0], after[n-1], after[n/2])
}

// awaitIdle waits until the database works on nothing: of a process that was killed
// a commit may still be under way.
func awaitIdle(t *testing.T, dsn string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer c.Close(context.Background())
	for busy := 1; busy > 0; {
		require.NoError(t, c.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`).Scan(&busy))
	}
}

// codeOf is the code of an answer that says no.
func codeOf(answer []byte) string {
	var e struct{ Code string }
	_ = json.Unmarshal(answer, &e)
	return e.Code
}

// runShared calls until it is told to stop, or an outcome is not known.
func (w *writer) runShared() (refused int, err error) {
	for !w.stop.Load() {
		w.pending = w.draw()
		err := w.call(*w.pending)
		var no *statusError
		switch gone := (*url.Error)(nil); {
		case err == nil:
			w.acked++
		case errors.As(err, &gone), errors.Is(err, errCutOff):
			return refused, nil
		case errors.As(err, &no) && codeOf(no.answer) == "UNKNOWN_OUTCOME":
			return refused, nil
		case errors.As(err, &no) && (codeOf(no.answer) == "UNAVAILABLE" || codeOf(no.answer) == "OVERLOADED"):
			refused++ // nothing happened, as verify finds
		default:
			return refused, fmt.Errorf("%s, %+v: %w", accountOf(w.account), *w.pending, err)
		}
		w.pending = nil
	}
	return refused, nil
}

// counted is one product whose metadata is a number, which many count up at once
// by edits on the condition that no other was faster.
type counted struct {
	mu       sync.Mutex     // guards what follows
	told     map[int]string // who was told that an edit to the number was done
	highest  int            // of these
	edits    int
	doubtful int

	since, first time.Time // when the first edit that began after since was acknowledged
}

// from has the first acknowledged edit noted that begins from now on.
func (c *counted) from(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.first = now, time.Time{}
}

func (c *counted) resumed() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

func (c *counted) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.edits
}

const hotID = "hot"

// run counts up until it is told to stop.
func (c *counted) run(rng *rand.Rand, urls []string, stop *atomic.Bool) error {
	client := &http.Client{Transport: new(http.Transport), Timeout: patience}
	defer client.CloseIdleConnections()
	for !stop.Load() {
		c.mu.Lock()
		least := c.highest
		c.mu.Unlock()
		n, version, err := readHot(client, urls[rng.IntN(len(urls))])
		if err != nil {
			continue // of a server or a database that was killed
		}
		if n < least {
			return fmt.Errorf("read %d after %d was acknowledged", n, least)
		}
		at := urls[rng.IntN(len(urls))]
		began := time.Now()
		status, answer, err := editHot(client, at, n+1, version)
		c.mu.Lock()
		switch {
		case err == nil && (status == http.StatusOK || status == http.StatusCreated):
			if c.told == nil {
				c.told = map[int]string{}
			}
			if by, twice := c.told[n+1]; twice {
				err = fmt.Errorf("the edit to %d was acknowledged by %s and by %s", n+1, by, at)
			} else {
				c.told[n+1], c.highest = at, max(c.highest, n+1)
				c.edits++
				if c.first.IsZero() && began.After(c.since) {
					c.first = time.Now()
				}
			}
		case err != nil || codeOf(answer) == "UNKNOWN_OUTCOME":
			c.doubtful++
			err = nil
		case status != http.StatusPreconditionFailed && status != http.StatusServiceUnavailable:
			err = fmt.Errorf("edit of the hot product: status %d: %s", status, answer)
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func hotRequest(client *http.Client, method, address, version string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-API-Key", keyOf(writers-1))
	r.Header.Set("Content-Type", "application/json")
	switch {
	case version != "":
		r.Header.Set("If-Match", `"`+version+`"`)
	case method == "POST":
		r.Header.Set("If-None-Match", "*")
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// readHot returns the number, 0 where there is no product yet.
func readHot(client *http.Client, base string) (n int, version string, err error) {
	status, answer, err := hotRequest(client, "GET", base+"/products/"+hotID, "", nil)
	switch {
	case err != nil:
		return 0, "", err
	case status == http.StatusNotFound:
		return 0, "", nil
	case status != http.StatusOK:
		return 0, "", fmt.Errorf("status %d: %s", status, answer)
	}
	var p struct {
		Metadata int
		Version  string
	}
	err = json.Unmarshal(answer, &p)
	return p.Metadata, p.Version, err
}

func editHot(client *http.Client, base string, n int, version string) (status int, answer []byte, err error) {
	body := fmt.Sprintf(`{"externalId":%q,"metadata":%d,"images":[{"source":{"url":"https://cdn.example/hot"}}]}`, hotID, n)
	return hotRequest(client, "POST", base+"/products", version, []byte(body))
}

// verify compares the number with what was told.
func (c *counted) verify(t *testing.T, urls []string) {
	t.Helper()
	for _, base := range urls {
		n, _, err := readHot(&http.Client{Timeout: patience}, base)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, c.highest, "acknowledged, and lost")
		require.LessOrEqual(t, n, c.edits+c.doubtful, "done twice")
	}
}
