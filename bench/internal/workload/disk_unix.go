//go:build unix

package workload

import (
	"io/fs"
	"syscall"
)

// diskUsage returns the bytes that a file takes on the disk: files may have
// holes, or space reserved behind their end.
func diskUsage(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}

// flushDisk writes to the disks what is still to be written.
func flushDisk() { syscall.Sync() }
