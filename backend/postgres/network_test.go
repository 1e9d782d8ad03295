package postgres_test

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
)

// with returns a connection string with another parameter.
func with(t *testing.T, dsn, name, value string) string {
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

var bouncerAll = flag.Bool("bouncer.all", false, "TestBouncer runs the whole conformance suite, which takes a minute or two")

// TestBouncer goes through PgBouncer in transaction mode, where each statement may
// come to another connection of the server, of which there are fewer than are asked
// for.
func TestBouncer(t *testing.T) {
	size := "default_pool_size = 4"
	if *bouncerAll { // whose loops hold many
		size = "default_pool_size = 50"
	}
	dsn := postgrestest.Bouncer(t, postgrestest.Database(t), "pool_mode = transaction", "max_client_conn = 1000", size)
	dsn = with(t, dsn, "default_query_exec_mode", "cache_describe")
	if *bouncerAll {
		backendtest.Run(t, harnessOn(t, dsn, postgres.Options{CallTimeout: 2 * time.Second, CommitTimeout: 2 * time.Second}))
		return
	}
	c := startCounters(open(t, dsn, nil), open(t, dsn, nil))
	c.advance(t, 300)
	for range 20 {
		snapshot, err := c.stores[0].Snapshot(t.Context())
		require.NoError(t, err)
		first := get(t, snapshot, key(0))
		c.advance(t, 10)
		require.Equal(t, first, get(t, snapshot, key(0)), "another state within a snapshot")
		require.NoError(t, snapshot.Close())
	}
	c.check(t)
}

// TestSilentNetwork has a network swallow all answers under load, also those to
// new connections: calls end by themselves, with an error that says what is known,
// and go on when the network does.
func TestSilentNetwork(t *testing.T) {
	l := postgrestest.NewLink(t, postgrestest.Database(t))
	o := &postgres.Options{CallTimeout: time.Second, CommitTimeout: time.Second}
	c := startCounters(open(t, l.DSN(), o), open(t, l.DSN(), o))
	for _, drop := range []bool{false, true} { // the connections are there afterwards, or have ended
		c.advance(t, 50)
		l.Stall()
		_, err := c.stores[0].Get(t.Context(), []byte("k"), func([]byte) error { return nil })
		require.ErrorIs(t, err, backend.ErrUnavailable)
		require.ErrorIs(t, c.stores[0].Ready(), backend.ErrUnavailable)
		err = put(t.Context(), c.stores[0], item("k"), "k", "v")
		require.True(t, errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrUnknownOutcome), "%v", err)
		if drop {
			l.Drop()
		}
		l.Resume()
		c.advance(t, 50)
	}
	c.check(t)
	require.NoError(t, c.stores[0].Ready())
}

// TestTLS: the server's certificate is checked against the authority and the name
// that the connection string has, and neither a password that is right nor one that
// is wrong is in an error or in the log.
func TestTLS(t *testing.T) {
	const password = "open-sesame"
	server := postgrestest.StartSecured(t, password)
	_, port, err := net.SplitHostPort(server.Addr)
	require.NoError(t, err)
	dsn := func(password, host, mode, ca string) string {
		return "postgres://keeper:" + password + "@" + net.JoinHostPort(host, port) + "/vault?sslmode=" + mode + "&sslrootcert=" + url.QueryEscape(ca)
	}
	var log bytes.Buffer
	o := func() *postgres.Options {
		return &postgres.Options{CallTimeout: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	}
	s := open(t, dsn(password, "localhost", "verify-full", server.CA), o())
	require.NoError(t, put(t.Context(), s, group, "k", "v"))

	other := t.TempDir() + "/ca.pem" // of nobody
	require.NoError(t, os.WriteFile(other, []byte(otherCA), 0o600))
	for name, dsn := range map[string]string{
		"another name":      dsn(password, "127.0.0.1", "verify-full", server.CA),
		"another authority": dsn(password, "localhost", "verify-full", other),
		"no TLS":            dsn(password, "localhost", "disable", server.CA),
		"another password":  dsn("xyzzy-"+password, "localhost", "verify-full", server.CA),
	} {
		_, err := postgres.Open(t.Context(), dsn, o())
		require.ErrorIs(t, err, backend.ErrUnavailable, name)
		require.NotContains(t, err.Error(), password, name)
		require.NotContains(t, err.Error(), "keeper", name)
	}

	// What there is no connection to, and why.
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	right := dsn(password, "localhost", "verify-full", server.CA)
	for says, dsn := range map[string]string{
		"localhost:" + port + "/vault: the server does not accept the user or the password (SQLSTATE 28P01)": dsn("xyzzy-"+password, "localhost", "verify-full", server.CA),
		"127.0.0.1:" + port + "/vault: the server's certificate is not accepted":                             dsn(password, "127.0.0.1", "verify-full", server.CA),
		"localhost:" + port + "/none: there is no such database (SQLSTATE 3D000)":                            strings.Replace(right, "/vault?", "/none?", 1),
		nobody.Addr().String() + "/d: nothing listens there":                                                 "postgres://keeper:" + password + "@" + nobody.Addr().String() + "/d",
		"no-such-host.invalid:5432/d: ":                                                                      "postgres://keeper:" + password + "@no-such-host.invalid/d",
		"/no/such/folder:7/d: there is no such socket":                                                       "postgres://keeper:" + password + "@/d?port=7&host=/no/such/folder",
		"no-such-host.invalid:1," + nobody.Addr().String() + "/d: ":                                          "postgres://keeper:" + password + "@no-such-host.invalid:1," + nobody.Addr().String() + "/d",
	} {
		_, err := postgres.Open(t.Context(), dsn, o())
		require.ErrorIs(t, err, backend.ErrUnavailable)
		require.ErrorContains(t, err, "no connection to "+says)
		require.NotContains(t, err.Error(), password)
		require.NotContains(t, err.Error(), "keeper")
		where, err := postgres.Address(dsn)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(says, where+": "), "%s, %s", where, says)
	}

	// A password that is changed while the store is open.
	admin, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	require.NoError(t, err)
	defer admin.Close(t.Context())
	change := func(password string) {
		_, err := admin.Exec(t.Context(), "ALTER ROLE keeper PASSWORD '"+password+"'")
		require.NoError(t, err)
		_, err = admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'")
		require.NoError(t, err)
	}
	change("changed")
	for err = nil; err == nil; { // connections end one by one
		_, err = s.Get(t.Context(), []byte("k"), func([]byte) error { return nil })
	}
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.NotContains(t, err.Error(), "keeper")
	require.ErrorIs(t, s.Ready(), backend.ErrUnavailable)
	require.ErrorIs(t, put(t.Context(), s, group, "k", "w"), backend.ErrUnavailable)
	change(password)
	require.Equal(t, "v", get(t, s, "k"))
	require.NoError(t, admin.Close(t.Context()))

	require.NoError(t, server.Kill())
	err = put(t.Context(), s, group, "k", "v")
	require.True(t, errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrUnknownOutcome), "%v", err)
	require.NotContains(t, err.Error(), password)
	require.NoError(t, server.Restart())
	require.Equal(t, "v", get(t, s, "k"))
	require.NoError(t, s.Close()) // nothing logs any more
	require.Contains(t, log.String(), "lost")
	require.NotContains(t, log.String(), password)
	require.NotContains(t, log.String(), "keeper")
}

// otherCA has signed nothing.
const otherCA = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUCTLKUUI+IlApKntwQv4y9rsLUkYwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEzMDAwMjAyNVoYDzIxMjYxMTA2MDAy
MDI1WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATWw+CzmD2YToCM3TjABSyEUvWKuWSs0OGCtjMCIpLAP4gtiR9UqT1mmbBLvpL7
H05DDcLwEw/VMb8RbfP/r2YBo1MwUTAdBgNVHQ4EFgQUV1rTo04f1r3whrB0G063
apbzygkwHwYDVR0jBBgwFoAUV1rTo04f1r3whrB0G063apbzygkwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBgMJVZriNoUhCdP2M/fZ76mtPjWu3/
ncmM01UObHiPzwIgJLa9ChS+pS0/X6W735p6gDv1lzaHe/WULRe/+kSG36E=
-----END CERTIFICATE-----`
