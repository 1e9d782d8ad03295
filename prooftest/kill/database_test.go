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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// sharing is how many servers share the database.
const sharing = 3

// TestKillOnDatabase has several servers on one database, every request sent to
// one of them at random, and kills one of them, the database or both under load,
// again and again. What was acknowledged is there afterwards, uses included;
// what was refused as UNAVAILABLE is not; of a call whose outcome is not known
// all or nothing. A product that all edit at once counts every edit once, and
// no call reads it as it was before an edit that was acknowledged.
func TestKillOnDatabase(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	database := postgrestest.Start(t)
	dsn := database.Database(t)
	binary := build(t)
	serve := func() *server { return startOn(t, binary, "--store", dsn) }
	servers := make([]*server, sharing)
	urls := make([]string, sharing)
	for i := range servers {
		servers[i] = serve()
		urls[i] = servers[i].url(t)
	}
	all := make([]*writer, writers-1)
	for i := range all {
		all[i] = &writer{
			account: i, rng: rand.New(rand.NewPCG(seed, uint64(i+1))),
			client: &http.Client{Transport: new(http.Transport), Timeout: patience},
			known:  map[string]*product{}, uses: map[string][]use{},
		}
	}
	hot := &counted{}
	var sum figures
	var serversKilled, databaseKilled, refused int
	for n := 0; n < max(1, *killTimes/4); n++ {
		var wg sync.WaitGroup
		ended := make([]error, len(all)+sharing)
		var stop atomic.Bool
		for i, w := range all {
			w.urls = append([]string{}, urls...)
			w.stop.Store(false)
			w.client.CloseIdleConnections()
			wg.Go(func() {
				r, err := w.runShared()
				ended[i] = err
				hot.mu.Lock()
				refused += r
				hot.mu.Unlock()
			})
		}
		for i := range sharing {
			rng, urls := rand.New(rand.NewPCG(seed, uint64(n*sharing+i+100))), append([]string{}, urls...)
			wg.Go(func() { ended[len(all)+i] = hot.run(rng, urls, &stop) })
		}
		time.Sleep(time.Duration(300+rng.IntN(1200)) * time.Millisecond)
		what := rng.IntN(3)
		killed := time.Now()
		if what != 0 {
			require.NoError(t, database.Kill())
			databaseKilled++
		}
		if victim := rng.IntN(sharing); what != 1 {
			servers[victim].kill()
			serversKilled++
			if what == 2 {
				require.NoError(t, database.Restart())
			}
			servers[victim] = serve()
			urls[victim] = servers[victim].url(t)
		} else {
			require.NoError(t, database.Restart())
		}
		before := hot.total()
		for begun := time.Now(); hot.total() < before+10; { // the others go on by themselves
			require.Less(t, time.Since(begun), patience)
			time.Sleep(10 * time.Millisecond)
		}
		stop.Store(true)
		for _, w := range all {
			w.stop.Store(true)
		}
		wg.Wait()
		require.NoError(t, errors.Join(ended...), "seed %d", seed)
		awaitIdle(t, dsn)
		for _, w := range all {
			w.urls = append([]string{}, urls...)
			require.NoError(t, w.verify(killed, &sum), "after kill %d, seed %d", n, seed)
		}
	}
	require.Zero(t, sum.usesLost, "a use is durable before it is acknowledged")
	hot.verify(t, urls)
	acked := 0
	for _, w := range all {
		acked += w.acked
	}
	t.Logf("%d servers and %d databases killed, %d calls acknowledged, %d refused; outcomes not known: %d whole, %d not at all; %d products compared; one product edited %d times, %d outcomes not known",
		serversKilled, databaseKilled, acked, refused, sum.applied, sum.lost, sum.products, hot.edits, hot.doubtful)
	out, err := exec.CommandContext(t.Context(), binary, "check", "--store", dsn).CombinedOutput()
	require.NoError(t, err, "%s", out)
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
