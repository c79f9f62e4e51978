package app

import (
	"context"
	"sync"
	"time"
)

// runner runs the actors' I/O on goroutines. Their contexts end with the
// runner, not with the signal that begins a stop: stopping needs I/O too.
type runner struct {
	work sync.WaitGroup
	// base makes the context of one call; it ends with the process.
	base func(timeout time.Duration) (context.Context, context.CancelFunc)
	end  context.CancelFunc

	mu     sync.Mutex
	closed bool // nothing is begun any more
}

func newRunner(ctx context.Context) *runner {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	return &runner{end: end, base: func(timeout time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeout(life, timeout)
	}}
}

// Go implements actors.Runner.
func (r *runner) Go(timeout time.Duration, f func(context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return // an actor that has not ended yet; nobody hears the answer
	}
	r.work.Go(func() {
		ctx, cancel := r.base(timeout)
		defer cancel()
		f(ctx)
	})
}

// close ends what is still running and waits for it.
func (r *runner) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.work.Wait()
}
