//go:build real

package ec2_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

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

	endpoint := startMoto(t)
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

// startMoto starts a moto server on a free port of the loopback interface. It
// ends with the test.
func startMoto(t *testing.T) string {
	t.Helper()

	venv := os.Getenv("EBB_REAL_VENV")
	if venv == "" {
		t.Fatal("EBB_REAL_VENV is not set: point it at a Python environment with cmd/internal/contract/requirements.txt (make test-real does)")
	}
	program, err := filepath.Abs(filepath.Join(venv, "bin", "moto_server"))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	var output lockedBuffer
	server := exec.Command(program, "-H", "127.0.0.1", "-p", port)
	server.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "LANG=C.UTF-8", "PYTHONUNBUFFERED=1",
		// As EC2 does, refuse images and types that there are not.
		"MOTO_ENABLE_AMI_VALIDATION=1", "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION=1",
	}
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatalf("start moto: %v; install cmd/internal/contract/requirements.txt into %s", err, venv)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = server.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("moto said:\n%s", output.String())
		}
	})

	endpoint := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"/moto-api/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			return endpoint
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("moto ended: %v\n%s", err, output.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not answer on %s\n%s", endpoint, output.String())
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// lockedBuffer takes the output of a process while it is read.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
