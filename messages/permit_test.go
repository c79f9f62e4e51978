package messages_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ebbscale/ebb/messages"
)

// TestPermitted: a permit is asked each time; without one all is permitted.
func TestPermitted(t *testing.T) {
	t.Parallel()
	if err := messages.Permitted(t.Context()); err != nil {
		t.Errorf("without a permit: %v", err)
	}
	var answer error
	ctx, cancel := context.WithCancel(messages.WithPermit(t.Context(), func() error { return answer }))
	defer cancel()
	if err := messages.Permitted(ctx); err != nil {
		t.Errorf("with a permit that says yes: %v", err)
	}
	answer = &messages.Failure{Class: messages.ClassFenced}
	if err := messages.Permitted(ctx); !errors.Is(err, answer) {
		t.Errorf("with a permit that says no: %v", err)
	}
}
