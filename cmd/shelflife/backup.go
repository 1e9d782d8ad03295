package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// backupCmd is shelflife backup.
type backupCmd struct {
	storeFlags
	Admin string `placeholder:"ADDR" help:"Take the backup from the running server whose --admin-addr this is: http://HOST:PORT or unix:PATH. Instead of --data."`
	Out   string `arg:"" name:"OUT" help:"File to write, an existing folder for one that is named after the time, or - for standard output."`
}

// Help returns the details.
func (*backupCmd) Help() string {
	return `Writes everything that a store holds into one file, from which shelflife restore makes a store again. The copy is opened and checked before it is written, and the file is read back and compared before it gets its name: OUT is a whole backup, or it is not there. Written to standard output, as for object storage, it is told by the exit status alone whether it is whole; shelflife restore refuses one that is not.

With --admin it is taken from a running server, which goes on: the backup has everything that was acknowledged before it began. The store in --data must not be in use by one. Neither needs room for a copy: the files of a store never change, and are shared while the backup is written. What a server deletes or writes anew meanwhile keeps its room until then, so write to a disk rather than to a slow network.

A store in a database is not backed up by this: its database has pg_dump for that, and a replica or point-in-time recovery for more.`
}

// backupSuffix ends the names of backups in a folder.
const backupSuffix = ".backup"

// Run writes a backup.
func (c *backupCmd) Run(p *process) error {
	write, err := c.source(p.ctx)
	if err != nil {
		return err
	}
	if c.Out == "-" {
		info, err := write(p.stdout)
		if err != nil {
			return err
		}
		printBackup(p.stderr, "standard output", info)
		return nil
	}
	out, info, err := writeBackupFile(p.ctx, c.Out, write)
	if err != nil {
		return err
	}
	printBackup(p.stdout, out, info)
	return nil
}

// source returns what writes a backup of the store that the flags name.
func (c *backupCmd) source(ctx context.Context) (func(io.Writer) (catalog.BackupInfo, error), error) {
	if c.Admin != "" {
		if err := c.besideAdmin(); err != nil {
			return nil, err
		}
		operators, err := newAdminClient(c.Admin)
		if err != nil {
			return nil, err
		}
		return func(w io.Writer) (catalog.BackupInfo, error) { return operators.backup(ctx, w) }, nil
	}
	at, err := c.place()
	switch {
	case err != nil:
		return nil, err
	case at.url != "":
		return nil, errors.New("a store in a database is not backed up by shelflife: use pg_dump, or what your database has for it")
	}
	return func(w io.Writer) (catalog.BackupInfo, error) { return backUpFolder(ctx, at, w) }, nil
}

// printBackup says what was written where.
func printBackup(w io.Writer, out string, info catalog.BackupInfo) {
	fmt.Fprintf(w, "products        %d\nstored images   %d\nbytes           %d\ntaken           %s\nwritten to      %s\n",
		info.Products, info.Blobs, info.Bytes, info.Taken.Format("2006-01-02 15:04:05 UTC"), visible(out))
}

// backUpFolder writes a backup of a store that no server has open.
func backUpFolder(ctx context.Context, at place, w io.Writer) (info catalog.BackupInfo, err error) {
	cat, err := openQuietly(ctx, at)
	if errors.Is(err, pebble.ErrLocked) {
		return info, fmt.Errorf("%w: take the backup from the server that has it, with --admin", err)
	}
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	if err := cat.Ready(); errors.Is(err, backend.ErrReadOnly) {
		return info, fmt.Errorf("%w: a backup is made beside the store's files; copy the folder, or free some space", err)
	}
	return cat.Backup(ctx, w)
}

// writeBackupFile writes a backup into a file, and returns its name. Where it can't
// be written to its end there is no file.
func writeBackupFile(ctx context.Context, out string, write func(io.Writer) (catalog.BackupInfo, error)) (name string, info catalog.BackupInfo, err error) {
	f := outFile{
		write: func(w io.Writer) (err error) { info, err = write(w); return err },
		check: func(r io.Reader) error {
			got, err := pebble.VerifyBackup(ctx, r)
			if err == nil && got != info.BackupInfo {
				err = fmt.Errorf("it holds %+v, and should hold %+v", got, info.BackupInfo)
			}
			return err
		},
		name: func() string { return "shelflife-" + info.Taken.Format(nameTime) + backupSuffix },
	}
	name, err = f.make(out)
	return name, info, err
}
