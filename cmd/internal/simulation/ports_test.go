package simulation

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

// host is a process without a program, to call its ports by hand.
type host struct {
	t       *testing.T
	world   *World
	process *process
	ports   ports
}

func newHost(t *testing.T, wire bool) *host {
	t.Helper()
	w, err := New(5, Options{
		Queues: []Queue{{Name: "default", Resources: []string{"A", "S"}}}, Wire: wire, InOrder: true, Unsupervised: true,
		Resources: []Resource{{Name: "A", Max: 4}, {Name: "S", Max: 4, Market: messages.Spot}},
		Network:   fakeec2.Dist{Median: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.Kill()
	h := &host{t: t, world: w, process: &process{world: w, holder: "by hand", routines: map[*routine]bool{}}}
	if h.ports, err = w.ports(h.process); err != nil {
		t.Fatal(err)
	}
	return h
}

// call makes one call and waits for its end.
func (h *host) call(f func(context.Context) (any, error)) (answer any, err error) {
	h.t.Helper()
	over := false
	h.process.Go(2*time.Minute, func(ctx context.Context) {
		answer, err = f(ctx)
		over = true
	})
	for range 300 {
		h.world.Advance(time.Second)
		if over {
			return answer, err
		}
	}
	h.t.Fatal("the call did not end within five minutes")
	return nil, nil
}

func (h *host) launch(ctx context.Context, token string, offering messages.Offering) (any, error) {
	resource := messages.ResourceName("A")
	if offering.Market == messages.Spot {
		resource = "S"
	}
	return h.ports.ec2.Launch(ctx, messages.LaunchRequest{Launch: messages.LaunchID(token), Token: token, Resource: resource, Offering: offering, Count: 1})
}

func (h *host) observe(ctx context.Context) (any, error) {
	return h.ports.clearML.Observe(ctx, messages.ClearMLQuery{Queues: []messages.QueueName{"default", "none"}, WorkersPrefix: workersPrefix})
}

func anywhere() messages.Offering {
	return messages.Offering{Market: messages.OnDemand, InstanceType: "g4dn.xlarge"}
}

// trouble is a failure of a server or of the network, and a call that meets it.
type trouble struct {
	name  string
	begin func(h *host) error
	call  func(h *host, ctx context.Context) (any, error)
}

func troubles() []trouble {
	launch := func(h *host, ctx context.Context) (any, error) { return h.launch(ctx, "token-1", anywhere()) }
	list := func(h *host, ctx context.Context) (any, error) { return h.ports.ec2.List(ctx) }
	observe := func(h *host, ctx context.Context) (any, error) { return h.observe(ctx) }
	activity := func(h *host, ctx context.Context) (any, error) {
		return h.ports.clearML.Activity(ctx, h.world.Now().Add(-time.Hour), []messages.WorkerID{"ebb:A:g4dn.xlarge:i-1"})
	}
	inject := func(f fakeec2.Fault) func(*host) error {
		return func(h *host) error { return h.world.cloud.Inject(f) }
	}
	list1 := []trouble{
		{"nothing/launch", nil, launch},
		{"nothing/list", nil, list},
		{"nothing/observe", nil, observe},
		{"nothing/activity", nil, activity},
		{"ec2 is down/launch", func(h *host) error { return h.world.Outage("ec2", true) }, launch},
		{"ec2 is down/list", func(h *host) error { return h.world.Outage("ec2", true) }, list},
		{"clearml is down/observe", func(h *host) error { return h.world.Outage("polling", true) }, observe},
		{"clearml is down/activity", func(h *host) error { return h.world.Outage("polling", true) }, activity},
		{"all is lost/launch", func(h *host) error { h.world.Loss(1); return nil }, launch},
		{"all is lost/list", func(h *host) error { h.world.Loss(1); return nil }, list},
		{"denied/launch", func(h *host) error { h.world.cloud.SetDenied("RunInstances"); return nil }, launch},
		{"denied/list", func(h *host) error { h.world.cloud.SetDenied("DescribeInstances"); return nil }, list},
		{"unknown zone/launch", nil, func(h *host, ctx context.Context) (any, error) {
			return h.launch(ctx, "token-1", messages.Offering{Market: messages.OnDemand, InstanceType: "g4dn.xlarge", Zone: "mars-1a"})
		}},
		{"unknown type/launch", nil, func(h *host, ctx context.Context) (any, error) {
			return h.launch(ctx, "token-1", messages.Offering{Market: messages.OnDemand, InstanceType: "x9.huge"})
		}},
		{"same token/launch", nil, func(h *host, ctx context.Context) (any, error) {
			if _, err := h.launch(ctx, "token-1", anywhere()); err != nil {
				return nil, err
			}
			return h.launch(ctx, "token-1", messages.Offering{Market: messages.Spot, InstanceType: "g4dn.xlarge"})
		}},
		{"unknown instance/terminate", nil, func(h *host, ctx context.Context) (any, error) {
			return h.ports.ec2.Terminate(ctx, []messages.InstanceID{"i-0123456789abcdef0"})
		}},
		{"unknown instance/console", nil, func(h *host, ctx context.Context) (any, error) {
			return h.ports.ec2.Console(ctx, "i-0123456789abcdef0")
		}},
	}
	for _, code := range []string{
		"InsufficientInstanceCapacity", "RequestLimitExceeded", "InternalError", "VcpuLimitExceeded", "Unsupported",
		"InsufficientFreeAddressesInSubnet", "Unavailable", "SomethingNew",
	} {
		list1 = append(list1,
			trouble{code + "/launch", inject(fakeec2.Fault{Action: "RunInstances", Kind: fakeec2.FaultErrorBefore, Code: code}), launch},
			trouble{code + "/list", inject(fakeec2.Fault{Action: "DescribeInstances", Kind: fakeec2.FaultErrorBefore, Code: code}), list})
	}
	for _, kind := range []fakeec2.FaultKind{
		fakeec2.FaultDropBefore, fakeec2.FaultDropAfter, fakeec2.FaultTimeoutAfter, fakeec2.FaultHTTP500,
	} {
		list1 = append(list1, trouble{string(kind) + "/launch", inject(fakeec2.Fault{Action: "RunInstances", Kind: kind}), launch})
	}
	return list1
}

// TestPortsAgree makes the same calls with the same troubles in process and over
// the adapters' HTTP: the answers and the classes of the failures are the same.
func TestPortsAgree(t *testing.T) {
	t.Parallel()
	for _, c := range troubles() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var told [2]string
			for n, wire := range []bool{false, true} {
				h := newHost(t, wire)
				if c.begin != nil {
					if err := c.begin(h); err != nil {
						t.Fatal(err)
					}
				}
				answer, err := h.call(func(ctx context.Context) (any, error) { return c.call(h, ctx) })
				told[n] = outcome(answer, err)
			}
			if told[0] != told[1] {
				t.Errorf("in process: %s\nover HTTP:  %s", told[0], told[1])
			}
		})
	}
}

// outcome is an answer in words without what time gives it, or the class and the
// code of a failure.
func outcome(answer any, err error) string {
	if err != nil {
		failure := messages.FailureOf(err)
		return fmt.Sprintf("%s, code %q", failure.Class, failure.Code)
	}
	switch v := answer.(type) {
	case []messages.Instance:
		for i := range v {
			v[i].LaunchedAt = time.Time{}
		}
	case messages.ClearMLSnapshot:
		v.At, v.ServerNow = time.Time{}, time.Time{}
		answer = v
	}
	return fmt.Sprintf("%+v", answer)
}

// TestReadingsAgree compares what both ways read of a world that lives: at any
// moment they tell the same about queues, workers, tasks and instances.
func TestReadingsAgree(t *testing.T) {
	t.Parallel()
	w, err := New(3, Options{
		Queues:    []Queue{{Name: "default", Resources: []string{"A", "S"}}},
		Resources: []Resource{{Name: "A", Max: 2}, {Name: "S", Max: 2, Market: messages.Spot}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	h := &host{t: t, world: w, process: &process{world: w, holder: "by hand", routines: map[*routine]bool{}}}
	direct, err := w.ports(h.process)
	if err != nil {
		t.Fatal(err)
	}
	w.options.Wire = true
	wired, err := w.ports(h.process)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Enqueue("default", 6, 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	queue, _ := w.ml.QueueByName("default")
	if err := w.ml.SetMetadata(queue.ID, fakeclearml.MetadataItem{Key: "ebb.drain.i-1", Type: "str", Value: "1 1 drain"}); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for range 40 {
		w.Advance(17 * time.Second)
		for _, diff := range h.compare(direct, wired) {
			t.Error(diff)
		}
		compared++
	}
	if w.Finished() == 0 || compared == 0 {
		t.Errorf("%d tasks finished, %d readings compared: nothing was shown", w.Finished(), compared)
	}
}

// compare reads the world both ways while nothing moves: the answers do not
// depend on when exactly they were given.
func (h *host) compare(direct, wired ports) (differences []string) {
	var workers []messages.WorkerID
	for _, i := range h.world.laws.order {
		workers = append(workers, messages.WorkerID("ebb:"+i.resource+":g4dn.xlarge:"+i.id))
	}
	since := h.world.Now().Add(-2 * time.Minute)
	questions := map[string]func(p ports, ctx context.Context) (any, error){
		"observe": func(p ports, ctx context.Context) (any, error) {
			s, err := p.clearML.Observe(ctx, messages.ClearMLQuery{Queues: []messages.QueueName{"default"}, WorkersPrefix: workersPrefix})
			s.At, s.ServerNow = time.Time{}, time.Time{}
			return s, err
		},
		"activity": func(p ports, ctx context.Context) (any, error) { return p.clearML.Activity(ctx, since, workers) },
		"unfinished": func(p ports, ctx context.Context) (any, error) {
			states, err := p.clearML.Unfinished(ctx)
			byID := map[messages.TaskID]messages.TaskState{}
			for _, state := range states {
				byID[state.ID] = state
			}
			return byID, err
		},
		"list": func(p ports, ctx context.Context) (any, error) { return p.ec2.List(ctx) },
	}
	latency := h.world.options.Network
	defer func() { h.world.options.Network = latency }()
	h.world.options.Network = fakeec2.Dist{Median: 1} // a nanosecond: nothing else happens meanwhile
	for what, ask := range questions {
		var answers [2]any
		for n, p := range []ports{direct, wired} {
			var err error
			over := false
			h.process.Go(time.Minute, func(ctx context.Context) {
				answers[n], err = ask(p, ctx)
				over = true
			})
			h.world.Advance(time.Microsecond)
			if err != nil || !over {
				return append(differences, fmt.Sprintf("%s: over %t, error %v", what, over, err))
			}
		}
		if !reflect.DeepEqual(answers[0], answers[1]) && fmt.Sprintf("%+v", answers[0]) != fmt.Sprintf("%+v", answers[1]) {
			differences = append(differences, strings.Join([]string{what, fmt.Sprintf("in process: %+v", answers[0]), fmt.Sprintf("over HTTP:  %+v", answers[1])}, "\n"))
		}
	}
	return differences
}
