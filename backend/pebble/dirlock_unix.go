//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pebble

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockDir locks a directory of the operating system for as long as the result
// is open: exclusively, or shared with others that do not write. Pebble's own lock belongs to the process and to the directory's name:
// the process gets it a second time by another name, and loses it when it closes
// any other descriptor of the file, as a backup does. This one belongs to the
// open directory, whatever it was called; EWOULDBLOCK says that another holds it. A file system that does not offer it
// leaves it at Pebble's.
//
// Pebble v2.1.7: unnecessary when vfs.FS.Lock takes a lock of the open file
// (flock, or F_OFD_SETLK), not of the process (TestPebbleLocksNames).
func lockDir(dir string, exclusive bool) (io.Closer, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
