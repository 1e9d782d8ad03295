//go:build unix

package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL of the tests' own.
type Server struct {
	bin, dir string
	user     *syscall.Credential // nil for that of the test

	port     int      // part of the name of the socket, and of the address if it has one
	settings []string // such as "max_connections=20"

	mu    sync.Mutex    // guards what follows
	cmd   *exec.Cmd     // the shell that the server runs under
	life  io.Closer     // the shell ends the server when this is closed, also by the end of the test's process
	ended chan struct{} // closed when the server has ended
}

var shared struct {
	once   sync.Once
	server *Server
	err    error

	database sync.Once
	dsn      string
}

// Main runs the tests of a package and stops the server that they share.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.remove(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// errNone says that there is no PostgreSQL here.
var errNone = errors.New("no PostgreSQL: install the package postgresql, or name a server in SHELFLIFE_POSTGRES_DSN")

// unavailable skips t, or fails it where the tests must run.
func unavailable(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNone) && os.Getenv("SHELFLIFE_POSTGRES") != "required" {
		t.Skip(err)
	}
	t.Fatal(err)
}

var databases atomic.Int64

// Database creates a database on the server that the tests of this process share
// and returns its connection string. The database is dropped with the test.
func Database(t testing.TB) string {
	t.Helper()
	return database(t, server(t))
}

// Shared returns the connection string of one database for all tests of the
// process, which use tables of different names. It is left behind on a server
// of SHELFLIFE_POSTGRES_DSN.
func Shared(t testing.TB) string {
	t.Helper()
	dsn := server(t)
	shared.database.Do(func() {
		name := fmt.Sprintf("shelflife_test_%d", os.Getpid())
		if err := execute(dsn, "CREATE DATABASE "+name); err != nil {
			t.Fatal(err)
		}
		shared.dsn = inDatabase(dsn, name)
	})
	if shared.dsn == "" {
		t.Fatal("the tests' database could not be created")
	}
	return shared.dsn
}

// server returns the connection string of the server for the tests.
func server(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("SHELFLIFE_POSTGRES_DSN"); dsn != "" {
		if u, err := url.Parse(dsn); err != nil || u.Scheme == "" {
			t.Fatal("SHELFLIFE_POSTGRES_DSN is not a URL")
		}
		return dsn
	}
	shared.once.Do(func() { shared.server, shared.err = start() })
	if shared.err != nil {
		unavailable(t, shared.err)
	}
	return shared.server.DSN("postgres")
}

// execute runs one statement.
func execute(dsn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// inDatabase is a connection string with another database.
func inDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return ""
	}
	u.Path = "/" + name
	return u.String()
}

func database(t testing.TB, dsn string) string {
	t.Helper()
	name := fmt.Sprintf("shelflife_test_%d_%d", os.Getpid(), databases.Add(1))
	if err := execute(dsn, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(dsn, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return inDatabase(dsn, name)
}

// Start starts a server for one test alone, which may kill it. It ignores
// SHELFLIFE_POSTGRES_DSN. The settings are like "max_connections=20".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(settings...)
	if err != nil {
		unavailable(t, err)
	}
	return s.until(t)
}

// New starts a server that ends with [Server.Close]: for programs that measure.
func New(settings ...string) (*Server, error) { return start(settings...) }

// Close ends the server and removes what it had.
func (s *Server) Close() error { return s.remove() }

// PID returns the server's process, 0 if it does not run. What works for connections
// are its children.
func (s *Server) PID() int { return s.pid() }

// until removes the server with the test.
func (s *Server) until(t testing.TB) *Server {
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// DSN returns the connection string of a database.
func (s *Server) DSN(database string) string {
	dsn := "postgres://shelflife@/" + database + "?host=" + url.QueryEscape(s.dir)
	if s.port != standardPort {
		dsn += "&port=" + strconv.Itoa(s.port)
	}
	return dsn
}

// Socket returns the path of the Unix socket on which the server listens.
func (s *Server) Socket() string {
	return filepath.Join(s.dir, ".s.PGSQL."+strconv.Itoa(s.port))
}

const standardPort = 5432

// Database creates a database on s; see the function of that name.
func (s *Server) Database(t testing.TB) string { return database(t, s.DSN("postgres")) }

func start(settings ...string) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	s.settings = settings
	if err := s.Restart(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// prepare makes the folder of a server.
func prepare() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, port: standardPort}
	s.dir, s.user, err = folder()
	return s, err
}

// folder makes a folder that belongs to the user that a server may run as: not root,
// which it refuses.
func folder() (dir string, as *syscall.Credential, err error) {
	if dir, err = os.MkdirTemp("", "shelflife-pg"); err != nil {
		return "", nil, err
	}
	if os.Geteuid() == 0 {
		if as, err = otherUser(); err == nil {
			err = os.Chown(dir, int(as.Uid), int(as.Gid))
		}
	}
	return dir, as, errors.Join(err, os.Chmod(dir, 0o755))
}

// initialize creates an empty cluster.
func (s *Server) initialize() error {
	return s.run("initdb", "-D", s.data(), "-U", "shelflife", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

// run runs a program of the server to its end.
func (s *Server) run(program string, args ...string) error {
	c := exec.Command(filepath.Join(s.bin, program), args...)
	s.as(c)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) as(c *exec.Cmd) {
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.user, Setpgid: true}
}

// underShell runs a server until it ends or the shell's input does.
const underShell = `exec 3<&0; "$@" & p=$!; (cat <&3 >/dev/null; kill -INT $p 2>/dev/null) & wait $p`

// binaries finds the folder of the server's programs.
func binaries() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "initdb")); err == nil {
				return filepath.Dir(path), nil
			}
		}
	}
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // in order: the last is the newest
	if len(all) == 0 {
		return "", errNone
	}
	return filepath.Dir(all[len(all)-1]), nil
}

func otherUser() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("no user that the server could run as")
}

// Restart starts the server, if it does not run, and waits until it takes
// connections.
func (s *Server) Restart() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	for ctx.Err() == nil {
		if err = s.launch(); err == nil {
			if err = s.answers(ctx); err == nil {
				return nil
			}
		}
		// What is left of a server that was killed still holds its memory.
		s.wait(ctx, 50*time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("the server does not start: %w\n%s", err, log)
}

func (s *Server) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Server) launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return nil
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{
		"-c", underShell, "sh",
		filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=", "-c", "fsync=on",
		"-c", "max_connections=300", "-c", "unix_socket_permissions=0777", "-c", "log_min_messages=fatal", "-c", "autovacuum_naptime=5s",
	}
	for _, c := range s.settings {
		args = append(args, "-c", c)
	}
	c := exec.Command("sh", args...)
	s.as(c)
	c.Stdout, c.Stderr = log, log
	life, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	s.cmd, s.life, s.ended = c, life, make(chan struct{})
	go func(ended chan struct{}) {
		_ = c.Wait() // with the status of what was killed
		close(ended)
	}(s.ended)
	return nil
}

// answers waits until the server takes connections, or has ended.
func (s *Server) answers(ctx context.Context) error {
	for {
		c, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-s.ended:
			return errors.Join(err, s.stop())
		case <-ctx.Done():
			return errors.Join(err, s.stop())
		default:
			s.wait(ctx, 20*time.Millisecond)
		}
	}
}

// pid returns the server's process, 0 if there is none.
func (s *Server) pid() int {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

// Kill ends the server as kill -9 does, and what it has started. Restart starts
// it again.
func (s *Server) Kill() error {
	pid := s.pid()
	if pid == 0 {
		return errors.New("the server does not run")
	}
	children := s.children(pid)
	err := syscall.Kill(pid, syscall.SIGKILL)
	for _, c := range children {
		_ = syscall.Kill(c, syscall.SIGKILL) // it may have ended by itself
	}
	return errors.Join(err, s.stop())
}

// Quit has the server stop at once, as pg_ctl stop -m immediate does, and warn what is
// connected. Restart starts it again.
func (s *Server) Quit() error {
	pid := s.pid()
	if pid == 0 {
		return errors.New("the server does not run")
	}
	return errors.Join(syscall.Kill(pid, syscall.SIGQUIT), s.stop())
}

// Freeze stops the server and what it has started, without an end to any
// connection; Thaw lets it go on.
func (s *Server) Freeze() error { return s.signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (s *Server) Thaw() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	pid := s.pid()
	if pid == 0 {
		return errors.New("the server does not run")
	}
	err := syscall.Kill(pid, sig)
	for _, c := range s.children(pid) {
		_ = syscall.Kill(c, sig)
	}
	return err
}

// children returns the processes that pid has started.
func (s *Server) children(pid int) []int {
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil
	}
	var all []int
	for _, f := range strings.Fields(string(out)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// stop ends the server in order, if it runs, and waits for its end.
func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	_ = s.life.Close() // fails where the server has ended already
	t := time.NewTimer(20 * time.Second)
	defer t.Stop()
	select {
	case <-s.ended:
	case <-t.C:
		if pid := s.pid(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-s.ended
	}
	s.cmd = nil
	return nil
}

func (s *Server) remove() error { return errors.Join(s.stop(), os.RemoveAll(s.dir)) }
