//go:build !windows

package httpadapter_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutOfSpace(t *testing.T) {
	// contract 6: UNAVAILABLE: out of disk, one's quota of it included.
	e := newEnv(t, setup{})
	for err, status := range map[error]int{syscall.ENOSPC: 503, syscall.EDQUOT: 503, syscall.EIO: 500} {
		w := httptest.NewRecorder()
		e.handler.WriteError(w, httptest.NewRequest(http.MethodPost, "/uses", nil), fmt.Errorf("spool: %w", &fs.PathError{Op: "write", Path: "x", Err: err}))
		require.Equal(t, status, w.Code, err)
	}
}
