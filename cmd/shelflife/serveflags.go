package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// check refuses flags that no server can heed, before anything is opened, and
// returns the prefix.
func (c *serveCmd) check() (prefix string, err error) {
	switch {
	case c.Demo && c.ReadOnly:
		err = errors.New("--demo writes its samples, and --read-only nothing")
	case c.Store != "" && c.ReadOnly:
		err = errors.New("--read-only is for a store in a folder: a database has users that may only read")
	case c.UseWindow < 0:
		err = errors.New("--use-window is negative")
	case c.UseWindow > time.Hour:
		err = errors.New("--use-window is more than 1h")
	case c.UseWindow > 0 && c.UseWindow < time.Millisecond:
		err = errors.New("--use-window is less than 1ms")
	case c.ShutdownDelay < 0:
		err = errors.New("--shutdown-delay is negative")
	case c.ShutdownTimeout < 0:
		err = errors.New("--shutdown-timeout is negative")
	case c.MaxConnections < 0:
		err = errors.New("--max-connections is negative")
	case c.MaxConnectionsPerAddress < 0:
		err = errors.New("--max-connections-per-address is negative")
	case c.RequestMemory != 0 && c.RequestMemory < minRequestMemory:
		err = errors.New("--request-memory is less than 16MiB")
	case c.AccountUploads < 1:
		err = errors.New("--account-uploads is less than 1")
	case c.AccountRate < 0 || c.AccountRate > 1e6:
		err = errors.New("--account-rate is not within 0 and 1000000")
	case c.AccountBurst < 0:
		err = errors.New("--account-burst is negative")
	case c.AccountBurst > 0 && c.AccountRate == 0:
		err = errors.New("--account-burst is given, but no --account-rate")
	case c.AccountProducts < 0:
		err = errors.New("--account-products is negative")
	case c.CacheSize != 0 && c.CacheSize < minCache:
		err = errors.New("--cache-size is less than 2MiB")
	case c.MaxImageSize > c.MaxRequestSize:
		err = fmt.Errorf("--max-image-size is %d bytes and --max-request-size %d: an image comes in a request, so lower the one or raise the other",
			c.MaxImageSize, c.MaxRequestSize)
	}
	if err != nil {
		return "", err
	}
	for _, origin := range c.AllowedOrigin {
		if err := httpadapter.CheckOrigin(origin); err != nil {
			return "", fmt.Errorf("--allowed-origin: %w", err)
		}
	}
	if err := c.tlsFlags.check(); err != nil {
		return "", err
	}
	if err := c.adminFlags.check(); err != nil {
		return "", err
	}
	if _, err := cleanPrefix("--public-path", c.PublicPath); err != nil {
		return "", err
	}
	return cleanPrefix("--prefix", c.Prefix)
}

// The request memory that serve gives itself.
const (
	maxRequestMemory = 64 << 20
	minRequestMemory = 16 << 20
)

// budget bounds what all requests hold at once.
func (c *serveCmd) budget(connections int) (*httpadapter.Budget, error) {
	memory := int64(c.RequestMemory)
	if memory == 0 {
		limit := debug.SetMemoryLimit(-1) // GOMEMLIMIT; next to no limit if it is not set
		memory = max(min(maxRequestMemory, limit/8), minRequestMemory)
	}
	// The store needs what is kept free, where the spool is on its disk, and a margin
	// for what comes at once: uploads are refused before writes are.
	reserve := int64(c.DiskReserve) / 2 * 3 // 0: the default, which has the margin
	return httpadapter.NewBudget(&httpadapter.BudgetOptions{
		Memory: memory, Spool: int64(c.SpoolSize), SpoolReserve: reserve,
		AccountUploads: c.AccountUploads, AccountRequests: max(connections/2, 8),
		AccountRate: c.AccountRate, AccountBurst: c.AccountBurst,
	})
}

func (c *serveCmd) catalogOptions(clock ttl.Clock) catalog.Options {
	o := catalog.Options{Clock: clock, UseWindow: c.UseWindow}
	if c.UseWindow == 0 {
		o.UseWindow = catalog.NoUseWindow
	}
	if c.Durability == "buffered" {
		o.Durability = catalog.Buffered
	}
	o.ImageGraceBytes = int64(c.ImageGraceSize)
	o.Limits.ImageBytes = int64(c.MaxImageSize)
	if quota := (catalog.Quota{Products: c.AccountProducts, ImageBytes: int64(c.AccountImages)}); quota != (catalog.Quota{}) {
		o.Quota = func(string) catalog.Quota { return quota }
	}
	return o
}
