//go:build unix

package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// bouncerSettings are those of a PgBouncer that the tests start; where it listens,
// who it runs as and the databases come on top.
const bouncerSettings = `[pgbouncer]
listen_port = 5432
unix_socket_mode = 0777
auth_type = trust
`

// Bouncer starts a PgBouncer in front of the server of a connection string, with
// settings such as "pool_mode = transaction", and returns the connection string
// that leads through it. It ends with the test, which is skipped where there is
// no PgBouncer.
func Bouncer(t testing.TB, dsn string, settings ...string) string {
	t.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		bin = "/usr/sbin/pgbouncer"
		_, err = os.Stat(bin)
	}
	if err != nil {
		if os.Getenv("SHELFLIFE_POSTGRES") == "required" {
			t.Fatal("no PgBouncer")
		}
		t.Skip("no PgBouncer: install the package pgbouncer")
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Query().Get("host") == "" {
		t.Skip("PgBouncer is tried with a server of the tests' own, on a Unix socket")
	}
	dir, as, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ini := bouncerSettings + "unix_socket_dir = " + dir + "\nlisten_addr =\nauth_file = " + filepath.Join(dir, "users") + "\n" +
		strings.Join(settings, "\n") + "\n[databases]\n* = host=" + u.Query().Get("host") + "\n"
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "users"), []byte("\"shelflife\" \"\"\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "ini"), []byte(ini), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	// Under a shell that ends it with the test's process, as the server is.
	c := exec.Command("sh", "-c", underShell, "sh", bin, filepath.Join(dir, "ini"))
	c.Dir, c.Stdout, c.Stderr = dir, out, out
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	life, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = life.Close()
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
	})
	q := u.Query()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	simple := u.String() + "&default_query_exec_mode=simple_protocol"
	for {
		if conn, err := pgx.Connect(ctx, simple); err == nil {
			_ = conn.Close(ctx)
			return u.String()
		} else if ctx.Err() != nil {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatal(fmt.Errorf("PgBouncer does not answer: %w\n%s", err, text))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
