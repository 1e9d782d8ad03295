//go:build !windows

package httpadapter

import (
	"errors"
	"syscall"
)

// isOutOfSpace reports whether err says that there is no room left to write to.
func isOutOfSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
