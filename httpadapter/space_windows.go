package httpadapter

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isOutOfSpace reports whether err says that there is no room left to write to.
func isOutOfSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) ||
		errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
