package leaks_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/internal/leaks"
)

// TestLateGoroutine has one end later than goleak waits.
//
//nolint:paralleltest // it looks at all goroutines
func TestLateGoroutine(t *testing.T) {
	current := goleak.IgnoreCurrent()
	end := make(chan struct{})
	go func() { <-end }()
	if err := goleak.Find(current); err == nil {
		t.Fatal("goleak does not see a goroutine that waits: nothing is tested")
	}
	time.AfterFunc(time.Second, func() { close(end) })
	leaks.None(t, current)
}
