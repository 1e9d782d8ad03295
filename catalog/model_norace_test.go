//go:build !race

package catalog_test

// These divide the operations of the model test and the cuts of the crash test.
const (
	modelRaceFactor = 1
	faultRaceFactor = 1
	crashRaceFactor = 1
)
