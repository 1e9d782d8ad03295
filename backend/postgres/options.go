package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// Options configure [Open]. The zero value is the default of each.
type Options struct {
	// Table is the name of the table that holds the store; tables and functions
	// whose names begin with it and an underscore belong to the store too. They
	// lie in the first schema of the connection's search_path. It consists of
	// lower-case letters, digits and underscores, at most 40 of them. Stores with
	// different tables of one database know nothing of each other.
	// Default: "shelflife".
	Table string
	// Partition spreads the keys of a new store over Parts parts, the first
	// column of its primary key; see [backend.Partitioner]. An existing store
	// must have been created with one of the same name.
	// Default: nil, everything in one part.
	Partition backend.Partitioner
	// Parts is the number of parts of a store that Open creates, up to 1024. An
	// existing store keeps its own. Without Partition it is not used.
	// Default: 0, which is 16; negative is refused.
	Parts int
	// Portable has a store that Open creates commit by one statement in a
	// SERIALIZABLE transaction instead of by a function on the server, for
	// servers that have neither PL/pgSQL nor advisory locks. An existing store
	// keeps its way: processes that commit in different ways would not see each
	// other. Default: false.
	Portable bool
	// MustExist has Open fail with an error that matches fs.ErrNotExist, and create
	// nothing, where there is no store. Default: false.
	MustExist bool
	// Connections bounds the connections for reads and commits, Loops those that
	// scans over more than a page and snapshots hold. Both are per Store.
	// Connections is at least 2. A connection string that sets pool_max_conns is refused.
	// Default: 0, which is 16 of each; negative is refused.
	Connections, Loops int
	// CallTimeout is the time after which a read, or a commit that has not been
	// sent, fails with backend.ErrUnavailable because the server does not answer,
	// and after which a Scan or Snapshot fails that found no free connection. It
	// does not limit an Update that is Patient.
	// Default: 0, which is 10 s; negative is refused.
	CallTimeout time.Duration
	// CommitTimeout is the time that the answer to a commit may take before
	// Update fails with backend.ErrUnknownOutcome, unless it is Patient; a second
	// is added for each MiB that is written. Half of it is the most that a commit waits on the server for those of other
	// processes. Default: 0, which is 10 s; negative is refused.
	CommitTimeout time.Duration
	// CacheSize bounds the bytes of the process's cache of what Updates read and
	// wrote, which spares Updates their reads. Each commit validates what was
	// read from it; reads outside of Updates do not use it.
	// Default: 0, which is 32 MiB; negative means no cache.
	CacheSize int
	// StandbyReads allows connections to a standby, where a read sees what was
	// acknowledged only if the primary runs with synchronous_commit =
	// remote_apply and waits for that standby, which the caller must make sure of.
	// Updates fail with backend.ErrUnavailable there.
	// Default: false, connections to a server that takes no writes are refused.
	StandbyReads bool
	// Logger is told when the server is lost and found. It is never given the
	// connection string. Default: nil, silence.
	Logger *slog.Logger
}

const (
	maxKeySize   = 2600 // an entry of a B-tree page ends near 2,700
	maxValueSize = 64 << 20
	maxParts     = 1024
)

var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// withDefaults returns o with its defaults in place.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Table == "" {
		c.Table = "shelflife"
	}
	if !tableName.MatchString(c.Table) {
		return c, fmt.Errorf("postgres: Options.Table %q: want up to 40 lower-case letters, digits and underscores", c.Table)
	}
	if c.Parts < 0 || c.Parts > maxParts {
		return c, fmt.Errorf("postgres: Options.Parts is %d, want 0 to %d", c.Parts, maxParts)
	}
	if c.Partition == nil {
		c.Partition, c.Parts = onePart{}, 1
	}
	for _, n := range []struct {
		name  string
		value *int
		std   int
	}{{"Parts", &c.Parts, 16}, {"Connections", &c.Connections, 16}, {"Loops", &c.Loops, 16}} {
		if *n.value < 0 {
			return c, fmt.Errorf("postgres: Options.%s is negative", n.name)
		}
		if *n.value == 0 {
			*n.value = n.std
		}
	}
	if c.Connections < 2 {
		return c, errors.New("postgres: Options.Connections is 1: it takes 2")
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
	}{{"CallTimeout", &c.CallTimeout}, {"CommitTimeout", &c.CommitTimeout}} {
		if *d.value < 0 {
			return c, fmt.Errorf("postgres: Options.%s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = 10 * time.Second
		}
	}
	if c.CacheSize == 0 {
		c.CacheSize = 32 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// onePart is the Partitioner of a store that has none.
type onePart struct{}

var _ backend.Partitioner = onePart{}

func (onePart) Name() string                             { return "none" }
func (onePart) Part([]byte, int) int                     { return 0 }
func (onePart) RangePart(_, _ []byte, _ int) (int, bool) { return 0, true }
