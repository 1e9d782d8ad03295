//go:build !unix

package workload

import "io/fs"

func diskUsage(info fs.FileInfo) int64 { return info.Size() }

func flushDisk() {}
