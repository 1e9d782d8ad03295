package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// partialSuffix ends the name of a file that is being written.
	partialSuffix = ".partial"
	// nameTime is how a time stands in the name of a file.
	nameTime = "20060102T150405.000Z"
)

// outFile is a file that is there as a whole or not at all.
type outFile struct {
	write func(io.Writer) error
	// check reads back what was written.
	check func(io.Reader) error
	// name is asked for where the file goes into a folder, when it was written.
	name func() string
}

// make writes the file out, or one in the folder out, and returns its name.
func (o *outFile) make(out string) (name string, err error) {
	dir, file := filepath.Split(out)
	stat, err := os.Stat(out)
	switch {
	case err == nil && stat.IsDir():
		dir, file = out, ""
	case err == nil:
		return "", fmt.Errorf("%s exists: choose another name, or a folder", out)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case file == "":
		return "", fmt.Errorf("there is no folder %s", out)
	}
	if dir == "" {
		dir = "."
	}
	partial, err := os.CreateTemp(dir, "shelflife-*"+partialSuffix)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil && name == "" {
			err = errors.Join(err, os.Remove(partial.Name()))
		}
	}()
	if err = o.write(partial); err == nil {
		err = partial.Sync()
	}
	if err = errors.Join(err, partial.Close()); err != nil {
		return "", err
	}
	if err := o.readBack(partial.Name()); err != nil {
		return "", fmt.Errorf("what was written can't be read back: %w", err)
	}
	if file == "" {
		file = o.name()
	}
	name = filepath.Join(dir, file)
	if err := os.Rename(partial.Name(), name); err != nil {
		return "", err
	}
	return name, syncDir(dir)
}

func (o *outFile) readBack(name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return o.check(f)
}

// syncDir makes the names in a folder durable, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // not every system syncs folders
	return d.Close()
}
