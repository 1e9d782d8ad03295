// Package machine describes the machine and the versions that a run was made
// with.
package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Description of a machine. What can't be found out is empty.
type Description struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	MemoryMiB  int    `json:"memoryMiB"`
	OS         string `json:"os"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	// SyncMicros is how long it takes to append 4 KiB to a file and sync it,
	// the median of a few.
	SyncMicros float64 `json:"syncMicros"`
}

// Describe looks at this machine, and at the disk that dir is on.
func Describe(dir string) (Description, error) {
	sync, err := syncTime(dir)
	return Description{
		CPU:        procField("/proc/cpuinfo", "model name"),
		Cores:      runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		MemoryMiB:  memoryMiB(),
		OS:         runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:     firstLine("/proc/sys/kernel/osrelease"),
		Go:         runtime.Version(),
		SyncMicros: sync,
	}, err
}

// Versions returns the versions of the modules in this binary by path.
func Versions() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		version := m.Version
		if m.Replace != nil {
			version = "this checkout"
		}
		versions[m.Path] = version
	}
	return versions
}

func procField(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func memoryMiB() int {
	kib, _ := strconv.Atoi(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"))
	return kib / 1024
}

func firstLine(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// syncTime returns the median time of an append with a sync, in microseconds.
func syncTime(dir string) (micros float64, err error) {
	name := filepath.Join(dir, "sync-probe")
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(name)
	}()
	block := make([]byte, 4096)
	times := make([]time.Duration, 51)
	for i := range times {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return float64(times[len(times)/2]) / float64(time.Microsecond), nil
}
