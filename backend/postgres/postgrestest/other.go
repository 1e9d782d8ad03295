//go:build !unix

package postgrestest

import (
	"errors"
	"testing"
	"time"
)

// A Server is a PostgreSQL of the tests' own; there are none on this system.
type Server struct{}

var errSystem = errors.New("no PostgreSQL is started on this system")

// Main runs the tests of a package.
func Main(m *testing.M) int { return m.Run() }

// Database skips t.
func Database(t testing.TB) string { t.Helper(); t.Skip(errSystem); return "" }

// Shared skips t.
func Shared(t testing.TB) string { return Database(t) }

// Start skips t.
func Start(t testing.TB, _ ...string) *Server { t.Helper(); t.Skip(errSystem); return nil }

// New fails.
func New(...string) (*Server, error) { return nil, errSystem }

// Close does nothing.
func (*Server) Close() error { return nil }

// PID returns 0.
func (*Server) PID() int { return 0 }

// DSN is not reached here, as are the methods below.
func (*Server) DSN(string) string { return "" }

// Socket returns nothing.
func (*Server) Socket() string { return "" }

// Database skips t.
func (*Server) Database(t testing.TB) string { return Database(t) }

// Restart fails.
func (*Server) Restart() error { return errSystem }

// Kill fails.
func (*Server) Kill() error { return errSystem }

// Quit fails.
func (*Server) Quit() error { return errSystem }

// Freeze fails.
func (*Server) Freeze() error { return errSystem }

// Thaw fails.
func (*Server) Thaw() error { return errSystem }

// WithClock returns nothing.
func WithClock(string) string { return "" }

// SetClock skips t.
func SetClock(t testing.TB, _ string) func(time.Time) { t.Helper(); t.Skip(errSystem); return nil }

// A Pair is a primary and its standby; there are none on this system.
type Pair struct{}

// StartPair skips t.
func StartPair(t testing.TB, _ ...string) *Pair { t.Helper(); t.Skip(errSystem); return nil }

// DSN is not reached here, as are the methods below.
func (*Pair) DSN(string) string { return "" }

// Database skips t.
func (*Pair) Database(t testing.TB) string { return Database(t) }

// Primary returns nothing.
func (*Pair) Primary() *Server { return nil }

// Kill fails.
func (*Pair) Kill() error { return errSystem }

// Promote fails.
func (*Pair) Promote() error { return errSystem }

// Rejoin fails.
func (*Pair) Rejoin() error { return errSystem }

// Bouncer skips t.
func Bouncer(t testing.TB, _ string, _ ...string) string { return Database(t) }

// A Secured is a server that takes TLS and passwords; there are none on this system.
type Secured struct {
	*Server
	Addr, CA string
}

// StartSecured skips t.
func StartSecured(t testing.TB, _ string, _ ...string) *Secured {
	t.Helper()
	t.Skip(errSystem)
	return nil
}
