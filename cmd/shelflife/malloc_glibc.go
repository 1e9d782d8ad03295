//go:build linux && cgo

package main

// #include <malloc.h>
//
// static void tuneMalloc(void) {
// #ifdef __GLIBC__
// 	mallopt(M_MMAP_THRESHOLD, 64 << 10);
// 	mallopt(M_ARENA_MAX, 2);
// #endif
// }
import "C"

// tuneMalloc has the C library give back what it is given back. With cgo the engine's
// cache lies in memory of the C library, and has blocks of up to 256 KiB beside small
// ones. By default that keeps large blocks, too, in heaps that fall to pieces: 640 MiB
// were resident for a cache of 256 MiB after images had been read, and 320 MiB so.
func tuneMalloc() { C.tuneMalloc() }
