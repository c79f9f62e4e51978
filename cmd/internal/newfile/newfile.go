// Package newfile makes files that are either whole or not there.
package newfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Write makes the file at path out of what write writes. Only its owner can read it
// (mode 0600). It appears whole and on the disk, or not at all: whatever goes wrong,
// a full disk or an interruption, leaves nothing behind, and of a file that was there
// before every byte. Such a file is replaced only when force is true, also in the
// race with another process.
func Write(path string, force bool, write func(io.Writer) error) error {
	if !force {
		if err := Absent(path); err != nil {
			return err
		}
	}
	directory := filepath.Dir(path)
	aside, err := os.CreateTemp(directory, "."+filepath.Base(path)+".*.new")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	err = write(aside)
	if err == nil {
		err = aside.Sync()
	}
	err = errors.Join(err, aside.Close())
	if err == nil {
		err = place(aside.Name(), path, force)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, bare(err)), remove(aside.Name()))
	}
	return syncDirectory(directory)
}

// Absent is an error if there is something at path.
func Absent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("write %s: it exists already", path)
	case errors.Is(err, os.ErrNotExist):
		return nil
	}
	return fmt.Errorf("write %s: %w", path, bare(err))
}

// place gives the finished file its name. A link fails where a file is already, and
// a rename does not; not every file system has links.
func place(aside, path string, force bool) error {
	if force {
		return os.Rename(aside, path)
	}
	err := os.Link(aside, path)
	switch {
	case err == nil:
		return remove(aside)
	case errors.Is(err, os.ErrExist):
		return errors.New("it exists already")
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOSYS):
		if err := Absent(path); err != nil {
			return err
		}
		return os.Rename(aside, path)
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncDirectory makes the new name itself last. Directories that cannot be synced
// are none of the file's business.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return nil //nolint:nilerr // the file is there; a directory may be writable and not readable
	}
	err = directory.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	if err = errors.Join(err, directory.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", path, bare(err))
	}
	return nil
}

// bare is err without the path that the message names already.
func bare(err error) error {
	if about, ok := errors.AsType[*os.PathError](err); ok {
		return about.Err
	}
	if about, ok := errors.AsType[*os.LinkError](err); ok {
		return about.Err
	}
	return err
}
