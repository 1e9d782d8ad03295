package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// maxKeyFile is more than the keys of a million accounts take, in bytes.
const maxKeyFile = 64 << 20

// What the mode of a file lets others do.
const (
	othersWrite fs.FileMode = 0o002
	groupWrites fs.FileMode = 0o020
	othersRead  fs.FileMode = 0o044
)

// readKeyFile reads a file of keys. It refuses what is no regular file, since
// reading that may wait for ever or not end, and a file that any user may write,
// since any user could add a key to any account then. It warns of a file that
// others may read, or its group write.
func readKeyFile(name string) (text, warning string, err error) {
	data, mode, err := readRegularFile(name)
	if err != nil {
		return "", "", err
	}
	// On Windows the mode says nothing about permissions.
	if runtime.GOOS != "windows" {
		switch {
		case mode&othersWrite != 0:
			return "", "", fmt.Errorf("%s may be written by any user (mode %04o), who could give themselves a key: chmod 600 it, and look through what it holds", name, mode)
		case mode&groupWrites != 0:
			warning = fmt.Sprintf("%s may be written by its group (mode %04o), who could give themselves a key: chmod 600 it", name, mode)
		case mode&othersRead != 0:
			warning = fmt.Sprintf("%s may be read by others (mode %04o), who then have the keys: chmod 600 it", name, mode)
		}
	}
	return string(data), warning, nil
}

// readRegularFile reads a file of at most maxKeyFile bytes, and returns its mode.
func readRegularFile(name string) (data []byte, mode fs.FileMode, err error) {
	// Before it is opened: opening a named pipe waits for its other end.
	info, err := os.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file, and nothing else is read: write the keys to a file that is", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	switch {
	case err != nil:
		return nil, 0, err
	case len(data) > maxKeyFile:
		return nil, 0, fmt.Errorf("%s has more than %d bytes", name, maxKeyFile)
	}
	return data, info.Mode().Perm(), nil
}
