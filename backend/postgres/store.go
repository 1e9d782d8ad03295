package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/backend"
)

// Store is a store on a PostgreSQL server.
type Store struct {
	o       Options
	address string // see Address
	parts   int    // those of the store
	sql     statements
	life    backend.Lifecycle
	// portable says how the store commits, and lockSalt separates the locks of its
	// scopes from those of other stores in the database. Neither ever changes.
	portable bool
	lockSalt string
	// longestRun is how long after its run began an Update is sent at the latest: one
	// that comes later runs again, so that what was concluded from the time at which
	// it ran is not much older than its commit. It never changes but in tests.
	longestRun time.Duration
	// maxOnWay and longestWait are those of shipments; as longestRun.
	maxOnWay    int
	longestWait time.Duration

	calls *pgxpool.Pool // reads and commits: held for one call
	loops *pgxpool.Pool // scans and snapshots: held for as long as the caller likes

	water highWater
	cache *rowCache
	counts

	opened   time.Time              // begins the times of sinceOpen
	answered atomic.Int64           // when the last write was sent of those that were answered, by sinceOpen
	stuck    atomic.Int32           // commits that were given up since then: see errStuck
	down     atomic.Pointer[outage] // nil while the server answers
	probe    chan struct{}          // has watch ask, by a write
	watched  chan struct{}          // closed when watch has ended

	mu       sync.Mutex        // guards what follows
	groups   map[string]*group // the tickets of Updates, by scope
	batches  uint64            // numbers those of Updates
	quay     quay
	sessions map[*session]struct{} // open ones
}

var (
	_ backend.Backend  = (*Store)(nil)
	_ backend.Measured = (*Store)(nil)
)

// Open opens the store that a connection string names, and creates it if there
// is none. It needs the server: while that can't be reached it fails after
// CallTimeout with [backend.ErrUnavailable]. Nil options are the defaults.
func Open(ctx context.Context, dsn string, o *Options) (_ *Store, err error) {
	options, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	where, err := Address(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{
		o:          options,
		sql:        newStatements(options.Table),
		probe:      make(chan struct{}, 1),
		watched:    make(chan struct{}),
		groups:     map[string]*group{},
		sessions:   map[*session]struct{}{},
		longestRun: longestRun, maxOnWay: maxOnWay, longestWait: longestWait,
		address: where,
		water:   highWater{began: time.Now()}, opened: time.Now(),
	}
	if s.cache, err = newRowCache(options.CacheSize); err != nil {
		return nil, err
	}
	if s.calls, err = newPool(ctx, dsn, options.Connections, &s.o, s.learnClock); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.calls.Close()
		}
	}()
	if s.loops, err = newPool(ctx, dsn, options.Loops, &s.o, s.learnClock); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.loops.Close()
		return nil, err
	}
	go s.watch()
	return s, nil
}

// Durable implements [backend.Backend]: every commit is durable before it can be
// read.
func (s *Store) Durable(ctx context.Context, _ []backend.Scope) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.life.Exit()
	return nil
}

// Properties implements [backend.Backend].
func (s *Store) Properties() backend.Properties {
	p := backend.Properties{
		Name:         "postgres",
		Clock:        true,
		Shards:       1, // the parts spread what grows with time
		MaxKeySize:   maxKeySize,
		MaxValueSize: maxValueSize,
	}
	if s.o.Partition != backend.Partitioner(onePart{}) {
		p.Partition, p.Parts = s.o.Partition.Name(), s.parts
	}
	return p
}

// Close implements [backend.Backend].
func (s *Store) Close() error {
	return s.life.Close(func() error {
		<-s.watched
		for _, open := range s.openSessions() {
			open.end(backend.ErrClosed)
		}
		s.calls.Close()
		s.loops.Close()
		s.cache.clear()
		return nil
	})
}

func (s *Store) openSessions() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*session
	for o := range s.sessions {
		all = append(all, o)
	}
	return all
}

// enter counts a call in, which must be counted out when err is nil.
func (s *Store) enter(ctx context.Context) error {
	if err := s.life.Enter(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		s.life.Exit()
		return err
	}
	return nil
}

// part returns the part of key.
func (s *Store) part(key []byte) int32 { return int32(s.o.Partition.Part(key, s.parts)) }
