package main

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/report"
)

// Every workload must run on both sides, with right results.
func TestEveryWorkload(t *testing.T) {
	o := options{Records: 300, Operations: 400, Threads: 4, Rounds: 1, Dir: t.TempDir()}
	run, err := o.run(t.Context())
	require.NoError(t, err)
	require.Len(t, run.Measurements, len(workloads)*len(sides))
	require.Len(t, run.Goals, 5)
	for _, g := range run.Goals {
		require.NotEqual(t, report.NotMeasured, g.State, g.Text)
	}
}

func TestChosenWorkloads(t *testing.T) {
	o := options{Workload: []string{"ycsb-f", "ycsb-a"}}
	list, err := o.workloads()
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "ycsb-a", list[0].Name)
	o.Workload[1] = "ycsb-z"
	_, err = o.run(t.Context())
	require.ErrorContains(t, err, `"ycsb-z"`)
}

func TestRows(t *testing.T) {
	row := appendRow(nil, map[string][]byte{"field1": []byte("bb"), "field0": []byte("a"), "field2": nil})
	require.Equal(t, `{"field0":"a","field1":"bb","field2":""}`, string(row))
	all, err := fieldsOf(row, nil)
	require.NoError(t, err)
	require.Len(t, all, 3)
	one, err := fieldsOf(row, []string{"field1"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"field1": []byte("bb")}, one)
	updated, err := appendUpdated(nil, row, map[string][]byte{"field0": []byte("xyz"), "field9": []byte("-")})
	require.NoError(t, err)
	require.Equal(t, `{"field0":"xyz","field1":"bb","field2":""}`, string(updated))
	for _, broken := range []string{"", "{", `{"a`, `{"a":"b`, `{"a":"b"`, `{"a":"b"}x`, `{"a":1}`, "null"} {
		_, err := fieldsOf([]byte(broken), nil)
		require.ErrorIs(t, err, errRow, broken)
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		cut := row[:random.IntN(len(row))]
		_, err := fieldsOf(cut, nil)
		require.ErrorIs(t, err, errRow, "seed %d: %s", seed, cut)
	}
}
