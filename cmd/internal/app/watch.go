package app

import (
	"context"
	"crypto/sha256"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// watchEvery is how often the configuration file is looked at. A change counts
// once the file has been the same twice, so that one that is just being written
// is not read half.
const watchEvery = 2 * time.Second

// watchFile tells each change of a file after the call, until ctx ends. It looks at
// what is in the file, not at who changed it: editors, ConfigMaps and symbolic links
// replace files in many ways. A file that is missing for a while has not changed.
func watchFile(ctx context.Context, path string, log zerolog.Logger) <-chan struct{} {
	changed := make(chan struct{})
	if path == "" {
		return changed
	}
	f := &watched{path: path}
	f.look()
	go func() {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if !f.look() {
				continue
			}
			log.Info().Str("file", path).Msg("the configuration file has changed")
			select {
			case changed <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}()
	return changed
}

// watched is a file that is looked at now and then.
type watched struct {
	path          string
	known, before [sha256.Size]byte // what was told last, and what was seen last
	begun         bool
}

// look says whether the file has changed and stayed so since it was last looked at.
func (w *watched) look() (changed bool) {
	data, err := os.ReadFile(w.path)
	if err != nil {
		return false
	}
	now := sha256.Sum256(data)
	if !w.begun {
		w.begun, w.known, w.before = true, now, now
		return false
	}
	settled := now == w.before
	w.before = now
	if !settled || now == w.known {
		return false
	}
	w.known = now
	return true
}
