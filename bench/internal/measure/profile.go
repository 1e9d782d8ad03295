package measure

import (
	"errors"
	"os"
	"runtime/pprof"
)

// Profiled calls fn and writes a profile of the processor's time meanwhile to a file.
func Profiled(path string, fn func() error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return fn()
}
