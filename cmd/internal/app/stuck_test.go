package app_test

import (
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/cmd/internal/app"
)

// TestStuckProcess has the actors of a process hang, here in a log that takes nothing
// more: it finds that out and ends, and a new one goes on with what there is.
func TestStuckProcess(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	defer r.close()
	file := r.load("1h", 3)
	hung := &hanging{}
	process, err := app.Start(t.Context(), app.Options{File: file, Version: "test", Log: zerolog.New(hung)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{Queue: "training", Count: 2, RunSeconds: 1}); err != nil {
		t.Fatal(err)
	}
	r.until(func() bool { return r.done() == 2 }, "two tasks are done")
	hung.mu.Lock()
	const want = "autoscaler of test: did not answer in time"
	if what := <-process.Stuck(t.Context(), 100*time.Millisecond); what != want {
		t.Errorf("found %q, want %q", what, want)
	}
	process.Abandon()
	if alive := r.cloud.Alive(); alive != 2 {
		t.Errorf("%d instances are alive, want both that there were", alive)
	}
	hung.mu.Unlock() // in place of the end of the program, so that its event server ends

	r.until(func() bool {
		process, err = app.Start(t.Context(), app.Options{File: file, Version: "test", Log: zerolog.Nop()})
		return err == nil
	}, "the process is started anew")
	if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{Queue: "training", Count: 2, RunSeconds: 1}); err != nil {
		t.Fatal(err)
	}
	r.until(func() bool { return r.done() == 4 }, "two more tasks are done")
	if launched := len(r.cloud.Ledger().Launches); launched != 2 {
		t.Errorf("%d instances were launched, want the 2 to be used again", launched)
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}

// hanging is a log that takes nothing while its mutex is held.
type hanging struct{ mu sync.Mutex }

func (h *hanging) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(line), nil
}
