//go:build unix && !solaris && !aix

package bus

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes an exclusive lock on an open file, which the kernel drops when
// the process ends, however it ends. held is true when somebody else has it.
func tryLock(file *os.File) (held bool, err error) {
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
