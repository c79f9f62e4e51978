//go:build linux || darwin || freebsd

package bus

import "golang.org/x/sys/unix"

// freeBytes is how many bytes this user may still write to the disk of a
// directory; -1 when the system does not tell.
func freeBytes(dir string) int64 {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return -1
	}
	return int64(disk.Bavail) * int64(disk.Bsize) //nolint:unconvert // the types differ by system
}
