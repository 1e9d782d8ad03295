package postgres

import (
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shelflife-db/shelflife/backend"
)

// counts are what the store counts for Figures.
type counts struct {
	updates atomic.Uint64 // that were called
	reruns  atomic.Uint64 // of their callbacks, as what they had read was changed
	resends atomic.Uint64 // of commits that surely had no effect
	losses  atomic.Uint64 // of the server
}

// Figures implements backend.Measured.
func (s *Store) Figures() []backend.Figure {
	if s.life.Closed() {
		return nil
	}
	lost := 0.0
	if s.down.Load() != nil {
		lost = 1
	}
	figures := []backend.Figure{
		{Name: "server_lost", Help: "1 if the server can't be reached, or takes no writes.", Value: lost},
		{Name: "server_losses_total", Help: "How often the server was lost.", Counter: true, Value: float64(s.counts.losses.Load())},
		{Name: "updates_total", Help: "Updates that were begun.", Counter: true, Value: float64(s.counts.updates.Load())},
		{Name: "update_reruns_total", Help: "Runs of Updates that were repeated, as others had changed what they read.", Counter: true, Value: float64(s.counts.reruns.Load())},
		{Name: "commit_resends_total", Help: "Commits that were sent again, as they surely had no effect.", Counter: true, Value: float64(s.counts.resends.Load())},
	}
	figures = append(figures, poolFigures("calls", s.calls.Stat())...)
	return append(figures, poolFigures("loops", s.loops.Stat())...)
}

// poolFigures are those of a pool: calls has connections for reads and commits, loops
// for scans and snapshots.
func poolFigures(name string, s *pgxpool.Stat) []backend.Figure {
	figures := []backend.Figure{
		{Name: "connections", Help: "Open connections.", Value: float64(s.TotalConns())},
		{Name: "connections_in_use", Help: "Connections that a call or a loop holds.", Value: float64(s.AcquiredConns())},
		{Name: "connections_max", Help: "Connections that there may be.", Value: float64(s.MaxConns())},
		{Name: "connection_acquires_total", Help: "How often a connection was taken.", Counter: true, Value: float64(s.AcquireCount())},
		{Name: "connection_waits_total", Help: "How often one had to be waited for.", Counter: true, Value: float64(s.EmptyAcquireCount())},
		{Name: "connection_acquire_seconds_total", Help: "Time spent on taking one.", Counter: true, Value: s.AcquireDuration().Seconds()},
	}
	for i := range figures {
		figures[i].Label, figures[i].Of = "pool", name
	}
	return figures
}
