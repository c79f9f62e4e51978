package bus

import "golang.org/x/sys/windows"

// freeBytes is how many bytes this user may still write to the disk of a
// directory; -1 when the system does not tell.
func freeBytes(dir string) int64 {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return -1
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return -1
	}
	return int64(free)
}
