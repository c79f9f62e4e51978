package ec2fake_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

func spec(apiHost string) bootstrap.Spec {
	return bootstrap.Spec{
		WorkerPrefix: "dyn", Resource: "gpu", InstanceType: "g4dn.xlarge", Queues: []string{"urgent gpu", "it's", "default"},
		APIServer: apiHost, WebServer: "http://127.0.0.1:8080", FilesServer: "http://127.0.0.1:8081", AccessKey: "AK", SecretKey: "S'K$",
	}
}

// TestScriptIsRead renders bootstrap scripts and reads them as the world does.
func TestScriptIsRead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bootstrap.Spec){
		"plain":     func(*bootstrap.Spec) {},
		"late type": func(s *bootstrap.Spec) { s.InstanceType = "" },
		"awkward":   func(s *bootstrap.Spec) { s.InitScript = "EBB_QUEUES='no'\nCLEARML_API_HOST=$(x)\necho 'it'\n" },
		"large": func(s *bootstrap.Spec) {
			for n := range 2000 {
				s.InitScript += fmt.Sprintf("echo %d\n", n)
			}
		},
	} {
		s := spec("http://127.0.0.1:8008")
		change(&s)
		script, err := bootstrap.Render(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := fake.Boot{
			WorkerName: strings.TrimSuffix("dyn:gpu:"+s.InstanceType, ":"), Queues: s.Queues, APIHost: s.APIServer, WebHost: s.WebServer,
			FilesHost: s.FilesServer, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
		}
		got, err := fake.ReadUserData(script.UserData)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// serve puts a handler on a port of its own until the test ends.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- fake.Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// TestWorldOverSockets: the SDK launches two instances at a hundred times the
// speed; their agents run three tasks of a ClearML server and the instances end.
func TestWorldOverSockets(t *testing.T) {
	t.Parallel()
	fast := clock.Scaled(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), 100)
	ml, err := fakeclearml.New(fakeclearml.Config{Clock: fast, Seed: 1, Keys: map[string]string{"AK": "S'K$"}})
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := fakeec2.New(fakeec2.Config{Clock: fast, Rand: rand.New(rand.NewPCG(1, 1)), Timing: fakeec2.DefaultTiming()})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	world, err := fake.NewWorld(t.Context(), fake.WorldConfig{
		Clock: fast, EC2: cloud, Install: fakeec2.Dist{Median: 5 * time.Second}, Client: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	ec2URL, mlURL := serve(t, cloud.Handler()), serve(t, ml.Handler())
	t.Cleanup(world.Close)
	var tasks []string
	for n, queue := range []string{"default", "urgent gpu", "it's"} {
		task, err := ml.CreateTask(fakeclearml.TaskSpec{Name: fmt.Sprint("task ", n), Type: "training", Runtime: map[string]any{"ebb_duration_s": 20}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ml.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: task}, QueueName: queue}); err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	script, err := bootstrap.Render(spec(mlURL))
	if err != nil {
		t.Fatal(err)
	}
	client := ec2.New(ec2.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(ec2URL), HTTPClient: &http.Client{Transport: plainBody{transport}},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), Retryer: aws.NopRetryer{},
	})
	out, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0e3a1b2c3d4e5f601"), InstanceType: types.InstanceTypeG4dnXlarge, MinCount: aws.Int32(2), MaxCount: aws.Int32(2),
		UserData: aws.String(base64.StdEncoding.EncodeToString(script.UserData)), InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "all tasks complete", func() bool {
		for _, task := range tasks {
			if ml.TaskStatus(task) != "completed" {
				return false
			}
		}
		return true
	})
	for _, i := range out.Instances {
		work, ok := world.Workload(*i.InstanceId)
		if !ok {
			t.Fatalf("nothing runs on %s", *i.InstanceId)
		}
		work.Stop()
	}
	until(t, "all instances end", func() bool {
		out, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
			Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"terminated"}}},
		})
		return err == nil && len(out.Reservations) == 1 && len(out.Reservations[0].Instances) == 2
	})
	if list, err := ml.Workers(fakeclearml.WorkerFilter{}); err != nil || len(list) != 0 {
		t.Errorf("workers are %v, %v", list, err)
	}
}

// plainBody hides the WriteTo of the SDK's request bodies, which together with
// net/http cuts off answers that come within microseconds (smithy-go 1.28).
type plainBody struct{ http.RoundTripper }

func (p plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return p.RoundTripper.RoundTrip(r)
	}
	plain := *r
	plain.Body = struct{ io.ReadCloser }{r.Body}
	return p.RoundTripper.RoundTrip(&plain)
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after two minutes: not %s", what)
		}
	}
}
