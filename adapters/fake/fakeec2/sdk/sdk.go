// Package sdk gives the fake region the face of the AWS SDK's EC2 client, without
// the Query API's XML in between: the same answers and the same errors, a hundred
// times as fast. It has the methods that ebb calls.
package sdk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// Carry takes a call to the region and brings its outcome back: serve is what the
// region does. An error of its own is one of the network.
type Carry func(ctx context.Context, action string, serve func() error) error

// Client is an EC2 client. Its calls may be made at the same time if Carry may.
type Client struct {
	cloud *fakeec2.Cloud
	carry Carry
}

// New makes a client of a region. With a nil carry there is no network.
func New(cloud *fakeec2.Cloud, carry Carry) *Client {
	if carry == nil {
		carry = func(_ context.Context, _ string, serve func() error) error { return serve() }
	}
	return &Client{cloud: cloud, carry: carry}
}

// through carries one call, and gives errors the form that the SDK gives them.
func through[T any](ctx context.Context, c *Client, action string, act func() (*T, error)) (*T, error) {
	var answer *T
	err := c.carry(ctx, action, func() (err error) {
		answer, err = act()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("operation error EC2: %s, %w", action, asSDK(err))
	}
	return answer, nil
}

// notXML is the code of the fake region's errors that go out as plain text.
const notXML = "InternalServerError"

func asSDK(err error) error {
	var refusal *fakeec2.APIError
	if !errors.As(err, &refusal) {
		if errors.Is(err, fakeec2.ErrDropped) || errors.Is(err, fakeec2.ErrTimeout) {
			err = io.ErrUnexpectedEOF
		}
		return &smithyhttp.RequestSendError{Err: err}
	}
	answered := &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: refusal.Status}},
		Err:      &smithy.GenericAPIError{Code: refusal.Code, Message: refusal.Message},
	}
	if refusal.Code == notXML {
		answered.Err = &smithy.GenericAPIError{Code: "UnknownError", Message: "UnknownError"}
	}
	return answered
}

// RunInstances is the SDK's method of that name, as far as ebb uses it.
func (c *Client) RunInstances(
	ctx context.Context, in *awsec2.RunInstancesInput, _ ...func(*awsec2.Options),
) (*awsec2.RunInstancesOutput, error) {
	return through(ctx, c, "RunInstances", func() (*awsec2.RunInstancesOutput, error) {
		reservation, err := c.cloud.RunInstances(asked(in))
		if err != nil {
			return nil, err
		}
		return &awsec2.RunInstancesOutput{ReservationId: &reservation.ID, Instances: instancesOf(reservation.Instances)}, nil
	})
}

// asked is a launch as the region reads it from a request.
func asked(in *awsec2.RunInstancesInput) fakeec2.RunInstancesInput {
	out := fakeec2.RunInstancesInput{
		ImageID: aws.ToString(in.ImageId), InstanceType: string(in.InstanceType), MinCount: int(aws.ToInt32(in.MinCount)),
		MaxCount: int(aws.ToInt32(in.MaxCount)), ClientToken: aws.ToString(in.ClientToken), SubnetID: aws.ToString(in.SubnetId),
		KeyName: aws.ToString(in.KeyName), SecurityGroupIDs: in.SecurityGroupIds, UserData: aws.ToString(in.UserData),
		ShutdownBehavior: string(in.InstanceInitiatedShutdownBehavior),
	}
	if in.Placement != nil {
		out.Zone = aws.ToString(in.Placement.AvailabilityZone)
	}
	if in.MetadataOptions != nil {
		out.Metadata = fakeec2.MetadataOptions{
			HTTPTokens: string(in.MetadataOptions.HttpTokens), HTTPEndpoint: string(in.MetadataOptions.HttpEndpoint),
			HopLimit: int(aws.ToInt32(in.MetadataOptions.HttpPutResponseHopLimit)), InstanceTags: string(in.MetadataOptions.InstanceMetadataTags),
		}
	}
	if in.InstanceMarketOptions != nil && in.InstanceMarketOptions.MarketType == types.MarketTypeSpot {
		out.Spot = &fakeec2.SpotOptions{}
		if options := in.InstanceMarketOptions.SpotOptions; options != nil {
			out.Spot.MaxPrice, out.Spot.RequestType = aws.ToString(options.MaxPrice), string(options.SpotInstanceType)
			out.Spot.InterruptionBehavior = string(options.InstanceInterruptionBehavior)
		}
	}
	for _, specification := range in.TagSpecifications {
		out.TagSpecifications = append(out.TagSpecifications, fakeec2.TagSpecification{
			ResourceType: string(specification.ResourceType), Tags: tagsOf(specification.Tags),
		})
	}
	return out
}

func tagsOf(tags []types.Tag) []fakeec2.Tag {
	list := make([]fakeec2.Tag, len(tags))
	for i, tag := range tags {
		list[i] = fakeec2.Tag{Key: aws.ToString(tag.Key), Value: aws.ToString(tag.Value)}
	}
	return list
}

func instancesOf(shown []fakeec2.Instance) []types.Instance {
	list := make([]types.Instance, len(shown))
	for i := range shown {
		list[i] = instanceOf(&shown[i])
	}
	return list
}

// instanceOf is an instance as EC2 describes it, as far as the adapter reads.
func instanceOf(i *fakeec2.Instance) types.Instance {
	instance := types.Instance{
		InstanceId: &i.ID, ClientToken: &i.ClientToken, InstanceType: types.InstanceType(i.Type),
		State:      &types.InstanceState{Name: types.InstanceStateName(i.State), Code: aws.Int32(int32(i.State.Code()))},
		LaunchTime: aws.Time(i.LaunchTime.UTC().Truncate(time.Millisecond)), // so EC2 writes it
		Placement:  &types.Placement{AvailabilityZone: &i.Zone},
		Tags:       make([]types.Tag, len(i.Tags)),
	}
	if i.State != fakeec2.Terminated {
		instance.SubnetId = &i.SubnetID
	}
	if i.Market == fakeec2.Spot {
		instance.InstanceLifecycle, instance.SpotInstanceRequestId = types.InstanceLifecycleTypeSpot, &i.SpotRequestID
	}
	if i.StateReason.Code != "" {
		instance.StateReason = &types.StateReason{Code: &i.StateReason.Code, Message: &i.StateReason.Message}
	}
	for at := range i.Tags {
		instance.Tags[at] = types.Tag{Key: &i.Tags[at].Key, Value: &i.Tags[at].Value}
	}
	return instance
}

// TerminateInstances is the SDK's method of that name, as far as ebb uses it.
func (c *Client) TerminateInstances(
	ctx context.Context, in *awsec2.TerminateInstancesInput, _ ...func(*awsec2.Options),
) (*awsec2.TerminateInstancesOutput, error) {
	return through(ctx, c, "TerminateInstances", func() (*awsec2.TerminateInstancesOutput, error) {
		changes, err := c.cloud.TerminateInstances(in.InstanceIds, aws.ToBool(in.DryRun))
		if err != nil {
			return nil, err
		}
		out := &awsec2.TerminateInstancesOutput{}
		for i := range changes {
			out.TerminatingInstances = append(out.TerminatingInstances, types.InstanceStateChange{
				InstanceId:    &changes[i].InstanceID,
				PreviousState: &types.InstanceState{Name: types.InstanceStateName(changes[i].Previous)},
				CurrentState:  &types.InstanceState{Name: types.InstanceStateName(changes[i].Current)},
			})
		}
		return out, nil
	})
}

// DescribeInstances is the SDK's method of that name, as far as ebb uses it.
func (c *Client) DescribeInstances(
	ctx context.Context, in *awsec2.DescribeInstancesInput, _ ...func(*awsec2.Options),
) (*awsec2.DescribeInstancesOutput, error) {
	return through(ctx, c, "DescribeInstances", func() (*awsec2.DescribeInstancesOutput, error) {
		page, err := c.cloud.DescribeInstances(fakeec2.DescribeInstancesInput{
			InstanceIDs: in.InstanceIds, Filters: filtersOf(in.Filters), MaxResults: int(aws.ToInt32(in.MaxResults)),
			NextToken: aws.ToString(in.NextToken),
		})
		if err != nil {
			return nil, err
		}
		out := &awsec2.DescribeInstancesOutput{NextToken: optional(page.NextToken)}
		for i := range page.Reservations {
			out.Reservations = append(out.Reservations, types.Reservation{
				ReservationId: &page.Reservations[i].ID, Instances: instancesOf(page.Reservations[i].Instances),
			})
		}
		return out, nil
	})
}

func filtersOf(filters []types.Filter) []fakeec2.Filter {
	list := make([]fakeec2.Filter, len(filters))
	for i, filter := range filters {
		list[i] = fakeec2.Filter{Name: aws.ToString(filter.Name), Values: filter.Values}
	}
	return list
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// DescribeSpotInstanceRequests is the SDK's method of that name, as far as ebb uses it.
func (c *Client) DescribeSpotInstanceRequests(
	ctx context.Context, in *awsec2.DescribeSpotInstanceRequestsInput, _ ...func(*awsec2.Options),
) (*awsec2.DescribeSpotInstanceRequestsOutput, error) {
	return through(ctx, c, "DescribeSpotInstanceRequests", func() (*awsec2.DescribeSpotInstanceRequestsOutput, error) {
		list, next, err := c.cloud.DescribeSpotInstanceRequests(fakeec2.DescribeSpotInstanceRequestsInput{
			IDs: in.SpotInstanceRequestIds, Filters: filtersOf(in.Filters), MaxResults: int(aws.ToInt32(in.MaxResults)),
			NextToken: aws.ToString(in.NextToken),
		})
		if err != nil {
			return nil, err
		}
		out := &awsec2.DescribeSpotInstanceRequestsOutput{NextToken: optional(next)}
		for i := range list {
			out.SpotInstanceRequests = append(out.SpotInstanceRequests, types.SpotInstanceRequest{
				SpotInstanceRequestId: &list[i].ID, InstanceId: optional(list[i].InstanceID), State: types.SpotInstanceState(list[i].State),
				Status: &types.SpotInstanceStatus{Code: &list[i].StatusCode},
			})
		}
		return out, nil
	})
}

// GetConsoleOutput is the SDK's method of that name, as far as ebb uses it.
func (c *Client) GetConsoleOutput(
	ctx context.Context, in *awsec2.GetConsoleOutputInput, _ ...func(*awsec2.Options),
) (*awsec2.GetConsoleOutputOutput, error) {
	return through(ctx, c, "GetConsoleOutput", func() (*awsec2.GetConsoleOutputOutput, error) {
		text, at, err := c.cloud.GetConsoleOutput(aws.ToString(in.InstanceId), aws.ToBool(in.Latest), aws.ToBool(in.DryRun))
		if err != nil {
			return nil, err
		}
		return &awsec2.GetConsoleOutputOutput{
			InstanceId: in.InstanceId, Output: aws.String(base64.StdEncoding.EncodeToString([]byte(text))), Timestamp: &at,
		}, nil
	})
}
