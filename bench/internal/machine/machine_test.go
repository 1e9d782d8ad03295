package machine

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	d, err := Describe(dir)
	require.NoError(t, err)
	require.Positive(t, d.Cores)
	require.NotEmpty(t, d.Go)
	require.Positive(t, d.SyncMicros)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	_, err = Describe(dir + "/missing")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWhatCannotBeFoundOutIsEmpty(t *testing.T) {
	require.Empty(t, procField("/nowhere", "name"))
	require.Empty(t, procField(os.Args[0], "name"))
	require.Empty(t, firstLine("/nowhere"))
}
