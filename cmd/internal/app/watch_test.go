package app //nolint:testpackage // the clock of the watch is synctest's, and a process has other goroutines that would hold it

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestWatchFile tells a change once it has settled, and each change once.
func TestWatchFile(t *testing.T) {
	const look = watchEvery
	cases := []struct {
		name  string
		steps func(w *watching)
	}{
		{"nothing happens", func(w *watching) {
			w.quiet(time.Hour)
		}},
		{"a change is told when it was seen twice", func(w *watching) {
			w.write("b")
			w.toldWithin(2 * look)
			w.quiet(time.Hour)
		}},
		{"a file that is just being written is not read half", func(w *watching) {
			for _, text := range []string{"b", "bb", "bbb", "bbbb"} {
				w.write(text)
				w.quiet(look)
			}
			w.toldWithin(look)
			w.quiet(time.Hour)
		}},
		{"the same again is no change", func(w *watching) {
			w.write("a")
			w.quiet(time.Hour)
		}},
		{"a change that is taken back at once is none", func(w *watching) {
			w.write("b")
			w.quiet(look)
			w.write("a")
			w.quiet(time.Hour)
		}},
		{"back to what it was is a change", func(w *watching) {
			w.write("b")
			w.toldWithin(2 * look)
			w.quiet(look / 2)
			w.write("a")
			w.toldWithin(2 * look)
		}},
		{"a file that is missing for a while has not changed", func(w *watching) {
			w.remove()
			w.quiet(time.Hour)
			w.write("a")
			w.quiet(time.Hour)
		}},
		{"a file that comes back different has", func(w *watching) {
			w.remove()
			w.quiet(time.Hour)
			w.write("b")
			w.toldWithin(2 * look)
		}},
		{"another file under its name is a change", func(w *watching) {
			other := filepath.Join(filepath.Dir(w.path), "other")
			if err := os.WriteFile(other, []byte("b"), 0o600); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Rename(other, w.path); err != nil {
				w.t.Fatal(err)
			}
			w.toldWithin(2 * look)
			w.quiet(time.Hour)
		}},
	}
	t.Run("a change at once after the begin is told", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ebb.yaml")
		synctest.Test(t, func(t *testing.T) {
			w := &watching{t: t, path: path}
			w.write("a")
			w.changed = watchFile(t.Context(), path, zerolog.Nop())
			w.write("b")
			w.toldWithin(2*look + look/2)
		})
	})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ebb.yaml")
			synctest.Test(t, func(t *testing.T) {
				w := &watching{t: t, path: path}
				w.write("a")
				w.changed = watchFile(t.Context(), path, zerolog.Nop())
				time.Sleep(look / 2) // all below happens between two looks
				c.steps(w)
			})
		})
	}
}

// watching is a file that is watched on a virtual clock.
type watching struct {
	t       *testing.T
	path    string
	changed <-chan struct{}
}

func (w *watching) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watching) remove() {
	w.t.Helper()
	if err := os.Remove(w.path); err != nil {
		w.t.Fatal(err)
	}
}

// toldWithin waits until a change is told, no longer than limit.
func (w *watching) toldWithin(limit time.Duration) {
	w.t.Helper()
	select {
	case <-w.changed:
	case <-time.After(limit):
		w.t.Fatalf("no change told in %s", limit)
	}
}

// quiet lets a time pass in which no change is told.
func (w *watching) quiet(during time.Duration) {
	w.t.Helper()
	select {
	case <-w.changed:
		w.t.Fatalf("a change told within %s", during)
	case <-time.After(during):
	}
}
