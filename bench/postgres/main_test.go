package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/report"
)

// Every workload must run on both sides, with right results.
func TestEveryWorkload(t *testing.T) {
	if all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(all) == 0 && os.Getenv("SHELFLIFE_POSTGRES") != "required" {
		if _, err := exec.LookPath("initdb"); err != nil {
			t.Skip("no PostgreSQL: install the package postgresql")
		}
	}
	o := options{Products: 400, Mortals: 200, Rounds: 1, Duration: 50 * time.Millisecond, Connections: 4}
	run, err := o.run(t.Context())
	require.NoError(t, err)
	judge(run)
	for _, g := range run.Goals {
		require.NotEqual(t, report.NotMeasured, g.State, g.Text)
	}
}

func TestMoreMortalsThanProducts(t *testing.T) {
	require.ErrorContains(t, (&options{Products: 100, Mortals: 101}).Validate(), "--mortals")
	require.NoError(t, (&options{Products: 100, Mortals: 100}).Validate())
}
