// Package leaks looks for goroutines that tests leave behind. It waits for those that
// are about to end as long as a busy machine may need: goleak itself waits less than
// half a second.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a goroutine may take to end that was told to. One that was not
// stays longer, and is found.
const patience = time.Minute

// Main runs the tests of a package, and exits with an error when they fail or leave
// goroutines behind.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := find(options); err != nil {
			fmt.Fprintf(os.Stderr, "leaks: after all tests: %v\n", err)
			code = 1
		}
	}
	os.Exit(code) //nolint:forbidigo // it is the end of a test binary
}

// None fails a test that leaves goroutines behind. It is deferred before all else, with
// [goleak.IgnoreCurrent], by tests that do not run in parallel.
func None(tb testing.TB, options ...goleak.Option) {
	tb.Helper()
	if err := find(options); err != nil {
		tb.Errorf("leaks: %v", err)
	}
}

// find answers what is still there once patience is over.
func find(options []goleak.Option) error {
	for end := time.Now().Add(patience); ; { //nolint:forbidigo // goroutines end in real time
		if err := goleak.Find(options...); err == nil || time.Now().After(end) { //nolint:forbidigo // as above
			return err
		}
	}
}
