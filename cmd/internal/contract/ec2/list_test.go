package ec2_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

func listChecks() []check {
	return []check{
		{"list: nothing is an empty list", func(ctx context.Context, w *world) error {
			a, err := w.adapter(w.name, w.client)
			if err != nil {
				return err
			}
			list, err := a.List(ctx)
			if err == nil && len(list) != 0 {
				err = fmt.Errorf("got %v", list)
			}
			return err
		}},
		{"list: as launched, with tags and token", checkListed},
		{"list: only what is ours", checkOwnOnly},
		{"list: all pages", checkPages},
		{"list: spot requests are asked for", checkNoticesAsked},
		{"console: of an instance", func(ctx context.Context, w *world) error {
			a, ids, err := both(ctx, w)
			if err != nil {
				return err
			}
			_, err = a.Console(ctx, ids[0])
			return err
		}},
		{"console: of nobody", func(ctx context.Context, w *world) error {
			a, err := w.adapter(w.name, w.client)
			if err != nil {
				return err
			}
			_, err = a.Console(ctx, nobody)
			return wantClass(err, messages.ClassNotFound)
		}},
	}
}

func checkListed(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	launched, err := w.launch(ctx, a, "gpu", "gpu-1", "gpu-2")
	if err != nil {
		return err
	}
	listed, err := find(ctx, a)
	if err != nil {
		return err
	}
	for _, want := range launched {
		got := listed[want.ID]
		want.State, want.StateReason = messages.StateRunning, ""
		if !got.LaunchedAt.Equal(want.LaunchedAt) {
			return fmt.Errorf("%s was launched at %s, and at %s by the answer to the launch", got.ID, got.LaunchedAt, want.LaunchedAt)
		}
		got.LaunchedAt = want.LaunchedAt
		if got != want {
			return fmt.Errorf("got %+v, want %+v", got, want)
		}
	}
	return nil
}

func checkOwnOnly(ctx context.Context, w *world) error {
	ours, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	// The other's name begins with ours: the filter must compare whole values.
	theirs, err := w.adapter(w.name+"-2", w.client)
	if err != nil {
		return err
	}
	if _, err := w.launch(ctx, ours, "gpu", "gpu-1"); err != nil {
		return err
	}
	if _, err := w.launch(ctx, theirs, "gpu", "gpu-2", "gpu-3"); err != nil {
		return err
	}
	for a, want := range map[*ec2.Adapter]int{ours: 1, theirs: 2} {
		list, err := a.List(ctx)
		if err != nil {
			return err
		}
		if len(list) != want {
			return fmt.Errorf("listed %d instances, want %d", len(list), want)
		}
	}
	return nil
}

// smallPages asks for small pages, so that a few instances make several.
type smallPages struct {
	ec2.API

	calls int
}

func (s *smallPages) DescribeInstances(ctx context.Context, in *awsec2.DescribeInstancesInput, options ...func(*awsec2.Options)) (*awsec2.DescribeInstancesOutput, error) {
	s.calls++
	small := *in
	small.MaxResults = aws.Int32(5)
	return s.API.DescribeInstances(ctx, &small, options...)
}

// watched notes how the calls for spot requests go.
type watched struct {
	ec2.API

	calls int
	err   error
}

func (w *watched) DescribeSpotInstanceRequests(
	ctx context.Context, in *awsec2.DescribeSpotInstanceRequestsInput, options ...func(*awsec2.Options),
) (*awsec2.DescribeSpotInstanceRequestsOutput, error) {
	w.calls++
	out, err := w.API.DescribeSpotInstanceRequests(ctx, in, options...)
	w.err = err
	return out, err
}

// checkNoticesAsked: with a spot instance there is one call for spot requests,
// without there is none; either way the listing is whole.
func checkNoticesAsked(ctx context.Context, w *world) error {
	api := &watched{API: w.client}
	a, err := w.adapter(w.name, api)
	if err != nil {
		return err
	}
	if _, err := w.launch(ctx, a, "gpu", "gpu-1"); err != nil {
		return err
	}
	if listed, err := find(ctx, a); err != nil || len(listed) != 1 || api.calls != 0 {
		return fmt.Errorf("without spot: listed %d, %w, with %d calls for spot requests", len(listed), err, api.calls)
	}
	request := w.request("gpu-2", "gpu", 1)
	request.Offering.Market = messages.Spot
	launched, err := a.Launch(ctx, request)
	if err != nil {
		return err
	}
	w.settle()
	listed, err := find(ctx, a)
	if got := listed[launched[0].ID]; err != nil || len(listed) != 2 || got.Offering.Market != messages.Spot || got.Notice != "" {
		return fmt.Errorf("with spot: listed %+v, %w", listed, err)
	}
	if api.calls != 1 || api.err != nil {
		return fmt.Errorf("%d calls for spot requests: %w", api.calls, api.err)
	}
	return nil
}

func checkPages(ctx context.Context, w *world) error {
	api := &smallPages{API: w.client}
	a, err := w.adapter(w.name, api)
	if err != nil {
		return err
	}
	const launches = 12
	for i := range launches {
		if _, err := w.launch(ctx, a, "gpu", fmt.Sprintf("gpu-%d", i)); err != nil {
			return err
		}
	}
	listed, err := find(ctx, a)
	if err != nil {
		return err
	}
	if len(listed) != launches || api.calls != 3 {
		return fmt.Errorf("listed %d instances on %d pages, want %d on 3", len(listed), api.calls, launches)
	}
	return nil
}
