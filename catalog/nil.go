package catalog

import "reflect"

// isNil reports whether v, an argument of an interface type, holds nothing or
// a nil pointer, which is not equal to nil.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	p := reflect.ValueOf(v)
	return p.Kind() == reflect.Pointer && p.IsNil()
}
