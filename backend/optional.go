package backend

// find returns b, or what b decorates, as an optional interface: a decorator
// has a method Unwrap that returns what it decorates.
func find[T any](b Backend) (found T, ok bool) {
	for {
		if found, ok := b.(T); ok {
			return found, true
		}
		d, ok := b.(interface{ Unwrap() Backend })
		if !ok {
			return found, false
		}
		b = d.Unwrap()
	}
}
