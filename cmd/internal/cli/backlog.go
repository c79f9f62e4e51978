package cli

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

const (
	// backlogLines may wait for whoever reads them: some minutes of a busy engine.
	backlogLines = 8192
	// backlogPatience bounds the wait for the last of them at the end.
	backlogPatience = 2 * time.Second
)

// newRunLogger is [NewLogger] for an engine, which must not wait for whoever reads
// its log. end waits a little for the last lines.
func newRunLogger(w io.Writer, settings config.Log, now func() time.Time) (log zerolog.Logger, end func(), err error) {
	direct, err := NewLogger(w, settings, now)
	if err != nil {
		return direct, nil, err
	}
	direct = direct.Level(min(direct.GetLevel(), zerolog.WarnLevel)) // a gap is told at every level
	b := &backlog{out: w, lines: make(chan waiting, backlogLines), ended: make(chan struct{}), gap: func(lines int64) {
		direct.Warn().Int64("lines", lines).Msg("lines of this log are missing here: whoever reads it did not for too long")
	}}
	go b.run()
	log, err = NewLogger(b, settings, now)
	return log, b.close, err
}

// backlog writes lines to a writer that may be stuck, such as a pipe that nobody
// reads: [backlog.Write] never waits. Lines for which there is no room are dropped.
// It keeps the oldest, which say how it came about.
type backlog struct {
	out     io.Writer
	lines   chan waiting
	ended   chan struct{} // all is written that ever will be
	dropped atomic.Int64  // since the last line that had room
	gap     func(lines int64)

	mu     sync.RWMutex // held for writing while lines is closed
	closed bool
}

// waiting is a line, and how many are missing before it.
type waiting struct {
	line    []byte
	missing int64
}

// Write implements [io.Writer]. It takes a whole line.
func (b *backlog) Write(line []byte) (int, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return len(line), nil // from what still ends
	}
	next := waiting{line: append([]byte(nil), line...), missing: b.dropped.Swap(0)}
	select {
	case b.lines <- next:
	default:
		b.dropped.Add(next.missing + 1)
	}
	return len(line), nil
}

func (b *backlog) run() {
	defer close(b.ended)
	for next := range b.lines {
		if next.missing > 0 {
			b.gap(next.missing)
		}
		_, _ = b.out.Write(next.line) // there is nobody to tell
	}
	if missing := b.dropped.Load(); missing > 0 {
		b.gap(missing)
	}
}

// close waits a little until all is written. Nothing that comes later is.
func (b *backlog) close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.lines)
	}
	b.mu.Unlock()
	select {
	case <-b.ended:
	case <-time.After(backlogPatience):
	}
}
