//go:build real

package ec2_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/cmd/internal/contract/motoserver"
	"github.com/ebbscale/ebb/messages"
)

// motoDifferences is what moto does otherwise than EC2.
func motoDifferences() map[string]difference {
	return map[string]difference{
		"launch: one call gives as many as asked": {
			"moto launches MinCount and takes no notice of MaxCount", "answered 1 and listed 1",
		},
		"launch: network interfaces have every tag": {
			"moto tags instances and volumes only", "tags of eni-",
		},
		"launch: no such key pair": {
			"moto does not look for the key pair", "it was launched",
		},
		"launch: the same request launches once": {
			"moto echoes ClientToken and takes no notice of it", "with one token",
		},
		"launch: the same token with another type is a mismatch": {
			"moto echoes ClientToken and takes no notice of it", "no error, want class token_mismatch",
		},
		"launch: the token of terminated instances is spent": {
			"moto echoes ClientToken and takes no notice of it", "no error, want class token_spent",
		},
		"terminate: a malformed id fails and spares nobody": {
			"moto knows no malformed ids, only unknown ones", "Gone:[i-NoSuchThing]",
		},
	}
}

func TestMoto(t *testing.T) {
	t.Parallel()

	endpoint := motoserver.Start(t)
	template := motoWorld(t, endpoint)
	var worlds atomic.Int32
	t.Run("suite", func(t *testing.T) {
		t.Parallel()

		Suite(t, func(*testing.T) *world {
			// One server for all: each world is an autoscaler of its own.
			w := *template
			w.name = messages.AutoscalerName(fmt.Sprintf("world-%d", worlds.Add(1)))
			return &w
		}, motoDifferences())
	})
}

// oneByOne sends one request at a time: moto serves each in a thread of its own,
// and two launches into one subnet at once make it fail (a Python generator that
// is already executing).
type oneByOne struct{ mu sync.Mutex }

func (o *oneByOne) Do(request *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return http.DefaultClient.Do(request)
}

// motoWorld finds or makes in the region what a world needs.
func motoWorld(t *testing.T, endpoint string) *world {
	t.Helper()

	w := &world{client: clientOver(t, endpoint, &oneByOne{}), settle: func() {}}
	w.userData = func(ctx context.Context, id string) (string, error) {
		answer, err := w.client.DescribeInstanceAttribute(ctx, &awsec2.DescribeInstanceAttributeInput{
			InstanceId: aws.String(id), Attribute: types.InstanceAttributeNameUserData,
		})
		if err != nil {
			return "", err
		}
		text, err := base64.StdEncoding.DecodeString(aws.ToString(answer.UserData.Value))
		return string(text), err
	}
	images, err := w.client.DescribeImages(t.Context(), &awsec2.DescribeImagesInput{})
	if err != nil || len(images.Images) == 0 {
		t.Fatalf("no image: %v", err)
	}
	w.ami = *images.Images[0].ImageId
	if _, err := w.client.CreateKeyPair(t.Context(), &awsec2.CreateKeyPairInput{KeyName: aws.String("ops")}); err != nil {
		t.Fatal(err)
	}
	w.key = "ops"
	groups, err := w.client.DescribeSecurityGroups(t.Context(), &awsec2.DescribeSecurityGroupsInput{})
	if err != nil || len(groups.SecurityGroups) == 0 {
		t.Fatalf("no security group: %v", err)
	}
	w.group = *groups.SecurityGroups[0].GroupId
	subnets, err := w.client.DescribeSubnets(t.Context(), &awsec2.DescribeSubnetsInput{})
	if err != nil || len(subnets.Subnets) < 2 {
		t.Fatalf("fewer than two subnets: %v", err)
	}
	for _, subnet := range subnets.Subnets {
		w.zones, w.subnets = append(w.zones, *subnet.AvailabilityZone), append(w.subnets, *subnet.SubnetId)
	}
	return w
}
