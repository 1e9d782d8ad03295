//go:build darwin || freebsd || linux

package httpadapter

import "golang.org/x/sys/unix"

// diskSpace returns how many bytes of the file system that dir is on are free
// for this process, and how many it has.
func diskSpace(dir string) (free, total int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, 0, false
	}
	// The types differ between systems.
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), true
}
