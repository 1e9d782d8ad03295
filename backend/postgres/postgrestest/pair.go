//go:build unix

package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Pair is a primary and its synchronous standby, for one test alone: what the
// primary acknowledges is on the disks of both.
type Pair struct {
	servers [2]*Server
	primary int
}

// StartPair starts two servers. The settings are those of [Start].
func StartPair(t testing.TB, settings ...string) *Pair {
	t.Helper()
	p := &Pair{}
	settings = append([]string{"wal_keep_size=256MB"}, settings...)
	p.servers[0] = Start(t, settings...)
	standby, err := prepare()
	if err != nil {
		t.Fatal(err)
	}
	p.servers[1] = standby.until(t)
	standby.settings = settings
	if err := p.Rejoin(); err != nil {
		t.Fatal(err)
	}
	return p
}

// DSN returns the connection string of a database on whichever of the two takes
// writes.
func (p *Pair) DSN(database string) string {
	return "postgres://shelflife@/" + database + "?host=" + url.QueryEscape(p.servers[0].dir+","+p.servers[1].dir) +
		"&target_session_attrs=read-write"
}

// Database creates a database; it ends with the servers.
func (p *Pair) Database(t testing.TB) string {
	t.Helper()
	const name = "shelflife_test"
	if err := execute(p.DSN("postgres"), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return p.DSN(name)
}

// Primary returns the server that takes writes.
func (p *Pair) Primary() *Server { return p.servers[p.primary] }

// Kill ends the primary as kill -9 does.
func (p *Pair) Kill() error { return p.Primary().Kill() }

// Promote makes the standby the primary and returns when it takes writes. The
// other must have ended: else both would.
func (p *Pair) Promote() error {
	p.primary = 1 - p.primary
	return execute(p.Primary().DSN("postgres"), "SELECT pg_promote()")
}

// Rejoin makes what is not the primary its synchronous standby, with a copy of
// the primary in place of whatever it had, and returns when commits wait for it.
func (p *Pair) Rejoin() error {
	primary, standby := p.Primary(), p.servers[1-p.primary]
	if err := os.RemoveAll(standby.data()); err != nil {
		return err
	}
	// The copy does not wait for a standby when it is promoted: the setting comes
	// after it.
	if err := standby.run("pg_basebackup", "-D", standby.data(), "-h", primary.dir, "-U", "shelflife", "-R", "-c", "fast", "--no-sync"); err != nil {
		return err
	}
	if err := standby.Restart(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, primary.DSN("postgres"))
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return awaitSync(ctx, c, primary, standby)
}

// awaitSync returns when the primary's commits wait for the standby. Its processes
// learn of the setting one after the other, and only a commit shows that it
// has come into force: it waits for a standby that stands still.
func awaitSync(ctx context.Context, c *pgx.Conn, primary, standby *Server) (err error) {
	for state := ""; state != "sync"; primary.wait(ctx, 10*time.Millisecond) {
		err := c.QueryRow(ctx, "SELECT coalesce(max(sync_state), '') FROM pg_stat_replication WHERE state = 'streaming'").Scan(&state)
		if err != nil {
			return fmt.Errorf("wait for the standby: %w", err)
		}
	}
	if err := standby.Freeze(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	commit := func() {
		ended <- execute(primary.DSN("postgres"), "SELECT pg_logical_emit_message(true, 'shelflife', '')")
	}
	go commit()
	for waits := 0; waits == 0 && err == nil; {
		select {
		case err = <-ended:
			go commit()
		default:
			err = c.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&waits)
		}
	}
	return errors.Join(err, standby.Thaw(), <-ended)
}
