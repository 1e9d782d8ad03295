package main

import (
	"fmt"
	"math"

	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

// What the process may have open is shared out before anything is opened: an
// engine that runs out of files while it writes has to stop, and clients must not
// be able to bring it there.
const (
	maxTables = 1000 // what the engine keeps open by default
	minTables = 16
	// engineFiles are those of the engine beside the tables that it keeps open:
	// logs, what flushes and compactions read and write, its manifest, the folder.
	engineFiles = 48
	// otherFiles are the listener, the log, the key file and what else there is.
	otherFiles = 24
	// importFiles are those of the imports that the dashboard keeps.
	importFiles = dashboard.DefaultImports
	// filesPerClient are those of a connection: itself, and its upload.
	filesPerClient = 2

	maxConnections = 4096
	minConnections = 8
	// spareConnections are answered beyond the connections: see connlimit.
	spareConnections = 16
)

// fileShares are the files of the process as they are shared out.
type fileShares struct {
	limit       uint64 // of the process
	tables      int    // that the engine keeps open
	connections int    // of clients
}

// shareFiles shares out what the limit allows, with as many connections as are
// wanted, or as there is room for, up to maxConnections, where wanted is 0. It
// fails where that is too little.
func shareFiles(limit uint64, wanted int) (fileShares, error) {
	tables := min(max(int(min(limit/4, math.MaxInt32)), minTables), maxTables)
	fixed := uint64(tables + engineFiles + otherFiles + importFiles + spareConnections)
	room := 0
	if limit > fixed {
		room = int(min((limit-fixed)/filesPerClient, math.MaxInt32))
	}
	shares := fileShares{limit: limit, tables: tables, connections: wanted}
	if wanted == 0 {
		shares.connections = min(room, maxConnections)
	}
	least := max(wanted, minConnections)
	if room >= least {
		return shares, nil
	}
	needed := fixed + uint64(least)*filesPerClient
	return fileShares{}, fmt.Errorf(
		"the process may have %d files open: %d connections need %d (%d for the store, %d for each connection): raise the limit (ulimit -n) or lower --max-connections",
		limit, least, needed, fixed, filesPerClient)
}
