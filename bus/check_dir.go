package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// greetPatience is how long a server on this machine may take to say what it is.
const greetPatience = 5 * time.Second

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
	// Full says that nothing can be written there any more, because the disk is full
	// or this user's part of it.
	Full bool
	// Running is what the process that uses the directory says of its store, see
	// [CheckStore].
	Running Store
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
	if report.Full, err = isFull(place, report.Free); err != nil {
		return report, fmt.Errorf("state directory %s is not writable for this user: %w", dir, err)
	}
	if report.Missing {
		return report, nil
	}
	report.HasEvents = hasEvents(dir)
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

// hasEvents says whether the event stream was made in a state directory.
func hasEvents(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "jetstream", "$G", "streams", EventStream))
	return err == nil
}

// isFull tries whether anything can be written in a directory that is there. The error
// is of whatever else than room keeps it from that.
func isFull(dir string, free int64) (bool, error) {
	try, err := os.MkdirTemp(dir, ".ebb-check-")
	if err == nil {
		err = os.Remove(try)
	}
	if err != nil && faultOf(err.Error()) != StoreFailing {
		return true, nil
	}
	return free >= 0 && free < roomToWork, err
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
	address := net.JoinHostPort(host, strconv.Itoa(port))
	err = portFree(ctx, address)
	if err == nil {
		return ListenerNone, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ListenerNone, err
	}
	conn, err := greet(ctx, address)
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

// greet connects to the server of an address of this machine.
func greet(ctx context.Context, address string) (*nats.Conn, error) {
	return nats.Connect("nats://"+address, nats.Timeout(min(greetPatience, patience(ctx, 1))), nats.NoReconnect(), nats.Name("ebb doctor"))
}

// CheckStore asks the ebb that listens on an address how its store is. An ebb of a
// version that does not tell has a good one.
func CheckStore(ctx context.Context, listen string) (Store, error) {
	host, port, err := listenAddress(listen)
	if err != nil {
		return Store{}, err
	}
	conn, err := greet(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return Store{}, fmt.Errorf("ask %s for the state of its store: %w", listen, err)
	}
	defer conn.Close()
	store, _, err := askStore(ctx, conn)
	return store, err
}
