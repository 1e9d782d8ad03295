//go:build unix

package workload

import (
	"syscall"
	"time"
)

// processorTime returns what the process has taken of it, 0 if that is not known.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
