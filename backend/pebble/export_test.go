package pebble

// KeepFrom returns o for a store whose reads keep iterators from the nth one on
// that follows no commit.
func KeepFrom(o *Options, n int) *Options {
	o.keepFrom = n
	return o
}
