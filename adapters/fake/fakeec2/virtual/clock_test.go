package virtual_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
)

// TestOrder runs what is due in order of time, then in the order it was put on
// the clock, also what is put there on the way.
func TestOrder(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	c := virtual.New(start)
	var ran []string
	note := func(name string) func() {
		return func() { ran = append(ran, name+"@"+c.Now().Sub(start).String()) }
	}
	c.AfterFunc(2*time.Second, note("late"))
	c.AfterFunc(time.Second, func() {
		note("first")()
		c.AfterFunc(0, note("nested"))
		c.AfterFunc(time.Hour, note("never"))
	})
	c.AfterFunc(time.Second, note("second"))
	stop := c.AfterFunc(time.Second, note("stopped"))
	if !stop() || stop() {
		t.Error("stop does not say whether it stopped")
	}
	c.Advance(3 * time.Second)
	if want := []string{"first@1s", "second@1s", "nested@1s", "late@2s"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	if got := c.Now().Sub(start); got != 3*time.Second {
		t.Errorf("clock shows %v", got)
	}
}
