package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

func TestStoreFlags(t *testing.T) {
	const key = testAccount + "=" + testKey
	const url = "postgres://u:sesame@127.0.0.1:1/d"
	for _, c := range []struct {
		env  string
		args []string
		want string
	}{
		{"", []string{"check"}, "--data or --store is missing"},
		{"", []string{"serve", "--api-key", key}, "--data or --store is missing"},
		{"", []string{"check", "--data", "d", "--store", url}, "name two stores"},
		{url, []string{"check", "--data", "d"}, "name two stores"},
		{url, []string{"import", "--data", "d", "--account", "a", "-"}, "name two stores"},
		{url, []string{"serve", "--api-key", key, "--data", "d"}, "name two stores"},
		{url, []string{"serve", "--demo"}, "--demo fills a folder"},
		{url, []string{"dump", "--admin", "unix:none", "-"}, "name two stores"},
		{url, []string{"backup", "--admin", "unix:none", "-"}, "name two stores"},
		{url, []string{"check", "--store-connections", "3"}, "--store-connections (or SHELFLIFE_STORE_CONNECTIONS) is not within 4 and 1000"},
		{url, []string{"serve", "--api-key", key, "--store-connections=-4"}, "is not within 4 and 1000"},
		{"", []string{"check", "--data", "d", "--store-connections", "8"}, "but no --store"},
		{url + "?pool_max_conns=4", []string{"check"}, "--store-connections says how many"},
		{"", []string{"check", "--store", "mysql://u:sesame@h/d"}, "begins with postgres://"},
		{"", []string{"check", "--store", "postgres://u:sesame@h:port/d"}, "connection string is not valid"},
		{"postgres://u:sesame@h/d?sslmode=none", []string{"check"}, "connection string is not valid"},
	} {
		t.Setenv("SHELFLIFE_STORE", c.env)
		status, out, errs := execute(t, strings.NewReader(""), c.args...)
		require.Equal(t, exitFailure, status, "%v", c.args)
		require.Contains(t, errs, c.want, "%v", c.args)
		require.NotContains(t, out+errs, "sesame", "%v", c.args)
	}
}

// TestCommandsOnADatabase: check finds no store and makes none, import makes one,
// and check may run beside a server.
func TestCommandsOnADatabase(t *testing.T) {
	dsn := postgrestest.Database(t)
	for range 2 {
		status, _, errs := execute(t, nil, "check", "--store", dsn)
		require.Equal(t, exitFailure, status)
		require.Contains(t, errs, "there is no store in PostgreSQL")
	}
	s := startServer(t, "--store", dsn)
	where, err := postgres.Address(dsn)
	require.NoError(t, err)
	serving := s.awaitLog("serving")
	require.Equal(t, "PostgreSQL at "+where, serving["data"])
	require.NotZero(t, serving["max_http_connections"])
	t.Setenv("SHELFLIFE_STORE", dsn)
	status, out, errs := execute(t, strings.NewReader(upsertBody("mug")+"\n"), "import", "--account", testAccount, "-")
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "created 1")
	_, products := s.list()
	require.Contains(t, products, "mug")
	status, out, errs = execute(t, nil, "check")
	require.Equal(t, exitOK, status, "%s%s", out, errs)
	require.Contains(t, out, "products        1")
	require.NotContains(t, strings.Join(s.logged(), "\n"), dsn)
	s.stop()
}

// TestServersShareADatabase has two servers on one database, requests spread over
// them, and the database and one of the servers killed under load: nothing that
// was acknowledged is lost, and both go on by themselves.
func TestServersShareADatabase(t *testing.T) {
	database := postgrestest.Start(t)
	dsn := database.Database(t)
	servers := []*server{startServer(t, "--store", dsn), startServer(t, "--store", dsn)}
	const writers = 6
	var (
		mu           sync.Mutex // guards what follows
		acknowledged = map[string]string{}
		doubtful     = map[string]bool{}
		news         = make(chan struct{})
		stopped      bool
		writing      sync.WaitGroup
	)
	for w := range writers {
		writing.Go(func() {
			for i := 0; ; i++ {
				mu.Lock()
				at, end := servers[(i+w)%2], stopped
				mu.Unlock()
				if end {
					return
				}
				id := fmt.Sprintf("w%d/%d", w, i)
				a, err := at.try("POST", "/products", upsertBody(id))
				mu.Lock()
				if err == nil && a.status == http.StatusCreated {
					acknowledged[id] = a.body
				} else {
					doubtful[id] = true
				}
				close(news)
				news = make(chan struct{})
				mu.Unlock()
			}
		})
	}
	advance := func(n int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for target := len(acknowledged) + n; len(acknowledged) < target; {
			wait := news
			mu.Unlock()
			select {
			case <-wait:
			case <-t.Context().Done():
				t.Error("no progress")
			}
			mu.Lock()
		}
	}
	advance(40)
	require.NoError(t, database.Kill())
	require.NoError(t, database.Restart())
	advance(40)
	servers[1].kill()
	again := startServer(t, "--store", dsn)
	mu.Lock()
	servers[1] = again
	mu.Unlock()
	advance(40)
	mu.Lock()
	stopped = true
	mu.Unlock()
	writing.Wait()
	for _, s := range servers {
		_, products := s.list()
		for id, body := range acknowledged {
			require.Equal(t, body, string(products[id]), id)
		}
		for id := range products {
			require.True(t, acknowledged[id] != "" || doubtful[id], "%s was never asked for", id)
		}
		s.stop()
	}
	status, out, errs := execute(t, nil, "check", "--store", dsn)
	require.Equal(t, exitOK, status, "%s%s", out, errs)
}

// TestPasswordIsNotTold: neither the log of a server nor what any command or answer
// says has the password of the database, whatever goes wrong with that.
func TestPasswordIsNotTold(t *testing.T) {
	const password = "open-sesame"
	database := postgrestest.StartSecured(t, password)
	_, port, err := net.SplitHostPort(database.Addr)
	require.NoError(t, err)
	store := func(password, host string) string {
		return fmt.Sprintf("postgres://keeper:%s@%s:%s/vault?sslmode=verify-full&sslrootcert=%s", password, host, port, url.QueryEscape(database.CA))
	}
	t.Setenv("SHELFLIFE_STORE", store(password, "localhost"))
	s := startServer(t)
	told := []string{s.do("POST", "/products", upsertBody("mug")).body}
	for _, wrong := range []string{store(password, "127.0.0.1"), store("not-"+password, "localhost"), store(password, "localhost") + "&sslmode=no-such"} {
		t.Setenv("SHELFLIFE_STORE", wrong)
		status, out, errs := spawn(t, "check")
		require.Equal(t, exitFailure, status)
		require.NotEmpty(t, errs)
		told = append(told, out, errs)
	}
	require.NoError(t, database.Kill())
	paths := []string{"/products/mug", "/products"}
	answers, errs := make([]answer, len(paths)), make([]error, len(paths))
	var wg sync.WaitGroup
	for i, path := range paths { // at once, since each is tried for as long as it may
		wg.Go(func() { answers[i], errs[i] = s.try("GET", path, "") })
	}
	wg.Wait()
	for i, path := range paths {
		require.NoError(t, errs[i], path)
		require.Equal(t, http.StatusServiceUnavailable, answers[i].status, path)
		told = append(told, answers[i].body)
	}
	health := s.do("GET", "/healthz", "") // when they have found out
	require.Equal(t, http.StatusServiceUnavailable, health.status)
	told = append(told, health.body)
	require.NoError(t, database.Restart())
	for s.do("GET", "/products/mug", "").status != http.StatusOK { // until it has connected
	}
	s.stop()
	told = append(told, s.logged()...)
	require.Contains(t, strings.Join(s.logged(), "\n"), "the server is lost")
	for _, text := range append(told, s.stdout.String()) {
		require.NotContains(t, text, password)
	}
}
