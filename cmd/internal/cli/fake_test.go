package cli_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// region is the EC2 adapter for a fake, and a resource type cpu.
func region(t *testing.T, url, name, key string, userData []byte) *ec2.Adapter {
	t.Helper()
	carrier := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(carrier.CloseIdleConnections)
	client, err := ec2.NewClient(t.Context(), ec2.ClientConfig{
		Region: name, AccessKeyID: key, SecretAccessKey: "any", EndpointURL: url, HTTPClient: carrier,
	})
	if err != nil {
		t.Fatal(err)
	}
	adapter, err := ec2.New(ec2.Config{
		Autoscaler: "prod", Client: client, Log: zerolog.Nop(),
		Resources: map[messages.ResourceName]ec2.Template{"cpu": {AMI: "ami-0123456789abcdef0", UserData: userData}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return adapter
}

// server is the ClearML adapter for a fake.
func server(t *testing.T, url, key, secret string) *clearml.Client {
	t.Helper()
	carrier := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(carrier.CloseIdleConnections)
	client, err := clearml.New(clearml.Config{
		APIServer: url, AccessKey: key, SecretKey: secret, Clock: clock.System(), HTTPClient: carrier,
		Rand: rand.New(rand.NewPCG(1, 1)), Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func cpu(launch messages.LaunchID) messages.LaunchRequest {
	return messages.LaunchRequest{
		Launch: launch, Token: string(launch), Resource: "cpu", Count: 1,
		Offering: messages.Offering{Market: messages.OnDemand, InstanceType: "c5.xlarge"},
	}
}

// TestFakeEC2 launches with the real adapter, in a region of another name.
func TestFakeEC2(t *testing.T) {
	t.Parallel()

	fake := start(t, "fake", "ec2", "--listen", "127.0.0.1:0", "--region", "eu-west-1", "--boot", "1ms", "--access-key", "AKIATEST")
	url := fake.url(t)
	for _, want := range []string{"AWS_ENDPOINT_URL_EC2=" + url, "AWS_ACCESS_KEY_ID=AKIATEST", "eu-west-1d", "endpoint_url"} {
		if !strings.Contains(fake.stdout.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, fake.stdout)
		}
	}
	cloud := region(t, url, "eu-west-1", "AKIATEST", []byte("#!/bin/sh\n"))
	launched, err := cloud.Launch(t.Context(), cpu("first"))
	if err != nil {
		t.Fatal(err)
	}
	if zone := launched[0].Offering.Zone; !strings.HasPrefix(zone, "eu-west-1") {
		t.Errorf("launched in zone %q", zone)
	}
	eventually(t, "the instance runs", func() bool {
		list, err := cloud.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list) == 1 && list[0].State == messages.StateRunning
	})
	_, err = region(t, url, "eu-west-1", "AKIAOTHER", nil).List(t.Context())
	if err == nil || messages.FailureOf(err).Class != messages.ClassUnauthorized {
		t.Errorf("another key: got %v", err)
	}
	fake.end(t)
}

// TestFakeAgents has a fake EC2 run an agent that works for a fake ClearML
// server, with the script that real instances get.
func TestFakeAgents(t *testing.T) {
	t.Parallel()

	fakeml := start(t, "fake", "clearml", "--listen", "127.0.0.1:0", "--queue", "cpu-queue", "--access-key", "AK", "--secret-key", "SK")
	url := fakeml.url(t)
	for _, want := range []string{"CLEARML_API_HOST=" + url, `credentials { access_key: "AK", secret_key: "SK" }`} {
		if !strings.Contains(fakeml.stdout.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, fakeml.stdout)
		}
	}
	ml := server(t, url, "AK", "SK")
	snapshot, err := ml.Observe(t.Context(), messages.ClearMLQuery{Queues: []messages.QueueName{"cpu-queue", "none"}, WorkersPrefix: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Queues) != 1 || len(snapshot.Missing) != 1 || len(snapshot.Workers) != 0 {
		t.Errorf("got %+v", snapshot)
	}
	if _, err := server(t, url, "AK", "wrong").Observe(t.Context(), messages.ClearMLQuery{WorkersPrefix: "p"}); messages.FailureOf(err) == nil || messages.FailureOf(err).Class != messages.ClassUnauthorized {
		t.Errorf("another secret: got %v", err)
	}

	script, err := bootstrap.Render(bootstrap.Spec{
		WorkerPrefix: "p", Resource: "cpu", Queues: []string{"cpu-queue"}, APIServer: url, AccessKey: "AK", SecretKey: "SK",
	})
	if err != nil {
		t.Fatal(err)
	}
	fakeaws := start(t, "fake", "ec2", "--listen", "127.0.0.1:0", "--boot", "1ms", "--install", "1ms", "--agents")
	launched, err := region(t, fakeaws.url(t), "us-east-1", "any", script.UserData).Launch(t.Context(), cpu("first"))
	if err != nil {
		t.Fatal(err)
	}
	want := messages.Worker{Prefix: "p", Resource: "cpu", InstanceType: "c5.xlarge", Instance: launched[0].ID}.ID()
	eventually(t, "the worker is there", func() bool {
		snapshot, err := ml.Observe(t.Context(), messages.ClearMLQuery{Queues: []messages.QueueName{"cpu-queue"}, WorkersPrefix: "p"})
		if err != nil {
			t.Fatal(err)
		}
		return len(snapshot.Workers) == 1 && snapshot.Workers[0].ID == want
	})
}

// TestFakeIMDS asks as an instance would, with and without a spot notice.
func TestFakeIMDS(t *testing.T) {
	t.Parallel()

	quiet := start(t, "fake", "imds", "--listen", "localhost:0", "--instance-id", "i-0aaaaaaaaaaaaaaaa", "--instance-type", "p3.2xlarge", "--zone", "eu-west-1b").url(t)
	for path, want := range map[string]string{
		"instance-id": "i-0aaaaaaaaaaaaaaaa", "instance-type": "p3.2xlarge", "placement/region": "eu-west-1",
		"instance-life-cycle": "on-demand", "spot/instance-action": "404",
	} {
		if got := metadata(t, quiet, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	doomed := start(t, "fake", "imds", "--listen", "127.0.0.1:0", "--spot-notice-after", "0s").url(t)
	if got := metadata(t, doomed, "spot/instance-action"); !strings.HasPrefix(got, `{"action": "terminate", "time": "`) {
		t.Errorf("spot notice: got %q", got)
	}
	later := start(t, "fake", "imds", "--listen", "127.0.0.1:0", "--spot-notice-after", "1h").url(t)
	if got := metadata(t, later, "spot/instance-action"); got != "404" {
		t.Errorf("spot notice an hour early: %q", got)
	}
}

// metadata reads one path by IMDSv2, or answers the status when it is not 200.
func metadata(t *testing.T, url, path string) string {
	t.Helper()
	carrier := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	ask := func(method, url, header, value string) string {
		request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(header, value)
		response, err := carrier.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			return response.Status[:3]
		}
		return string(body)
	}
	token := ask(http.MethodPut, url+"/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	return ask(http.MethodGet, url+"/latest/meta-data/"+path, "X-aws-ec2-metadata-token", token)
}

// TestFakeAddressTaken names the address.
func TestFakeAddressTaken(t *testing.T) {
	t.Parallel()

	url := start(t, "fake", "clearml", "--listen", "127.0.0.1:0").url(t)
	address := strings.TrimPrefix(url, "http://")
	code, stdout, stderr := ebb(t.Context(), "fake", "ec2", "--listen", address)
	if code != 1 || stdout != "" || !strings.Contains(stderr, address) {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
}
