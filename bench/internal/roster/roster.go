// Package roster lists the stores that take part.
package roster

import (
	"github.com/shelflife-db/shelflife/bench/internal/httppeer"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/peer/badger"
	"github.com/shelflife-db/shelflife/bench/internal/peer/bolt"
	"github.com/shelflife-db/shelflife/bench/internal/peer/bunt"
	"github.com/shelflife-db/shelflife/bench/internal/peer/rawpebble"
	"github.com/shelflife-db/shelflife/bench/internal/peer/shelflife"
	"github.com/shelflife-db/shelflife/bench/internal/peer/sqlite"
)

// Stores returns the embedded stores, Shelflife and its floor first.
func Stores() []peer.Peer {
	return []peer.Peer{
		shelflife.Default(), shelflife.Uncached(), rawpebble.Peer(), rawpebble.Reading(),
		badger.Peer(), bolt.Peer(), sqlite.Peer(), bunt.Peer(),
	}
}

// Servers returns the HTTP servers.
func Servers() []httppeer.Peer {
	return []httppeer.Peer{httppeer.Shelflife(), httppeer.Bare(), httppeer.PocketBase()}
}
