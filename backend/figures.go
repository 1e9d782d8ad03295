package backend

// A Measured is a Backend that has figures of itself, for the monitoring of a
// running service. It is optional.
type Measured interface {
	// Figures returns them as they are, or were a moment ago: it waits neither for
	// the disk nor for a server, and may be called often. Figures of one engine
	// always have the same names and labels, in whatever state it is. Nil after
	// Close.
	Figures() []Figure
}

// A Figure is a number that an engine knows of itself.
type Figure struct {
	// Name says what it is, in small letters with underscores and its unit last,
	// without the name of the engine: "log_bytes". That of a Counter ends in
	// "_total".
	Name string
	// Help says in a sentence what it is.
	Help string
	// Counter says that it only rises, but for starting anew when the engine is
	// opened or has healed.
	Counter bool
	// Label and Of distinguish figures of one name, such as those of an engine's
	// pools: each has the same Label, with Of as its value. Default: none.
	Label, Of string
	Value     float64
}

// Figures returns the figures of b, or of the Measured that b decorates, as
// [Reclaim] finds it. Where there is none it returns nil.
func Figures(b Backend) []Figure {
	m, ok := find[Measured](b)
	if !ok {
		return nil
	}
	return m.Figures()
}
