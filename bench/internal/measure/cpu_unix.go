//go:build unix

package measure

import (
	"syscall"
	"time"
)

// ProcessorTime returns what the process has taken of it, 0 if that is not known.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
