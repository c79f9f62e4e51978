package bus

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ebbscale/ebb/messages"
)

// Claim makes the epoch the owner's. From its return on an intent of a lower
// epoch is never written, nor is an outcome without instances; both fail with a
// [messages.Failure] of class ClassFenced, and so does the claim of an epoch
// below one that was claimed before. The same claim again is fine, and so is
// one of epoch zero while nothing was claimed. On any other error the epoch may
// be claimed or not; claim it again.
func (l *Ledger) Claim(ctx context.Context, epoch messages.Epoch) error {
	state, done, err := l.take(ctx)
	if err != nil {
		return fmt.Errorf("claim launch ledger of %s: %w", l.config.Autoscaler, err)
	}
	defer done()
	// A claim that is known may have been overtaken by one that is not.
	if _, err := l.refresh(ctx, state); err != nil {
		return fmt.Errorf("claim launch ledger of %s: %w", l.config.Autoscaler, err)
	}
	prepare := func() (*entryToAppend, error) {
		if epoch < state.fence {
			return nil, fenced(epoch, state.fence)
		}
		if epoch == state.fence {
			return nil, nil //nolint:nilnil // nothing to append, and no error
		}
		return &entryToAppend{
			id:     "claim/" + l.subject + "/" + strconv.FormatUint(uint64(epoch), 10),
			record: ledgerRecord{Kind: recordClaim, Epoch: epoch},
		}, nil
	}
	if err := l.append(ctx, state, prepare); err != nil {
		return fmt.Errorf("claim launch ledger of %s: %w", l.config.Autoscaler, err)
	}
	return nil
}

// fenced says that a later owner has taken over.
func fenced(epoch, fence messages.Epoch) error {
	return &messages.Failure{
		Class:   messages.ClassFenced,
		Message: fmt.Sprintf("epoch %d is over: epoch %d has claimed the launch ledger (when no other ebb runs, the leases were deleted and the clock is behind: set it right, or delete the stream EBB_LEDGER while nothing is being launched)", epoch, fence),
	}
}
