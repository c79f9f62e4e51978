package fakeec2_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
)

const (
	ami     = "ami-0e3a1b2c3d4e5f601"
	subnetA = "subnet-0f0000000000000aa"
	subnetB = "subnet-0f0000000000000ab"
)

// exact is a timing without draws: 10 s to running, 20 s to terminated.
func exact() fakeec2.Timing {
	return fakeec2.Timing{
		Pending:      fakeec2.Dist{Median: 10 * time.Second},
		ShuttingDown: fakeec2.Dist{Median: 20 * time.Second},
		Stopping:     fakeec2.Dist{Median: 20 * time.Second},
		StatusChecks: fakeec2.Dist{Median: 60 * time.Second},
	}
}

type region struct {
	*fakeec2.Cloud
	clock  *virtual.Clock
	server *httptest.Server
	client *ec2.Client
}

// newRegion starts a region with a server and an SDK client that does not retry.
func newRegion(t *testing.T, change func(*fakeec2.Config)) *region {
	t.Helper()
	clock := virtual.New(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	cfg := fakeec2.Config{Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Timing: exact()}
	if change != nil {
		change(&cfg)
	}
	cloud, err := fakeec2.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		cloud.Close()
	})
	return &region{cloud, clock, server, clientFor(server, "AKIDEXAMPLE")}
}

func clientFor(server *httptest.Server, key string) *ec2.Client {
	return ec2.New(ec2.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), HTTPClient: &http.Client{Transport: plainBody{server.Client().Transport}},
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""), Retryer: aws.NopRetryer{},
	})
}

// plainBody hides the WriteTo of the SDK's request bodies. smithy-go 1.28 closes
// a body once the answer begins, and WriteTo of a closed one is io.EOF, which
// net/http takes for a failed write and closes the connection: against a server
// that answers within microseconds, answers of several reads are then cut off.
type plainBody struct{ http.RoundTripper }

func (p plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return p.RoundTripper.RoundTrip(r)
	}
	plain := *r
	plain.Body = struct{ io.ReadCloser }{r.Body}
	return p.RoundTripper.RoundTrip(&plain)
}

func runInput(least, most int32) *ec2.RunInstancesInput {
	return &ec2.RunInstancesInput{
		ImageId: aws.String(ami), InstanceType: types.InstanceTypeG4dnXlarge, MinCount: aws.Int32(least), MaxCount: aws.Int32(most),
		SubnetId: aws.String(subnetA), UserData: aws.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))),
	}
}

// run launches n instances and returns their ids.
func (r *region) run(t *testing.T, n int32, change func(*ec2.RunInstancesInput)) []string {
	t.Helper()
	in := runInput(n, n)
	if change != nil {
		change(in)
	}
	out, err := r.client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatalf("run instances: %v", err)
	}
	return ids(out.Instances)
}

func ids(list []types.Instance) []string {
	var out []string
	for _, i := range list {
		out = append(out, aws.ToString(i.InstanceId))
	}
	return out
}

func (r *region) describe(t *testing.T, in *ec2.DescribeInstancesInput) []types.Instance {
	t.Helper()
	out, err := r.client.DescribeInstances(t.Context(), in)
	if err != nil {
		t.Fatalf("describe instances: %v", err)
	}
	var list []types.Instance
	for _, res := range out.Reservations {
		list = append(list, res.Instances...)
	}
	return list
}

// wantError checks the code and the HTTP status of an API error.
func wantError(t *testing.T, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("error is %v, want API error %s", err, code)
	}
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) || api.ErrorCode() != code || resp.HTTPStatusCode() != status {
		t.Fatalf("error is %v, want %s with status %d", err, code, status)
	}
}

func wantNone(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deadline is a context whose deadline comes when it is told.
type deadline struct {
	context.Context
	over chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.over }

func (d deadline) Err() error {
	select {
	case <-d.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// untilStruck is a deadline that comes once the region has used up its faults and
// launched so many instances, however long a slow machine takes for that.
func (r *region) untilStruck(t *testing.T, launched int) context.Context {
	t.Helper()
	d := deadline{t.Context(), make(chan struct{})}
	go func() {
		defer close(d.over)
		for (len(r.Faults()) > 0 || len(r.Instances()) < launched) && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	return d
}
