package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgressIsForTerminals(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/log")
	require.NoError(t, err)
	defer file.Close()
	var buffer bytes.Buffer
	for _, p := range []*progress{newProgress(file, "importing", 100), newProgress(&buffer, "importing", 100)} {
		p.add(50)
		p.clear()
		p.add(50)
	}
	require.Empty(t, buffer.String())
	info, err := file.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
}
