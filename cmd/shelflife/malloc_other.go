//go:build !linux || !cgo

package main

// tuneMalloc does nothing: the engine's cache is in Go's memory, or in that of a C
// library that gives back what it is given back.
func tuneMalloc() {}
