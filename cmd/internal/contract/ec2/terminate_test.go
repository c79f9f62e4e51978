package ec2_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

const nobody messages.InstanceID = "i-0123456789abcdef0"

func terminateChecks() []check {
	return []check{
		{"terminate: twice is fine", checkTerminateTwice},
		{"terminate: an unknown id is gone and spares nobody", func(ctx context.Context, w *world) error {
			return checkBadID(ctx, w, nobody, messages.ClassNotFound)
		}},
		{"terminate: a malformed id fails and spares nobody", func(ctx context.Context, w *world) error {
			return checkBadID(ctx, w, "i-NoSuchThing", messages.ClassInvalid)
		}},
		{"terminate: a protected instance fails and spares nobody", checkProtected},
		{"terminate: unknown, protected and good in one", checkMixture},
	}
}

// both launches two instances of gpu.
func both(ctx context.Context, w *world) (*ec2.Adapter, []messages.InstanceID, error) {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return nil, nil, err
	}
	launched, err := w.launch(ctx, a, "gpu", "gpu-1", "gpu-2")
	if err != nil {
		return nil, nil, err
	}
	return a, []messages.InstanceID{launched[0].ID, launched[1].ID}, nil
}

// protected launches instances and turns their termination protection on.
func (w *world) protected(ctx context.Context, a *ec2.Adapter, ids ...string) ([]messages.Instance, error) {
	launched, err := w.launch(ctx, a, "gpu", ids...)
	if err != nil {
		return nil, err
	}
	for _, instance := range launched {
		if _, err := w.client.ModifyInstanceAttribute(ctx, &awsec2.ModifyInstanceAttributeInput{
			InstanceId: aws.String(string(instance.ID)), DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(true)},
		}); err != nil {
			return nil, err
		}
	}
	return launched, nil
}

func checkTerminateTwice(ctx context.Context, w *world) error {
	a, ids, err := both(ctx, w)
	if err != nil {
		return err
	}
	for range 2 {
		outcome, err := a.Terminate(ctx, ids)
		if err != nil {
			return err
		}
		if len(outcome.Terminating) != 2 {
			return fmt.Errorf("got %+v", outcome)
		}
		w.settle()
	}
	return ended(ctx, a, ids)
}

// ended says which of the instances will run again.
func ended(ctx context.Context, a *ec2.Adapter, ids []messages.InstanceID) error {
	listed, err := find(ctx, a)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if got, ok := listed[id]; !ok || !got.State.Ending() {
			return fmt.Errorf("%s is %q (listed: %t)", id, got.State, ok)
		}
	}
	return nil
}

func checkBadID(ctx context.Context, w *world, bad messages.InstanceID, class messages.FailureClass) error {
	a, ids, err := both(ctx, w)
	if err != nil {
		return err
	}
	outcome, err := a.Terminate(ctx, []messages.InstanceID{ids[0], bad, ids[1]})
	if err != nil {
		return err
	}
	if len(outcome.Terminating) != 2 {
		return fmt.Errorf("got %+v, want both good ones terminating", outcome)
	}
	switch {
	case class == messages.ClassNotFound && slices.Contains(outcome.Gone, bad):
	case slices.Contains(outcome.Failed, bad) && outcome.Failures[0].Class == class:
	default:
		return fmt.Errorf("got %+v for %s, want %s", outcome, bad, class)
	}
	w.settle()
	return ended(ctx, a, ids)
}

func checkProtected(ctx context.Context, w *world) error {
	a, ids, err := both(ctx, w)
	if err != nil {
		return err
	}
	kept, err := w.protected(ctx, a, "kept-1")
	if err != nil {
		return err
	}
	outcome, err := a.Terminate(ctx, []messages.InstanceID{ids[0], kept[0].ID, ids[1]})
	if err != nil {
		return err
	}
	if len(outcome.Terminating) != 2 || len(outcome.Failed) != 1 || outcome.Failed[0] != kept[0].ID || outcome.Failures[0].Class != messages.ClassProtected {
		return fmt.Errorf("got %+v", outcome)
	}
	w.settle()
	listed, err := find(ctx, a)
	if err != nil {
		return err
	}
	if state := listed[kept[0].ID].State; state.Ending() {
		return fmt.Errorf("the protected instance is %s", state)
	}
	return ended(ctx, a, ids)
}

func checkMixture(ctx context.Context, w *world) error {
	a, ids, err := both(ctx, w)
	if err != nil {
		return err
	}
	kept, err := w.protected(ctx, a, "kept-1", "kept-2")
	if err != nil {
		return err
	}
	outcome, err := a.Terminate(ctx, []messages.InstanceID{kept[0].ID, nobody, ids[0], kept[1].ID, ids[1], "i-0fedcba9876543210"})
	if err != nil {
		return err
	}
	if len(outcome.Terminating) != 2 || len(outcome.Gone) != 2 || len(outcome.Failed) != 2 {
		return fmt.Errorf("got %+v", outcome)
	}
	w.settle()
	return ended(ctx, a, ids)
}
