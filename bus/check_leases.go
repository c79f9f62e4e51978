package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/messages"
)

// Epochs are those that an event server has given to owners: from First to Last,
// none when Last is zero. Those of two servers differ: they begin at the milliseconds
// of the clock at which the server's bucket of leases was made, and leases are written
// far less often than once a millisecond.
type Epochs struct{ First, Last messages.Epoch }

// Include tells whether an epoch is one of them.
func (e Epochs) Include(epoch messages.Epoch) bool { return epoch >= e.First && epoch <= e.Last }

// CheckLeases finds out which epochs an event server has given to owners. It makes
// and changes nothing there. No error holds a secret.
func CheckLeases(ctx context.Context, config ConnConfig) (Epochs, error) {
	refused := &refusals{}
	conn, _, err := login(ctx, config, refused)
	if err != nil {
		return Epochs{}, err
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		return Epochs{}, fmt.Errorf("look at leases: %w", err)
	}
	limited, cancel := refused.await(ctx)
	defer cancel()
	found, err := stream.Stream(limited, bucketStream+LeaseBucket)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return Epochs{}, nil
	case err != nil:
		return Epochs{}, fmt.Errorf("look at leases: %w", refused.explain(err))
	}
	info := found.CachedInfo()
	return Epochs{First: messages.Epoch(max(info.Config.FirstSeq, 1)), Last: messages.Epoch(info.State.LastSeq)}, nil
}

// leasesUsed is when a lease was last written in a state directory, by the clock
// of this machine; zero when none ever was.
func leasesUsed(dir string) (time.Time, error) {
	var last time.Time
	err := filepath.WalkDir(filepath.Join(dir, "jetstream", "$G", "streams", bucketStream+LeaseBucket), func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("look at leases: %w", err)
	}
	return last, nil
}
