package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// leaseTries bounds how long one call waits for one answer of the server: so
	// many waits fit between two renewals.
	leaseTries = 4
	// pauseMost bounds the pause between two tries, in doublings of pauseBase.
	pauseMost = 5
)

// Acquire takes the lease if it is free, and fails with a [messages.Failure] of
// class ClassHeld if it is not. Its epoch is above those of all earlier leases.
// The TTL counts from before the call. After a failure of class ClassTransient,
// which is every other one, the lease may have been taken for nobody; the next
// call of the same process takes it over, any other waits until it has run out.
func (l *Leases) Acquire(ctx context.Context, autoscaler messages.AutoscalerName) (messages.Lease, error) {
	attempt := l.unresolved(autoscaler)
	lease, sent, err := l.acquire(ctx, autoscaler, attempt)
	if err == nil {
		return lease, nil
	}
	if sent {
		l.mu.Lock()
		l.unanswered[autoscaler] = attempt
		l.mu.Unlock()
	}
	return messages.Lease{}, fmt.Errorf("acquire lease of %s: %w", autoscaler, leaseFailure(err))
}

// unresolved is the attempt that is still to be answered, or a new one. Two
// calls at the same time never share one.
func (l *Leases) unresolved(autoscaler messages.AutoscalerName) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	attempt, ok := l.unanswered[autoscaler]
	if !ok {
		return rand.Text()
	}
	delete(l.unanswered, autoscaler)
	return attempt
}

// acquire writes the key when it is free. sent says whether the attempt may be on the server.
func (l *Leases) acquire(ctx context.Context, autoscaler messages.AutoscalerName, attempt string) (lease messages.Lease, sent bool, err error) {
	subject := l.bucket.subject(string(autoscaler))
	data, err := l.value(0, attempt)
	if err != nil {
		return messages.Lease{}, false, err
	}
	sent = true // by an earlier call, perhaps
	err = l.try(ctx, func(ctx context.Context) (bool, error) {
		found, err := l.look(ctx, subject)
		if err != nil {
			return false, err
		}
		if !l.free(found, attempt) {
			sent = false // what we sent was refused, or is over
			return true, heldBy(found)
		}
		sequence, repeated, err := l.bucket.compareAndSet(ctx, write{
			subject: subject, data: data, expected: found.sequence, id: fmt.Sprintf("acquire/%s/%d", attempt, found.sequence),
		})
		if err != nil || repeated {
			// When it was stored is not known, so its TTL is not: write once more.
			return false, errors.Join(err, repeatedOr(repeated))
		}
		lease = messages.Lease{
			Autoscaler: autoscaler, Holder: l.config.Holder, Epoch: messages.Epoch(sequence), Revision: sequence,
		}
		lease.First, err = l.raiseTTL(ctx)
		return true, err
	})
	return lease, sent, err
}

// Renew keeps a lease for another TTL, counted from before the call. A
// [messages.Failure] of class ClassFenced says that it is lost for good; after
// any other, of class ClassTransient, it may be renewed or not: renew the same
// lease again.
func (l *Leases) Renew(ctx context.Context, lease messages.Lease) (messages.Lease, error) {
	subject := l.bucket.subject(string(lease.Autoscaler))
	data, err := l.value(lease.Epoch, "")
	if err == nil {
		err = l.try(ctx, func(ctx context.Context) (bool, error) {
			sequence, repeated, err := l.bucket.compareAndSet(ctx, write{
				subject: subject, data: data, expected: lease.Revision, id: fmt.Sprintf("renew/%d/%d", lease.Epoch, lease.Revision),
			})
			switch {
			case err == nil && !repeated:
				lease.Revision = sequence
				return true, nil
			case repeated:
				// It was renewed by an earlier try, nobody knows when: that is
				// our revision, and it is to be renewed once more.
				lease.Revision = sequence
				return false, errRepeated
			case !isConflict(err):
				return false, err
			}
			return l.follow(ctx, subject, &lease, err)
		})
	}
	if err != nil {
		return messages.Lease{}, fmt.Errorf("renew lease of %s: %w", lease.Autoscaler, leaseFailure(err))
	}
	return lease, nil
}

// Release gives a lease back at once; one that is lost already is fine. Its
// failures are of class ClassTransient: then the lease may run out instead.
func (l *Leases) Release(ctx context.Context, lease messages.Lease) error {
	subject := l.bucket.subject(string(lease.Autoscaler))
	err := l.try(ctx, func(ctx context.Context) (bool, error) {
		_, _, err := l.bucket.compareAndSet(ctx, write{
			subject: subject, operation: operationDelete, expected: lease.Revision, id: fmt.Sprintf("release/%d/%d", lease.Epoch, lease.Revision),
		})
		if !isConflict(err) {
			return err == nil, err
		}
		return l.follow(ctx, subject, &lease, err)
	})
	if failure := messages.FailureOf(err); failure == nil || failure.Class == messages.ClassFenced {
		return nil
	}
	return fmt.Errorf("release lease of %s: %w", lease.Autoscaler, leaseFailure(err))
}

// follow looks why a lease's revision is not the last one: because it is lost,
// or because a renewal of ours was stored whose answer was lost.
func (l *Leases) follow(ctx context.Context, subject string, lease *messages.Lease, conflict error) (over bool, err error) {
	found, err := l.look(ctx, subject)
	switch {
	case err != nil:
		return false, errors.Join(conflict, err)
	case !found.live:
		return true, &messages.Failure{Class: messages.ClassFenced, Message: fmt.Sprintf("epoch %d is over: it ran out or was given back", lease.Epoch)}
	case found.value.Epoch != lease.Epoch:
		return true, &messages.Failure{
			Class:   messages.ClassFenced,
			Message: fmt.Sprintf("epoch %d is over: %s has it since, with epoch %d", lease.Epoch, found.value.Holder, found.value.Epoch),
		}
	}
	lease.Revision = found.sequence
	return false, conflict
}

// try calls step until it says that it is over, or time is up: a lease that
// would be had later than that is of no use.
func (l *Leases) try(ctx context.Context, step func(context.Context) (over bool, err error)) error {
	timing := l.config.Timing
	ctx, cancel := context.WithTimeout(ctx, timing.TTL-timing.Margin)
	defer cancel()
	for failures := 1; ; failures++ {
		over, err := l.tryOnce(ctx, timing.Renew/leaseTries, step)
		if over {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if errors.Is(err, errRepeated) {
			continue
		}
		l.bucket.heal(ctx, err)
		pause(ctx, pauseBase<<min(failures, pauseMost))
	}
}

// tryOnce bounds one step.
func (l *Leases) tryOnce(ctx context.Context, patience time.Duration, step func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return step(ctx)
}

// heldBy says who holds a lease.
func heldBy(found seen) error {
	return &messages.Failure{
		Class: messages.ClassHeld,
		Message: fmt.Sprintf("held by %s with epoch %d, renewed at %s by its clock",
			found.value.Holder, found.value.Epoch, found.value.At.Format(time.RFC3339)),
	}
}

// leaseFailure is the failure of an error: what is none yet is transient.
func leaseFailure(err error) error {
	if failure, ok := errors.AsType[*messages.Failure](err); ok {
		return failure
	}
	return transient(err)
}

// repeatedOr is errRepeated, or nil.
func repeatedOr(repeated bool) error {
	if repeated {
		return errRepeated
	}
	return nil
}
