package ec2

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/messages"
)

// pageSize is how many instances one DescribeInstances call asks for, the most
// that EC2 gives. Asking with a size and a filter also draws from the larger of
// EC2's two token buckets.
const pageSize = 1000

// List answers every instance with our owner tag, in any state; EC2 shows the
// terminated ones for about an hour. All pages, or an error. An instance
// launched seconds ago may be missing. An instance whose resource tag was taken
// off has an empty Resource.
//
// Notice is set for the spot instances that EC2 has announced to take back; that
// is a second call, made when there are alive spot instances. When it fails, the
// listing is complete without notices: an empty Notice never takes one back.
func (a *Adapter) List(ctx context.Context) ([]messages.Instance, error) {
	const what = "list instances"
	input := &awsec2.DescribeInstancesInput{
		MaxResults: aws.Int32(pageSize),
		Filters:    []types.Filter{{Name: aws.String("tag:" + TagAutoscaler), Values: []string{a.autoscaler}}},
	}
	var list []messages.Instance
	at := make(map[messages.InstanceID]int)
	for pages := 1; ; pages++ {
		output, err := a.client.DescribeInstances(ctx, input)
		if err != nil {
			return nil, failing(fmt.Sprintf("%s, page %d", what, pages), failureOf(err), err)
		}
		for _, reservation := range output.Reservations {
			for i := range reservation.Instances {
				instance, err := a.own(&reservation.Instances[i])
				if err != nil {
					return nil, failing(what, &messages.Failure{Class: messages.ClassUnknown, Message: err.Error()}, nil)
				}
				// Pages may overlap while the fleet changes: the later is newer.
				if before, seen := at[instance.ID]; seen {
					list[before] = instance
					continue
				}
				at[instance.ID] = len(list)
				list = append(list, instance)
			}
		}
		next := aws.ToString(output.NextToken)
		if next == "" {
			a.log.Debug().Int("instances", len(list)).Int("pages", pages).Msg("called DescribeInstances")
			a.note(ctx, list)
			return list, nil
		}
		if next == aws.ToString(input.NextToken) {
			return nil, failing(what, &messages.Failure{Class: messages.ClassUnknown, Message: "EC2 answers the same page again and again"}, nil)
		}
		input.NextToken = aws.String(next)
	}
}

// own is the instance, which must have our owner tag.
func (a *Adapter) own(raw *types.Instance) (messages.Instance, error) {
	instance, err := toInstance(raw)
	if err != nil {
		return messages.Instance{}, err
	}
	if owner, ok := tagValue(raw.Tags, TagAutoscaler); !ok || owner != a.autoscaler {
		return messages.Instance{}, fmt.Errorf("instance %s belongs to %q: the listing did not keep to the filter", instance.ID, owner)
	}
	return instance, nil
}

// toInstance reads an instance as EC2 describes it. What is missing and cannot
// be done without is an error.
func toInstance(raw *types.Instance) (messages.Instance, error) {
	id := aws.ToString(raw.InstanceId)
	if id == "" {
		return messages.Instance{}, errors.New("EC2 described an instance without an id")
	}
	state, err := toState(raw.State)
	if err != nil {
		return messages.Instance{}, fmt.Errorf("instance %s: %w", id, err)
	}
	if raw.InstanceType == "" {
		return messages.Instance{}, fmt.Errorf("instance %s has no type", id)
	}
	if raw.LaunchTime == nil || raw.LaunchTime.IsZero() {
		return messages.Instance{}, fmt.Errorf("instance %s has no launch time", id)
	}
	instance := messages.Instance{
		ID:    messages.InstanceID(id),
		Token: aws.ToString(raw.ClientToken),
		State: state,
		Offering: messages.Offering{
			Market:       messages.OnDemand,
			InstanceType: string(raw.InstanceType),
			Subnet:       aws.ToString(raw.SubnetId),
		},
		LaunchedAt: raw.LaunchTime.UTC(),
	}
	if raw.InstanceLifecycle == types.InstanceLifecycleTypeSpot {
		instance.Offering.Market = messages.Spot
	}
	if raw.Placement != nil {
		instance.Offering.Zone = aws.ToString(raw.Placement.AvailabilityZone)
	}
	if raw.StateReason != nil {
		instance.StateReason = aws.ToString(raw.StateReason.Code)
	}
	resource, _ := tagValue(raw.Tags, TagResource)
	launch, _ := tagValue(raw.Tags, TagIntent)
	home, _ := tagValue(raw.Tags, TagQueue)
	instance.Resource, instance.Launch, instance.Home = messages.ResourceName(resource), messages.LaunchID(launch), messages.QueueName(home)
	return instance, nil
}

func toState(raw *types.InstanceState) (messages.InstanceState, error) {
	if raw == nil {
		return "", errors.New("it has no state")
	}
	switch raw.Name {
	case types.InstanceStateNamePending:
		return messages.StatePending, nil
	case types.InstanceStateNameRunning:
		return messages.StateRunning, nil
	case types.InstanceStateNameShuttingDown:
		return messages.StateShuttingDown, nil
	case types.InstanceStateNameTerminated:
		return messages.StateTerminated, nil
	case types.InstanceStateNameStopping:
		return messages.StateStopping, nil
	case types.InstanceStateNameStopped:
		return messages.StateStopped, nil
	default:
		return "", fmt.Errorf("its state %q is not known", string(raw.Name))
	}
}
