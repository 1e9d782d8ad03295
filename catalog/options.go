package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// Durability is when a write is acknowledged.
type Durability int

const (
	// Synced acknowledges a write when it is durable.
	Synced Durability = iota
	// Buffered acknowledges a write when it is visible. A crash may take the
	// last acknowledged writes, whole and in order: never half of one, never
	// an older one while a newer survives.
	Buffered
)

// NoUseWindow is the Options.UseWindow under which every use is durable
// before it is acknowledged.
const NoUseWindow time.Duration = -1

// Options of Open. The zero value, and nil, mean the defaults. Open refuses a
// number over the maximum named here, and a negative one unless its field says what it
// stands for.
type Options struct {
	// Clock is the catalog's only source of time. While it runs backward the
	// catalog's time stands still, until the catalog is opened again; see the
	// package documentation on lifetimes. Where the backend has a clock of its own
	// the time is that one's, and only what measures how long something takes is
	// read from this one. Default, as of a nil pointer: ttl.SystemClock().
	Clock ttl.Clock
	// Logger gets what an operator should know: failures in the background,
	// leaps of the clock. It is given no metadata, no image and no key.
	// Default: none.
	Logger *slog.Logger
	// Durability of upserts, deletes and staged images. Uses are governed by
	// UseWindow. With Buffered a crash may take the last acknowledged writes, and
	// so may an engine that heals from a failed write, see backend.Healer. Default:
	// Synced.
	Durability Durability
	// UseWindow bounds how long after its acknowledgement a use becomes
	// durable; a crash may take the uses of the last window. Uses near the
	// deadline of their product are durable at once whatever it is, and so are
	// all uses on a backend that other processes write to. One over 30 s does
	// not delay uses further. Default: 1 s. At least 1 ms, at most 1 h. Negative,
	// such as NoUseWindow: no window.
	UseWindow time.Duration
	// UseCapacity is the largest number of products whose uses are kept in
	// memory until they are written into their records, which happens within
	// about half a minute, sooner when three quarters of it are taken; each takes some 250
	// bytes. Further uses are durable, in their records, at once. It does not
	// affect when uses become durable otherwise. Default: 262,144.
	UseCapacity int
	// CacheBytes is about how much memory the cache of products takes, which
	// keeps what is read again and again. It is not used on a backend that other
	// processes write to, and never changes what is read. Default: 64 MiB.
	// Negative: no cache.
	CacheBytes int64
	// ImageGrace is how long replaced and deleted image bytes stay for the readers
	// that have opened them. Default: 15 min. Negative: none.
	ImageGrace time.Duration
	// ImageGraceBytes bounds the image bytes that wait so, each image counted with
	// 4 KiB more. Beyond it the oldest are removed at once, and their readers end
	// with ErrImageGone: an account that replaces large images again and again does
	// not fill the disk. Only what this process has released since Open is counted.
	// It does not affect images that products have. Default: 1 GiB. Negative: no
	// bound.
	ImageGraceBytes int64
	// StageLifetime is how long staged image bytes wait for the upsert that
	// claims them, counted from the last byte. Default: 1 h.
	StageLifetime time.Duration
	// Limits of the input. They bind what is written from now on, not what is
	// stored.
	Limits Limits
	// Quota returns what an account may have. Upserts that would make it more fail with
	// ErrQuotaExceeded; those that don't, uses and deletes never do, nor does what
	// package dump loads. It is approximate: what an account has is counted in the
	// background, by a walk over its products, when it is first written to and then
	// once a minute at most while it is, and this process's writes are added. An
	// account may go beyond its quota by what is written until it was counted once, by
	// what other processes write until it is counted again, and by what is written at
	// once; and one whose products have expired, or were deleted by others, may be
	// refused until then, a second after a refusal at the soonest. It is called within
	// commits, by many at once, and must be quick and call nothing of the catalog.
	// Default: none.
	Quota func(account string) Quota
	// OnExpire is called after a product's expiry was committed, whether the
	// sweeper removed it, at least Sweeper.Grace after the deadline, or an
	// upsert replaced it; at most once per product,
	// never for deletes, never concurrently with itself, off the path of any
	// call. The sweeper waits while about 1,024 expiries wait to be reported, so
	// a slow function slows down removal, not readers or writers; upserts that
	// replace expired products do not wait, and what they report takes memory
	// until it is. Sweep does not wait for the reports; Close does.
	//
	// It gets the catalog, which may not have been returned by Open yet, and may
	// call it, but for Sweep, Reclaim and Close. Its context ends, with ErrClosed
	// as the cause, when Close is called; from then on the catalog refuses its
	// calls with ErrClosed too. What waits to be reported then is reported all the
	// same, and Close returns after that: a report that leaves the process uses the
	// context where it may be cut short, and context.WithoutCancel of it where it
	// must not be lost. A panic of it ends the process. Default: none.
	OnExpire func(ctx context.Context, c *Catalog, e Expired)
	// Observe is called when a call of a method, or a part of one, begins: for
	// metrics, as package catalog/metrics keeps them, and for traces. It returns
	// the context to go on with, nil for ctx itself, and a function that is called
	// when it has ended, nil for none: not if it ends in a panic. What an upsert
	// commits is observed within its context. Both run in the goroutine of the
	// call, many at once, and must be quick and call nothing of the catalog. It is
	// given no names of accounts and products. Default: none, which costs nothing.
	Observe func(ctx context.Context, op Operation) (context.Context, func(Ended))
	// Index is the window of deadlines kept in memory. It affects when the store is
	// read, never what expires. It is for tests, and ttl.IndexOptions carries no
	// promise of stability. Default: see there.
	Index ttl.IndexOptions
	// Sweeper is how expired products leave storage. It never affects when a
	// product is gone for readers. Hosts set Grace, LeapPause and GapTolerance of
	// it, if any; the rest is for tests, and carries no promise of stability. Its
	// Grace defaults to five seconds and two use windows, its BatchSize where
	// processes share the store to 512, in Updates of 64. Other defaults: see
	// ttl.SweeperOptions.
	Sweeper ttl.SweeperOptions
}

// Expired is what Options.OnExpire gets.
type Expired struct {
	Account string
	// Product is the product as it was in its last moment.
	Product *Product
}

// Limits of the input. A zero field means its default.
type Limits struct {
	// URLBytes limits an image's URL. Default: 2,048 bytes.
	URLBytes int
	// TitleLength limits the title. Default: 1,000 code points.
	TitleLength int
	// DescriptionLength limits the description. Default: 20,000 code points.
	DescriptionLength int
	// MetadataBytes limits the compact metadata. Default: 65,536 bytes.
	MetadataBytes int
	// ClassificationBytes limits the compact classifications of each image.
	// Default: 8,192 bytes.
	ClassificationBytes int
	// Nesting limits how deep objects and arrays are nested, counted from the
	// root of the JSON form of an upsert: the metadata begin at depth 2.
	// Default: 64. At most 10,000.
	Nesting int
	// Images limits the number of images of a product. Default: 32. At most
	// 1,024.
	Images int
	// ImageBytes limits one uploaded image. Default: 20 MiB.
	ImageBytes int64
	// ImagePixels limits width × height of an uploaded image. Default: 100
	// million.
	ImagePixels int64
}

const (
	defaultUseWindow = time.Second
	minUseWindow     = time.Millisecond
	maxUseWindow     = time.Hour
	maxImages        = 1024
	maxNesting       = 10_000 // what jsontext takes
)

// WithDefaults returns the limits that l means: its zero fields replaced by
// their defaults.
func (l Limits) WithDefaults() Limits {
	setDefault(&l.URLBytes, 2048)
	setDefault(&l.TitleLength, 1000)
	setDefault(&l.DescriptionLength, 20_000)
	setDefault(&l.MetadataBytes, 64<<10)
	setDefault(&l.ClassificationBytes, 8<<10)
	setDefault(&l.Nesting, 64)
	setDefault(&l.Images, 32)
	setDefault(&l.ImageBytes, 20<<20)
	setDefault(&l.ImagePixels, 100_000_000)
	return l
}

// withDefaults returns a copy of o with every default filled in, or an error
// that names the first field that can't be.
func (o *Options) withDefaults() (*Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if isNil(out.Clock) {
		out.Clock = ttl.SystemClock()
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Durability != Synced && out.Durability != Buffered {
		return nil, fmt.Errorf("option Durability: unknown value %d", out.Durability)
	}
	setDefault(&out.UseWindow, defaultUseWindow)
	if out.UseWindow < 0 {
		out.UseWindow = NoUseWindow
	}
	if out.UseWindow > maxUseWindow {
		return nil, fmt.Errorf("option UseWindow: %v is over %v", out.UseWindow, maxUseWindow)
	}
	if out.UseWindow > 0 && out.UseWindow < minUseWindow {
		return nil, fmt.Errorf("option UseWindow: %v is under %v", out.UseWindow, minUseWindow)
	}
	setDefault(&out.UseCapacity, 262_144)
	setDefault(&out.CacheBytes, 64<<20)
	setDefault(&out.ImageGrace, 15*time.Minute)
	out.ImageGrace = max(out.ImageGrace, 0)
	setDefault(&out.ImageGraceBytes, 1<<30)
	setDefault(&out.StageLifetime, time.Hour)
	setDefault(&out.Sweeper.Grace, 5*time.Second+2*max(out.UseWindow, 0))
	if out.Sweeper.Logger == nil {
		out.Sweeper.Logger = out.Logger
	}
	out.Limits = out.Limits.WithDefaults()
	l := out.Limits
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"UseCapacity", int64(out.UseCapacity)}, {"StageLifetime", int64(out.StageLifetime)},
		{"Limits.URLBytes", int64(l.URLBytes)}, {"Limits.TitleLength", int64(l.TitleLength)},
		{"Limits.DescriptionLength", int64(l.DescriptionLength)}, {"Limits.MetadataBytes", int64(l.MetadataBytes)},
		{"Limits.ClassificationBytes", int64(l.ClassificationBytes)}, {"Limits.Nesting", int64(l.Nesting)},
		{"Limits.Images", int64(l.Images)}, {"Limits.ImageBytes", l.ImageBytes}, {"Limits.ImagePixels", l.ImagePixels},
	} {
		if f.value < 0 {
			return nil, fmt.Errorf("option %s: %d is negative", f.name, f.value)
		}
	}
	if l.Images > maxImages {
		return nil, fmt.Errorf("option Limits.Images: %d is over %d", l.Images, maxImages)
	}
	if l.Nesting > maxNesting {
		return nil, fmt.Errorf("option Limits.Nesting: %d is over %d", l.Nesting, maxNesting)
	}
	return &out, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
