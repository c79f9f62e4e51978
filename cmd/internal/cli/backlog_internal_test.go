package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// gate is a reader of the log that hangs until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	read bytes.Buffer
}

func (g *gate) Write(line []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read.Write(line)
}

func TestBacklogOfAStuckReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		log, end, err := newRunLogger(g, config.Log{Level: "error", Format: "json"}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		const more = 100
		for range backlogLines + more {
			log.Error().Msg("x")
			synctest.Wait() // the first line is taken out and stuck
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("the engine waited %s for the reader", waited)
		}
		close(g.open)
		synctest.Wait()
		log.Error().Msg("heard again")
		end()
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("the end waited %s for a reader that reads", waited)
		}
		log.Error().Msg("too late")
		text := g.read.String()
		if n := strings.Count(text, `"message":"x"`); n != backlogLines+1 {
			t.Errorf("%d lines came out, want %d", n, backlogLines+1)
		}
		last := strings.Split(text, "\n")[backlogLines+1:]
		if len(last) != 3 || !strings.Contains(last[0], `{"level":"warn","lines":99,`) || !strings.Contains(last[1], "heard again") || last[2] != "" {
			t.Errorf("the log ends with %q", last)
		}
	})
}

func TestBacklogEndsWithoutAReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		log, end, err := newRunLogger(g, config.Log{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		log.Error().Msg("x")
		begun := time.Now()
		end()
		if waited := time.Since(begun); waited != backlogPatience {
			t.Errorf("the end came after %s, want %s", waited, backlogPatience)
		}
		begun = time.Now()
		Program{Stderr: g}.complain("it failed")
		if waited := time.Since(begun); waited != backlogPatience {
			t.Errorf("the complaint took %s, want %s", waited, backlogPatience)
		}
		close(g.open)
	})
}
