//go:build !unix

package workload

import "time"

// processorTime returns 0: it is not known.
func processorTime() time.Duration { return 0 }
