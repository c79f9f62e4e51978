package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/messages"
)

// noticePatience is how long a listing waits for the spot requests at most: it
// is complete without them.
const noticePatience = 10 * time.Second

// takenBack are the status codes of a spot request whose instance EC2 takes, or
// has taken, back. With interruption behavior terminate, which is ours, there is
// no marked-for-termination when EC2 needs the capacity: the request is at once
// closed with instance-terminated-no-capacity, while its instance runs for two
// more minutes. The one code with instance-terminated that is not here is
// -by-user: that was us, or the instance itself.
func takenBack() []string {
	return []string{
		"marked-for-termination", "marked-for-stop", "marked-for-stop-by-experiment",
		"instance-terminated-no-capacity", "instance-terminated-by-price", "instance-terminated-capacity-oversubscribed",
		"instance-terminated-by-experiment", "instance-terminated-by-service", "instance-terminated-by-schedule",
		"instance-terminated-launch-group-constraint",
	}
}

// note sets Notice of the instances that EC2 takes back, with one call (a page
// of it is usually enough: only requests with such a status are asked for). No
// alive spot instance, no call. A failed call costs the notices and nothing
// else: without them an instance is ended by EC2 unannounced.
func (a *Adapter) note(ctx context.Context, list []messages.Instance) {
	alive := make(map[string]int)
	for i := range list {
		if list[i].Offering.Market == messages.Spot && !list[i].State.Ending() {
			alive[string(list[i].ID)] = i
		}
	}
	if len(alive) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, noticePatience)
	defer cancel()
	noticed, err := a.noticed(ctx)
	a.tell(err)
	for _, id := range noticed {
		if i, ok := alive[id]; ok {
			list[i].Notice = messages.NoticeInterruption
		}
	}
}

// noticed lists the instances that EC2 takes, or has taken, back; on an error
// those of the pages that came.
func (a *Adapter) noticed(ctx context.Context) ([]string, error) {
	input := &awsec2.DescribeSpotInstanceRequestsInput{
		MaxResults: aws.Int32(pageSize),
		Filters: []types.Filter{
			{Name: aws.String("tag:" + TagAutoscaler), Values: []string{a.autoscaler}},
			{Name: aws.String("status-code"), Values: takenBack()},
		},
	}
	var ids []string
	for {
		output, err := a.client.DescribeSpotInstanceRequests(ctx, input)
		if err != nil {
			return ids, err
		}
		for i := range output.SpotInstanceRequests {
			request := &output.SpotInstanceRequests[i]
			if request.Status != nil && slices.Contains(takenBack(), strings.TrimSpace(aws.ToString(request.Status.Code))) {
				ids = append(ids, aws.ToString(request.InstanceId))
			}
		}
		next := aws.ToString(output.NextToken)
		if next == "" {
			return ids, nil
		}
		if next == aws.ToString(input.NextToken) {
			return ids, errors.New("EC2 answers the same page again and again")
		}
		input.NextToken = aws.String(next)
	}
}

// tell logs the beginning and the end of a time without notices, not each call.
func (a *Adapter) tell(err error) {
	class := messages.FailureClass("")
	if err != nil {
		class = failureOf(err).Class
	}
	before, _ := a.noticeTrouble.Swap(class).(messages.FailureClass)
	switch {
	case class == before:
	case err == nil:
		a.log.Info().Msg("spot requests can be read again: interruptions are seen ahead of time")
	default:
		cure := "they are read again with the next listing"
		if class == messages.ClassUnauthorized {
			cure = "grant ec2:DescribeSpotInstanceRequests; ebb iam-policy prints the policy"
		}
		a.log.Warn().Str("class", string(class)).Str("error", failureOf(err).Error()).Str("cure", cure).
			Msg("spot requests cannot be read: spot interruptions are known from the instances' own notices only")
	}
}
