//go:build real && linux

package process_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk is a file system of its own that a test can fill.
type smallDisk struct {
	path string
}

const (
	// roomy is as much as ebb wants at its start; nothing of it is used.
	roomy = 2 << 30
	// spare is what is left of it when it becomes small, for a file that fills it.
	spare = 64 << 20
)

func newSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	d := &smallDisk{path: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, fmt.Sprintf("size=%d", roomy)); err != nil {
		t.Fatalf("mount a tmpfs: %v: this test fills a disk of its own, which takes root and, in a container, the capability SYS_ADMIN (docker run --privileged)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", d.path, err)
		}
	})
	return d
}

// shrink leaves little room.
func (d *smallDisk) shrink(t *testing.T) {
	t.Helper()
	var now syscall.Statfs_t
	if err := syscall.Statfs(d.path, &now); err != nil {
		t.Fatal(err)
	}
	size := int64(now.Blocks-now.Bfree)*now.Bsize + spare
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("make the disk smaller: %v", err)
	}
}

func (d *smallDisk) ballast() string { return filepath.Join(d.path, "ballast") }

// fill takes all the room there is.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	file, err := os.Create(d.ballast())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 1<<12)
	for {
		if _, err = file.Write(block); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
}

// makeRoom undoes fill.
func (d *smallDisk) makeRoom(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		t.Fatal(err)
	}
}
