package bus

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockName is the file in the state directory whose lock keeps a second process
// out. The file stays when the process ends; only the lock counts.
const lockName = "ebb.lock"

// claimStateDir makes the state directory and locks it for this process. Two
// NATS servers writing to one store destroy it. Closing the file gives the
// directory free.
func claimStateDir(dir string) (*os.File, error) {
	if dir == "" {
		return nil, fmt.Errorf("state directory: none given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory %s cannot be made (choose another one, or make it and give it to this user): %w", dir, err)
	}
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory %s is not writable (choose another one, or give it to this user): %w", dir, err)
	}
	held, err := tryLock(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s (the file system must support locks): %w", path, err)
	}
	if held {
		owner := lockOwner(file)
		file.Close()
		return nil, fmt.Errorf("state directory %s is in use by %s: stop that one, or choose another state directory", dir, owner)
	}
	// The number only serves the message above; the lock is what counts.
	if err := writeOwner(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("state directory %s is not writable (is the disk full?): %w", dir, err)
	}
	return file, nil
}

// writeOwner puts our process id into the lock file.
func writeOwner(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lockOwner says who holds the lock, as far as the file tells.
func lockOwner(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	pid := strings.TrimSpace(string(text))
	if _, bad := strconv.Atoi(pid); err != nil || bad != nil {
		return "another process"
	}
	return "process " + pid
}
