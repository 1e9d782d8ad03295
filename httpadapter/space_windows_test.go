package httpadapter_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

func TestOutOfSpace(t *testing.T) {
	// contract 6: UNAVAILABLE: out of disk, one's quota of it included.
	e := newEnv(t, setup{})
	for err, status := range map[error]int{
		windows.ERROR_DISK_FULL: 503, windows.ERROR_HANDLE_DISK_FULL: 503, windows.ERROR_DISK_QUOTA_EXCEEDED: 503, windows.ERROR_ACCESS_DENIED: 500,
	} {
		w := httptest.NewRecorder()
		e.handler.WriteError(w, httptest.NewRequest(http.MethodPost, "/uses", nil), fmt.Errorf("spool: %w", &fs.PathError{Op: "write", Path: "x", Err: err}))
		require.Equal(t, status, w.Code, err)
	}
}
