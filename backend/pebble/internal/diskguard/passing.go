package diskguard

import (
	"errors"
	"syscall"
)

// Passes reports whether err says that there is no room, on the disk or among the
// open files, which may change by itself. It goes by the error's number alone.
func Passes(err error) bool {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}
