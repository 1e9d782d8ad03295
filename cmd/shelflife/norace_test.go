//go:build !race

package main

// buildFlags are those of this test.
var buildFlags []string
