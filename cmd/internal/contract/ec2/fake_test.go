package ec2_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
	"github.com/ebbscale/ebb/messages"
)

// fakeWorld is a fake region of its own behind HTTP.
func fakeWorld(t *testing.T, timing fakeec2.Timing) (*world, *fakeec2.Cloud) {
	t.Helper()

	clock := virtual.New(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
	cloud, err := fakeec2.New(fakeec2.Config{Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Timing: timing})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	offers := cloud.Catalog()
	w := &world{
		client: client(t, server.URL), name: "prod",
		ami: offers.Images[0].ID, key: offers.KeyPairs[0], group: offers.SecurityGroups[1].ID,
		userData: func(_ context.Context, id string) (string, error) {
			instance, ok := cloud.Instance(id)
			if !ok {
				return "", fmt.Errorf("no instance %s", id)
			}
			return string(instance.UserData), nil
		},
		settle: func() { clock.Advance(5 * time.Minute) },
	}
	for _, subnet := range offers.Subnets {
		w.zones, w.subnets = append(w.zones, subnet.Zone), append(w.subnets, subnet.ID)
	}
	return w, cloud
}

func TestFake(t *testing.T) {
	t.Parallel()

	for name, timing := range map[string]fakeec2.Timing{"at once": {}, "eventually": fakeec2.DefaultTiming()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			Suite(t, func(t *testing.T) *world {
				t.Helper()
				w, _ := fakeWorld(t, timing)
				return w
			}, nil)
		})
	}
}

// TestFakeRefusals has the region refuse a launch in every way it knows.
func TestFakeRefusals(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		arrange func(*fakeec2.Cloud, *world)
		want    messages.FailureClass
	}{
		"no capacity": {func(c *fakeec2.Cloud, w *world) {
			c.SetCapacity(fakeec2.Offering{Type: "m5.large", Zone: w.zones[0], Market: fakeec2.OnDemand}, 0)
		}, messages.ClassNoCapacity},
		"quota":         {func(c *fakeec2.Cloud, _ *world) { c.SetQuota("Standard", fakeec2.OnDemand, 0) }, messages.ClassQuota},
		"no addresses":  {func(c *fakeec2.Cloud, w *world) { c.SetAddresses(w.subnets[0], 0) }, messages.ClassNoAddresses},
		"denied":        {func(c *fakeec2.Cloud, _ *world) { c.SetDenied("RunInstances") }, messages.ClassUnauthorized},
		"tags denied":   {func(c *fakeec2.Cloud, _ *world) { c.SetDenied("CreateTags") }, messages.ClassUnauthorized},
		"market closed": {inject(fakeec2.Fault{Kind: fakeec2.FaultErrorBefore, Code: "AuthFailure.ServiceLinkedRoleCreationNotPermitted"}), messages.ClassMarketClosed},
		"throttled":     {inject(fakeec2.Fault{Kind: fakeec2.FaultErrorBefore, Code: "RequestLimitExceeded"}), messages.ClassThrottled},
		"500":           {inject(fakeec2.Fault{Kind: fakeec2.FaultHTTP500}), messages.ClassTransient},
		"dropped":       {inject(fakeec2.Fault{Kind: fakeec2.FaultDropBefore}), messages.ClassTransient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, cloud := fakeWorld(t, fakeec2.Timing{})
			c.arrange(cloud, w)
			a, err := w.adapter(w.name, w.client)
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Launch(t.Context(), w.request("gpu-1", "gpu", 1))
			if err := wantClass(err, c.want); err != nil {
				t.Error(err)
			}
			if n := len(cloud.Instances()); n != 0 {
				t.Errorf("%d instances", n)
			}
		})
	}
}

func inject(fault fakeec2.Fault) func(*fakeec2.Cloud, *world) {
	return func(c *fakeec2.Cloud, _ *world) {
		if err := c.Inject(fault); err != nil {
			panic(err)
		}
	}
}

// TestFakeThrottles: with the token buckets on, the burst is let through, and
// the call after it is throttled.
func TestFakeThrottles(t *testing.T) {
	t.Parallel()

	w, cloud := fakeWorld(t, fakeec2.Timing{})
	cloud.SetThrottle(true)
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{"1", "2", "3", "4", "5", "6"} {
		_, err := a.Launch(t.Context(), w.request(id, "gpu", 1))
		if i < 5 && err != nil {
			t.Errorf("launch %s: %v", id, err)
		}
		if i == 5 {
			if err := wantClass(err, messages.ClassThrottled); err != nil {
				t.Error(err)
			}
		}
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

// untilLost is a deadline that comes half a second after so many instances were
// launched, however long a slow machine takes for that.
func untilLost(t *testing.T, cloud *fakeec2.Cloud, launched int) context.Context {
	t.Helper()
	d := deadline{t.Context(), make(chan struct{})}
	go func() {
		for len(cloud.Instances()) < launched && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		time.AfterFunc(500*time.Millisecond, func() { close(d.over) })
	}()
	return d
}

// TestFakeLostAnswers is the reason for ClientToken: EC2 launched, the answer
// was lost, and sending the same request again finds the same instances.
func TestFakeLostAnswers(t *testing.T) {
	t.Parallel()

	for name, fault := range map[string]fakeec2.Fault{
		"dropped":   {Action: "RunInstances", Kind: fakeec2.FaultDropAfter},
		"no answer": {Action: "RunInstances", Kind: fakeec2.FaultTimeoutAfter},
		"error":     {Action: "RunInstances", Kind: fakeec2.FaultErrorAfter, Code: "InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, cloud := fakeWorld(t, fakeec2.Timing{})
			if err := cloud.Inject(fault); err != nil {
				t.Fatal(err)
			}
			a, err := w.adapter(w.name, w.client)
			if err != nil {
				t.Fatal(err)
			}
			request := w.request("gpu-1", "gpu", 3)
			_, err = a.Launch(untilLost(t, cloud, 3), request)
			if err := wantClass(err, messages.ClassTransient); err != nil {
				t.Fatal(err)
			}
			again, err := a.Launch(t.Context(), request)
			if err != nil || len(again) != 3 {
				t.Fatalf("got %v, %v", again, err)
			}
			if n := len(cloud.Instances()); n != 3 {
				t.Errorf("%d instances, want 3", n)
			}
		})
	}
}

// TestFakeBrokenListing: a listing that breaks off on a later page is an error,
// never the part that came.
func TestFakeBrokenListing(t *testing.T) {
	t.Parallel()

	w, cloud := fakeWorld(t, fakeec2.Timing{})
	a, err := w.adapter(w.name, &smallPages{API: w.client})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Launch(t.Context(), w.request("gpu-1", "gpu", 12)); err != nil {
		t.Fatal(err)
	}
	if err := cloud.Inject(fakeec2.Fault{Action: "DescribeInstances", Kind: fakeec2.FaultDropBefore, Page: 3}); err != nil {
		t.Fatal(err)
	}
	list, err := a.List(t.Context())
	if list != nil {
		t.Errorf("listed %d instances", len(list))
	}
	if err := wantClass(err, messages.ClassTransient); err != nil {
		t.Error(err)
	}
	if list, err := a.List(t.Context()); err != nil || len(list) != 12 {
		t.Errorf("afterwards: %d instances, %v", len(list), err)
	}
}

// TestFakeSpotEnd: that EC2 takes an instance back is in the listing from the
// notice on, and why it ended at last.
func TestFakeSpotEnd(t *testing.T) {
	t.Parallel()

	w, cloud := fakeWorld(t, fakeec2.Timing{})
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		t.Fatal(err)
	}
	request := w.request("gpu-1", "gpu", 1)
	request.Offering.Market = messages.Spot
	request.Count = 2
	launched, err := a.Launch(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	if err := cloud.InterruptSpot(string(launched[0].ID), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	listed, err := find(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if got := listed[launched[0].ID]; got.State != messages.StateRunning || got.Notice != messages.NoticeInterruption {
		t.Errorf("with a notice: got %+v", got)
	}
	if got := listed[launched[1].ID]; got.State != messages.StateRunning || got.Notice != "" {
		t.Errorf("without a notice: got %+v", got)
	}
	w.settle()
	if listed, err = find(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if got := listed[launched[0].ID]; got.State != messages.StateTerminated || got.StateReason != "Server.SpotInstanceTermination" {
		t.Errorf("got %+v", got)
	}
}

// TestFakeNoticesDenied: an account that may not read spot requests has its
// listing all the same.
func TestFakeNoticesDenied(t *testing.T) {
	t.Parallel()

	w, cloud := fakeWorld(t, fakeec2.Timing{})
	cloud.SetDenied("DescribeSpotInstanceRequests")
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		t.Fatal(err)
	}
	request := w.request("gpu-1", "gpu", 1)
	request.Offering.Market = messages.Spot
	launched, err := a.Launch(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	if err := cloud.InterruptSpot(string(launched[0].ID), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	listed, err := find(t.Context(), a)
	if got := listed[launched[0].ID]; err != nil || len(listed) != 1 || got.State != messages.StateRunning || got.Notice != "" {
		t.Errorf("got %+v, %v", listed, err)
	}
}

// TestFakeConsole reads back what the guest wrote.
func TestFakeConsole(t *testing.T) {
	t.Parallel()

	w, cloud := fakeWorld(t, fakeec2.Timing{})
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		t.Fatal(err)
	}
	launched, err := w.launch(t.Context(), a, "gpu", "gpu-1")
	if err != nil {
		t.Fatal(err)
	}
	cloud.AppendConsole(string(launched[0].ID), "\x1b[32mcloud-init\x1b[0m: agent started\r\n")
	w.settle()
	if text, err := a.Console(t.Context(), launched[0].ID); err != nil || text != "cloud-init: agent started\n" {
		t.Errorf("got %q, %v", text, err)
	}
}
