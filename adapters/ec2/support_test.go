package ec2_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()

	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (go test -update rewrites it):\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// server is an EC2 endpoint that answers with handle and keeps the forms it was
// sent.
type server struct {
	*httptest.Server

	mu    sync.Mutex
	forms []url.Values
}

func newServer(t *testing.T, handle http.HandlerFunc) *server {
	t.Helper()

	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Errorf("request body: %v", err)
		}
		s.mu.Lock()
		s.forms = append(s.forms, form)
		s.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// sent is what the server got, one text per call.
func (s *server) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for _, form := range s.forms {
		var lines []string
		for key, values := range form {
			lines = append(lines, key+"="+strings.Join(values, " | "))
		}
		slices.Sort(lines)
		texts = append(texts, strings.Join(lines, "\n")+"\n")
	}
	return texts
}

// answer is a handler with one answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refusal is an error in EC2's form.
func refusal(code, message string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>req-1</RequestID></Response>`, code, message)
}

const (
	accessKey = "AKIDEXAMPLE"
	secretKey = "wJalrSECRETEXAMPLE"
)

// client is an SDK client for the endpoint, as production makes it.
func client(t *testing.T, endpoint string) *awsec2.Client {
	t.Helper()

	c, err := ec2.NewClient(t.Context(), ec2.ClientConfig{
		Region: "us-east-1", AccessKeyID: accessKey, SecretAccessKey: secretKey, EndpointURL: endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// adapter is the autoscaler "prod" with the given template as resource "gpu".
func adapter(t *testing.T, api ec2.API, template ec2.Template) *ec2.Adapter {
	t.Helper()

	a, err := ec2.New(ec2.Config{
		Autoscaler: "prod", Client: api, Log: zerolog.Nop(),
		Resources: map[messages.ResourceName]ec2.Template{"gpu": template},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request() messages.LaunchRequest {
	return messages.LaunchRequest{
		Launch: "gpu-7", Token: "ebb-gpu-7", Resource: "gpu", Count: 3,
		Offering: messages.Offering{Market: messages.OnDemand, InstanceType: "g5.xlarge", Zone: "us-east-1a", Subnet: "subnet-0a"},
	}
}

// failure is the failure that an error carries.
func failure(t *testing.T, err error) messages.Failure {
	t.Helper()

	var f *messages.Failure
	if !errors.As(err, &f) {
		t.Fatalf("error %v carries no failure", err)
	}
	return *f
}

// stub is an API made of functions; the missing ones may not be called.
type stub struct {
	ec2.API

	terminate func(*awsec2.TerminateInstancesInput) (*awsec2.TerminateInstancesOutput, error)
	describe  func(*awsec2.DescribeInstancesInput) (*awsec2.DescribeInstancesOutput, error)
	console   func(*awsec2.GetConsoleOutputInput) (*awsec2.GetConsoleOutputOutput, error)
	run       func(*awsec2.RunInstancesInput) (*awsec2.RunInstancesOutput, error)
	spots     func(*awsec2.DescribeSpotInstanceRequestsInput) (*awsec2.DescribeSpotInstanceRequestsOutput, error)
}

func (s stub) TerminateInstances(_ context.Context, in *awsec2.TerminateInstancesInput, _ ...func(*awsec2.Options)) (*awsec2.TerminateInstancesOutput, error) {
	return s.terminate(in)
}

func (s stub) DescribeInstances(_ context.Context, in *awsec2.DescribeInstancesInput, _ ...func(*awsec2.Options)) (*awsec2.DescribeInstancesOutput, error) {
	return s.describe(in)
}

func (s stub) GetConsoleOutput(_ context.Context, in *awsec2.GetConsoleOutputInput, _ ...func(*awsec2.Options)) (*awsec2.GetConsoleOutputOutput, error) {
	return s.console(in)
}

func (s stub) DescribeSpotInstanceRequests(_ context.Context, in *awsec2.DescribeSpotInstanceRequestsInput, _ ...func(*awsec2.Options)) (*awsec2.DescribeSpotInstanceRequestsOutput, error) {
	return s.spots(in)
}

func (s stub) RunInstances(_ context.Context, in *awsec2.RunInstancesInput, _ ...func(*awsec2.Options)) (*awsec2.RunInstancesOutput, error) {
	return s.run(in)
}
