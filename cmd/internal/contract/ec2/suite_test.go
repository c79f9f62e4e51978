package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

var _ actors.EC2 = (*ec2.Adapter)(nil)

const (
	region    = "us-east-1"
	accessKey = "AKIDCONTRACT"
	secretKey = "contract-secret"
	userData  = "#!/bin/sh\necho contract\n"
	home      = "team vision"
)

// world is a server that speaks the EC2 API, with what can be launched there.
type world struct {
	client  *awsec2.Client
	name    messages.AutoscalerName
	ami     string
	key     string
	group   string
	zones   []string
	subnets []string // one per zone, in the same order
	// userData is what the guest of an instance reads at boot.
	userData func(ctx context.Context, id string) (string, error)
	// settle lets enough time pass for everything to become visible.
	settle func()
}

// check is one clause of the contract. It says what is wrong, or nil.
type check struct {
	name string
	run  func(context.Context, *world) error
}

// difference is what a server is known to do otherwise than EC2.
type difference struct {
	reason string
	// shows is part of what the check then says.
	shows string
}

// Suite runs all checks, each in a world of its own. A check in differences
// must fail, in the way that is written there.
func Suite(t *testing.T, newWorld func(*testing.T) *world, differences map[string]difference) {
	t.Helper()

	all := checks()
	for name := range differences {
		if !containsCheck(all, name) {
			t.Errorf("a difference is listed for %q, and there is no such check", name)
		}
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			err := c.run(t.Context(), newWorld(t))
			known, listed := differences[c.name]
			switch {
			case !listed && err != nil:
				t.Error(err)
			case listed && err == nil:
				t.Errorf("this works now: take it out of the differences (it was: %s)", known.reason)
			case listed && !strings.Contains(err.Error(), known.shows):
				t.Errorf("got %v, want the known difference %q (%s)", err, known.shows, known.reason)
			}
		})
	}
}

func containsCheck(all []check, name string) bool {
	for _, c := range all {
		if c.name == name {
			return true
		}
	}
	return false
}

func checks() []check {
	return append(launchChecks(), append(terminateChecks(), listChecks()...)...)
}

// adapter is the autoscaler of the world, or another one, with resource gpu.
func (w *world) adapter(name messages.AutoscalerName, api ec2.API) (*ec2.Adapter, error) {
	template := ec2.Template{
		AMI: w.ami, KeyPair: w.key, SecurityGroups: []string{w.group}, Tags: map[string]string{"team": "vision"},
		UserData: []byte(userData), Home: home, DockerMode: true, Monitoring: true,
		Volumes: []ec2.Volume{{Device: "/dev/sda1", SizeGB: 100, Type: "gp3"}},
	}
	return ec2.New(ec2.Config{
		Autoscaler: name, Client: api, Log: zerolog.Nop(),
		Resources: map[messages.ResourceName]ec2.Template{"gpu": template},
	})
}

// launch launches on-demand instances of the resource in the first subnet, a
// call for each id.
func (w *world) launch(ctx context.Context, a *ec2.Adapter, resource messages.ResourceName, ids ...string) ([]messages.Instance, error) {
	var all []messages.Instance
	for _, id := range ids {
		launched, err := a.Launch(ctx, w.request(id, resource, 1))
		if err != nil {
			return nil, err
		}
		if len(launched) != 1 {
			return nil, fmt.Errorf("launched %d instances, want 1", len(launched))
		}
		all = append(all, launched[0])
	}
	w.settle()
	return all, nil
}

func (w *world) request(id string, resource messages.ResourceName, count int) messages.LaunchRequest {
	return messages.LaunchRequest{
		Launch: messages.LaunchID(id), Token: string(w.name) + "-" + id, Resource: resource, Count: count,
		Offering: messages.Offering{Market: messages.OnDemand, InstanceType: "m5.large", Zone: w.zones[0], Subnet: w.subnets[0]},
	}
}

// find is the listing by id.
func find(ctx context.Context, a *ec2.Adapter) (map[messages.InstanceID]messages.Instance, error) {
	list, err := a.List(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[messages.InstanceID]messages.Instance, len(list))
	for _, instance := range list {
		byID[instance.ID] = instance
	}
	if len(byID) != len(list) {
		return nil, fmt.Errorf("%d instances have %d ids", len(list), len(byID))
	}
	return byID, nil
}

// wantClass says what is wrong unless err carries a failure of that class.
func wantClass(err error, want messages.FailureClass) error {
	if err == nil {
		return fmt.Errorf("no error, want class %s", want)
	}
	var failure *messages.Failure
	if !errors.As(err, &failure) {
		return fmt.Errorf("the error carries no failure: %w", err)
	}
	if failure.Class != want {
		return fmt.Errorf("class %s, want %s: %w", failure.Class, want, err)
	}
	return nil
}

// client is an SDK client for the server, made as production makes it.
func client(t *testing.T, endpoint string) *awsec2.Client {
	t.Helper()

	return clientOver(t, endpoint, nil)
}

// clientOver is that client over an HTTP client of the test; nil for production's.
func clientOver(t *testing.T, endpoint string, over aws.HTTPClient) *awsec2.Client {
	t.Helper()

	c, err := ec2.NewClient(t.Context(), ec2.ClientConfig{
		Region: region, AccessKeyID: accessKey, SecretAccessKey: secretKey, EndpointURL: endpoint, HTTPClient: over,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
