package catalog

import (
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/ttl"
)

// Figures are what a Catalog knows of itself without looking into the store.
type Figures struct {
	// Ready is what [Catalog.Ready] returns, and Damage what [Catalog.Damage] does.
	Ready, Damage error
	// PendingUses, CacheBytes and IndexEntries are those of [StoreStats].
	PendingUses  int
	CacheBytes   int64
	IndexEntries int
	// CacheHits and CacheMisses count the reads of records that the cache was asked
	// for. Both are 0 where there is no cache.
	CacheHits, CacheMisses uint64
	// GraceBytes are the image bytes that wait for the end of Options.ImageGrace, as
	// Options.ImageGraceBytes counts them.
	GraceBytes int64
	Sweeper    ttl.SweeperStats
	// Due counts the deadlines, of those in memory, that have passed by more than
	// Options.Sweeper.Grace and wait for the sweeper or are being swept, and SweepLag
	// is how long the earliest of them has waited. See Sweeper.SetAside for others.
	Due      int
	SweepLag time.Duration
	// LastBackup is the time of the state that the last successful [Catalog.Backup]
	// holds. Zero if there was none since Open.
	LastBackup time.Time
	// Engine is the name of the backend, and Backend are its figures, if it has any.
	Engine  string
	Backend []backend.Figure
}

// Figures returns the figures. It waits neither for the disk nor for a database, and
// may be called often, also after Close.
func (c *Catalog) Figures() Figures {
	f := Figures{
		Ready: c.Ready(), Damage: c.Damage(),
		PendingUses: c.uses.Len(), IndexEntries: c.index.Len(), GraceBytes: c.released.Bytes(),
		Sweeper: c.sweeper.Stats(),
		Engine:  c.backend.Properties().Name, Backend: backend.Figures(c.backend),
	}
	if c.cache != nil {
		f.CacheBytes = c.cache.Bytes()
		f.CacheHits, f.CacheMisses = c.cache.Lookups()
	}
	due, lag := c.sweeper.Backlog()
	f.Due, f.SweepLag = due, time.Duration(lag)*time.Millisecond
	if taken := c.backedUp.Load(); taken != nil {
		f.LastBackup = *taken
	}
	return f
}
