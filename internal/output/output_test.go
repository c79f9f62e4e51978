package output_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/ebbscale/ebb/internal/output"
)

// TestBuffer has several writers and a reader; the race detector looks on.
func TestBuffer(t *testing.T) {
	t.Parallel()

	var b output.Buffer
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				if n, err := b.Write([]byte("line\n")); n != 5 || err != nil {
					t.Errorf("wrote %d: %v", n, err)
				}
				_ = b.String()
			}
		})
	}
	writers.Wait()
	if got := strings.Count(b.String(), "line\n"); got != 800 {
		t.Errorf("%d lines, want 800", got)
	}
}
