package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// greetPatience is how long a server on this machine may take to say what it is.
const greetPatience = 2 * time.Second

// DirReport is what [CheckStateDir] found.
type DirReport struct {
	// UsedBy names the process that has the directory locked, such as "process
	// 4711"; empty when nobody has.
	UsedBy string
	// Missing says that the directory is not there yet, and can be made.
	Missing bool
	// HasEvents says that the event stream is there already.
	HasEvents bool
	// LeasesUsed is when a lease was last written there; zero when none was.
	LeasesUsed time.Time
	// Free is how many bytes this user may still write to that disk; -1 when the
	// system does not tell.
	Free int64
}

// DiskNeeded is how many bytes have to be free for the event stream to be made:
// the embedded server promises at most three quarters of a disk.
func DiskNeeded() int64 { return defaultMaxBytes / 3 * 4 }

// CheckStateDir finds out whether [Start] could work in the directory. It leaves
// nothing behind there, and makes no directory that stays. The error says what is
// wrong with the directory, and what to do.
func CheckStateDir(dir string) (DirReport, error) {
	report := DirReport{Free: -1}
	if dir == "" {
		return report, errors.New("no state directory is given")
	}
	place, err := existing(dir)
	if err != nil {
		return report, fmt.Errorf("state directory %s cannot be made: %w", dir, err)
	}
	report.Missing = filepath.Clean(place) != filepath.Clean(dir)
	report.Free = freeBytes(place)
	try, err := os.MkdirTemp(place, ".ebb-check-")
	if err != nil {
		return report, fmt.Errorf("state directory %s is not writable for this user: %w", dir, err)
	}
	if err := os.Remove(try); err != nil {
		return report, fmt.Errorf("state directory %s: remove what was written to try it: %w", dir, err)
	}
	if report.Missing {
		return report, nil
	}
	if _, err := os.Stat(filepath.Join(dir, "jetstream", "$G", "streams", EventStream)); err == nil {
		report.HasEvents = true
	}
	report.UsedBy, err = lockedBy(filepath.Join(dir, lockName))
	if err != nil {
		return report, fmt.Errorf("state directory %s: %w", dir, err)
	}
	report.LeasesUsed, err = leasesUsed(dir)
	if err != nil {
		return report, fmt.Errorf("state directory %s: %w", dir, err)
	}
	return report, nil
}

// existing is the directory itself, or the closest one above it that is there.
func existing(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s is a file", path)
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return "", err
		case filepath.Dir(path) == path:
			return "", err
		}
		path = filepath.Dir(path)
	}
}

// lockedBy names who holds a lock file, empty when nobody does. It holds the lock
// itself for a moment, as there is no other way to ask.
func lockedBy(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	held, err := tryLock(file)
	if err != nil {
		return "", fmt.Errorf("lock %s (the file system must support locks): %w", path, err)
	}
	if held {
		return lockOwner(file), nil
	}
	return "", nil
}

// Listener is who listens on an address.
type Listener string

// Who may listen on the address of an embedded server.
const (
	ListenerNone  Listener = "nobody"
	ListenerEbb   Listener = "an ebb"
	ListenerNATS  Listener = "another NATS server"
	ListenerOther Listener = "another program"
)

// CheckListen finds out who listens on the address that an embedded server is to
// have. The error is of the address itself: it has no such form, or this machine
// does not have it.
func CheckListen(ctx context.Context, listen string) (Listener, error) {
	host, port, err := listenAddress(listen)
	if err != nil {
		return ListenerNone, err
	}
	if port <= 0 {
		return ListenerNone, nil
	}
	address := net.JoinHostPort(host, fmt.Sprint(port))
	err = portFree(ctx, address)
	if err == nil {
		return ListenerNone, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ListenerNone, err
	}
	conn, err := nats.Connect("nats://"+address, nats.Timeout(min(greetPatience, patience(ctx, 1))), nats.NoReconnect(), nats.Name("ebb doctor"))
	switch {
	case err == nil:
		defer conn.Close()
		if conn.ConnectedServerName() == serverName {
			return ListenerEbb, nil
		}
		return ListenerNATS, nil
	case errors.Is(err, nats.ErrAuthorization):
		return ListenerNATS, nil
	}
	return ListenerOther, nil
}
