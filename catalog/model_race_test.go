//go:build race

package catalog_test

// These divide the operations of the model test and the cuts of the crash test:
// with -race an operation takes several times as long, and Pebble's look at the
// torn end of a log even more.
const (
	modelRaceFactor = 10
	faultRaceFactor = 10
	crashRaceFactor = 50
)
