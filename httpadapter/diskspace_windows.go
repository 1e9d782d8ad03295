package httpadapter

import "golang.org/x/sys/windows"

// diskSpace returns how many bytes of the file system that dir is on are free
// for this process, and how many it has.
func diskSpace(dir string) (free, total int64, ok bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, false
	}
	var available, all uint64
	if windows.GetDiskFreeSpaceEx(name, &available, &all, nil) != nil {
		return 0, 0, false
	}
	return int64(available), int64(all), true
}
