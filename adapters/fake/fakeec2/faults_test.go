package fakeec2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
)

// TestFaults injects each fault into a launch and looks whether it happened.
func TestFaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault    fakeec2.Fault
		launched int
		check    func(*testing.T, error)
		hangs    bool // until the caller's deadline
	}{
		"error before": {fakeec2.Fault{Kind: fakeec2.FaultErrorBefore, Code: "Unavailable"}, 0, wantCode("Unavailable", 503), false},
		"error after":  {fakeec2.Fault{Kind: fakeec2.FaultErrorAfter, Code: "InternalError"}, 1, wantCode("InternalError", 500), false},
		"own status":   {fakeec2.Fault{Kind: fakeec2.FaultErrorBefore, Code: "Odd", Status: 418}, 0, wantCode("Odd", 418), false},
		"timeout":      {fakeec2.Fault{Kind: fakeec2.FaultTimeoutAfter}, 1, wantDeadline, true},
		"drop before":  {fakeec2.Fault{Kind: fakeec2.FaultDropBefore}, 0, wantBroken, false},
		"drop after":   {fakeec2.Fault{Kind: fakeec2.FaultDropAfter}, 1, wantBroken, false},
		"http 500":     {fakeec2.Fault{Kind: fakeec2.FaultHTTP500}, 0, wantBroken, false},
		"slow":         {fakeec2.Fault{Kind: fakeec2.FaultSlow, DelaySeconds: 60}, 0, wantDeadline, true},
		"other action": {fakeec2.Fault{Action: "TerminateInstances", Kind: fakeec2.FaultErrorBefore, Code: "X"}, 1, wantNone, false},
		"not yet":      {fakeec2.Fault{Skip: 1, Kind: fakeec2.FaultErrorBefore, Code: "X"}, 1, wantNone, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, nil)
			wantNone(t, r.Inject(c.fault))
			launching := t.Context()
			if c.hangs {
				launching = r.untilStruck(t, c.launched)
			}
			_, err := r.client.RunInstances(launching, runInput(1, 1))
			c.check(t, err)
			if got := len(r.Instances()); got != c.launched {
				t.Errorf("%d instances were launched, want %d", got, c.launched)
			}
			if c.launched == 0 || name == "error after" {
				r.run(t, 1, nil) // it struck once
			}
		})
	}
}

func wantCode(code string, status int) func(*testing.T, error) {
	return func(t *testing.T, err error) {
		t.Helper()
		wantError(t, err, code, status)
	}
}

func wantDeadline(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want the caller's deadline", err)
	}
}

// wantBroken is an error that carries no answer of EC2.
func wantBroken(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want a broken answer", err)
	}
}

// TestSlowAnswer comes when its time on the region's clock has come.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	wantNone(t, r.Inject(fakeec2.Fault{Action: "RunInstances", Kind: fakeec2.FaultSlow, DelaySeconds: 60}))
	done := make(chan error, 1)
	go func() {
		_, err := r.client.RunInstances(context.WithoutCancel(t.Context()), runInput(1, 1))
		done <- err
	}()
	for {
		select {
		case err := <-done:
			wantNone(t, err)
			if waited := r.clock.Now().Sub(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)); waited < time.Minute {
				t.Errorf("it answered after %v", waited)
			}
			return
		case <-time.After(time.Millisecond):
			r.clock.Advance(time.Second)
		}
	}
}

// TestPageFailure breaks the second page only; Omit shortens a listing.
func TestPageFailure(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	r.run(t, 12, nil)
	wantNone(t, r.Inject(fakeec2.Fault{Action: "DescribeInstances", Kind: fakeec2.FaultErrorBefore, Code: "InternalError", Page: 2}))
	pages := ec2.NewDescribeInstancesPaginator(r.client, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)})
	_, err := pages.NextPage(t.Context())
	wantNone(t, err)
	_, err = pages.NextPage(t.Context())
	wantError(t, err, "InternalError", 500)
	_, err = pages.NextPage(t.Context())
	wantNone(t, err)

	wantNone(t, r.Inject(fakeec2.Fault{Action: "DescribeInstances", Kind: fakeec2.FaultOmit, Times: 2}))
	wantNone(t, r.Inject(fakeec2.Fault{Action: "DescribeInstances", Kind: fakeec2.FaultOmit, Fraction: 0.5}))
	var counts []int
	for range 4 {
		counts = append(counts, len(r.describe(t, &ec2.DescribeInstancesInput{})))
	}
	if counts[0] != 0 || counts[1] != 0 || counts[2] == 0 || counts[2] == 12 || counts[3] != 12 {
		t.Errorf("listings had %v instances", counts)
	}
}

func TestFaultsAreChecked(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	for _, f := range []fakeec2.Fault{{Kind: "explode"}, {Kind: fakeec2.FaultErrorAfter}, {Kind: fakeec2.FaultSlow}, {Kind: fakeec2.FaultOmit, Fraction: 2}} {
		if err := r.Inject(f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}

// TestBuckets drains each documented bucket on a virtual clock and refills it.
func TestBuckets(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) { c.Throttle = true })
	id := "i-00000000000000000"
	all, paged := fakeec2.DescribeInstancesInput{}, fakeec2.DescribeInstancesInput{MaxResults: 5}
	cases := []struct {
		name        string
		size, every int // calls at once, then per second
		call        func() error
	}{
		{"RunInstances", 5, 2, func() error {
			_, err := r.RunInstances(fakeec2.RunInstancesInput{ImageID: ami, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1})
			return err
		}},
		{"TerminateInstances", 100, 5, func() error { _, err := r.TerminateInstances([]string{id}, false); return err }},
		{"paged DescribeInstances", 100, 20, func() error { _, err := r.DescribeInstances(paged); return err }},
		{"DescribeInstances", 50, 10, func() error { _, err := r.DescribeInstances(all); return err }},
		{"CreateTags", 100, 10, func() error { return r.CreateTags([]string{id}, nil, false) }},
		{"GetConsoleOutput", 100, 10, func() error { _, _, err := r.GetConsoleOutput(id, false, false); return err }},
		{"CancelSpotInstanceRequests", 50, 5, func() error { _, err := r.CancelSpotInstanceRequests([]string{"sir-00000000"}, false); return err }},
	}
	passed := func(call func() error) (n int) {
		for ; n < 2000; n++ {
			var e *fakeec2.APIError
			if err := call(); errors.As(err, &e) && e.Code == "RequestLimitExceeded" {
				if e.Status != 503 {
					t.Errorf("status is %d", e.Status)
				}
				return n
			}
		}
		return n
	}
	for _, c := range cases {
		if n := passed(c.call); n != c.size {
			t.Errorf("%s: %d calls at once, want %d", c.name, n, c.size)
		}
		r.clock.Advance(2 * time.Second)
		if n := passed(c.call); n != min(2*c.every, c.size) {
			t.Errorf("%s: %d calls after two seconds, want %d", c.name, n, 2*c.every)
		}
	}
	r.SetThrottle(false)
	if n := passed(cases[1].call); n != 2000 {
		t.Errorf("%d calls with throttling off", n)
	}
}

// TestInstanceBucket holds 1000 launches, two more a second, replays are free.
func TestInstanceBucket(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) { c.Throttle = true })
	launch := func(n int, token string) error {
		r.clock.Advance(500 * time.Millisecond) // one request token, one instance token
		_, err := r.RunInstances(fakeec2.RunInstancesInput{ImageID: ami, InstanceType: "t3.micro", MinCount: n, MaxCount: n, ClientToken: token})
		return err
	}
	wantNone(t, launch(1000, "a"))
	var e *fakeec2.APIError
	if err := launch(2, "b"); !errors.As(err, &e) || e.Code != "RequestLimitExceeded" {
		t.Fatalf("the 1002nd instance: %v", err)
	}
	wantNone(t, launch(1000, "a"))
	wantNone(t, launch(3, "b"))
	if got := r.Tokens("RunInstances", false, true); got != 0 {
		t.Errorf("%v tokens are left", got)
	}
	wantNone(t, launch(1000, "a"))
	if got := len(r.Instances()); got != 1003 {
		t.Errorf("%d instances exist", got)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) { c.AccessKeys = []string{"AKIDEXAMPLE"} })
	r.run(t, 1, nil)
	_, err := clientFor(r.server, "AKIDOTHER").RunInstances(t.Context(), runInput(1, 1))
	wantError(t, err, "AuthFailure", 401)
	resp, err := http.Post(r.server.URL, "application/x-www-form-urlencoded", strings.NewReader("Action=DescribeInstances&Version=2016-11-15"))
	wantNone(t, err)
	text, err := io.ReadAll(resp.Body)
	wantNone(t, errors.Join(err, resp.Body.Close()))
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "<Response><Errors><Error><Code>MissingParameter</Code>") {
		t.Errorf("unsigned request: %d %s", resp.StatusCode, text)
	}
	r.SetDenied("CreateTags")
	r.run(t, 1, nil)
	in := runInput(1, 1)
	in.TagSpecifications = []types.TagSpecification{tagSpec("instance", "a", "b")}
	_, err = r.client.RunInstances(t.Context(), in)
	wantError(t, err, "UnauthorizedOperation", 403)
	if got := len(r.Instances()); got != 2 {
		t.Errorf("%d instances exist, want 2", got)
	}
}

// TestAdmin works the region from outside, over HTTP.
func TestAdmin(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	id := r.run(t, 1, spotMarket)[0]
	r.clock.Advance(10 * time.Second)
	post := func(path, body string, want int) {
		t.Helper()
		resp, err := http.Post(r.server.URL+"/_fake/"+path, "application/json", strings.NewReader(body))
		wantNone(t, err)
		wantNone(t, resp.Body.Close())
		if resp.StatusCode != want {
			t.Errorf("POST %s %s: status %d, want %d", path, body, resp.StatusCode, want)
		}
	}
	post("faults", `{"action":"RunInstances","kind":"error_before","code":"Unavailable","times":-1}`, 200)
	post("faults", `{"kind":"no"}`, 400)
	post("faults", `{"knid":"error_before"}`, 400)
	post("capacity", `{"type":"g4dn.xlarge","zone":"us-east-1a","market":"spot","limit":7}`, 200)
	post("capacity", `{"type":"g4dn.xlarge","zone":"mars","market":"spot","limit":7}`, 400)
	post("quota", `{"family":"G","market":"on-demand","limit":64}`, 200)
	post("addresses", `{"subnet_id":"`+subnetB+`","free":9}`, 200)
	post("throttle", `{"on":true}`, 200)
	post("denied", `{"actions":["CreateTags"]}`, 200)
	post("rebalance", `{"instance_id":"`+id+`"}`, 200)
	post("impair", `{"instance_id":"`+id+`","impaired":true}`, 200)
	post("interrupt", `{"instance_id":"`+id+`","notice_seconds":5}`, 200)
	post("kill", `{"instance_id":"i-1"}`, 400)
	var s fakeec2.Snapshot
	get(t, r.server.URL+"/_fake/state", &s)
	if len(s.Instances) != 1 || len(s.Faults) != 1 || s.Pools[0].Limit != 7 || s.Pools[0].Used != 1 || s.Addresses[subnetB] != 9 || !s.Throttle ||
		len(s.Denied) != 1 || s.SpotRequests[0].StatusCode != "instance-terminated-no-capacity" || len(s.Calls) != 1 {
		t.Errorf("state is %+v", s)
	}
	post("kill", `{"instance_id":"`+id+`"}`, 200)
	var l fakeec2.Ledger
	get(t, r.server.URL+"/_fake/ledger", &l)
	if n := len(l.Transitions); n != 4 || l.Transitions[n-1].To != fakeec2.Terminated {
		t.Errorf("ledger is %+v", l)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.server.URL+"/_fake/faults", http.NoBody)
	wantNone(t, err)
	resp, err := http.DefaultClient.Do(req)
	wantNone(t, err)
	wantNone(t, resp.Body.Close())
	if len(r.Faults()) != 0 {
		t.Error("the faults are still there")
	}
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	wantNone(t, err)
	defer resp.Body.Close()
	wantNone(t, json.NewDecoder(resp.Body).Decode(into))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	owned := func(in *ec2.RunInstancesInput) {
		in.TagSpecifications = []types.TagSpecification{tagSpec("instance", "owner", "prod")}
	}
	first := r.run(t, 2, owned)
	r.run(t, 1, spotMarket)
	r.clock.Advance(10*time.Second + 30*time.Minute)
	_, err := r.TerminateInstances(first[:1], false)
	wantNone(t, err)
	r.run(t, 1, owned)
	r.clock.Advance(15 * time.Second) // the new one runs for five seconds, and is billed for a minute
	usage := r.Ledger().Usage(r.clock.Now(), nil)
	if len(usage) != 2 || usage[0].Market != fakeec2.OnDemand || usage[0].Count != 3 {
		t.Fatalf("usage is %+v", usage)
	}
	running := 30*time.Minute + (30*time.Minute + 15*time.Second) + 5*time.Second
	if usage[0].Running != running || usage[0].Billed != running+55*time.Second || usage[0].Alive != running+3*10*time.Second {
		t.Errorf("usage is %+v, want %v running", usage[0], running)
	}
	if usd := usage[0].Billed.Hours() * 0.526; usage[0].USD < usd-1e-9 || usage[0].USD > usd+1e-9 {
		t.Errorf("it cost %v, want %v", usage[0].USD, usd)
	}
	most, at := r.Ledger().MaxAlive(fakeec2.Tagged("owner", "prod"))
	if most != 2 || !at.Equal(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("at most %d were alive, at %v", most, at)
	}
	if most, _ = r.Ledger().MaxAlive(nil); most != 3 {
		t.Errorf("at most %d were alive in all", most)
	}
}

// TestSameSeedSameRegion runs a busy hour twice and compares everything.
func TestSameSeedSameRegion(t *testing.T) {
	t.Parallel()
	hour := func(seed uint64) []byte {
		clock := virtual.New(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
		c, err := fakeec2.New(fakeec2.Config{
			Clock: clock, Rand: rand.New(rand.NewPCG(seed, 0)), Timing: fakeec2.DefaultTiming(), Throttle: true,
			LaunchFailure: fakeec2.LaunchFailure{Probability: 0.1},
		})
		wantNone(t, err)
		var watched []fakeec2.Transition
		c.Watch(func(tr fakeec2.Transition) {
			watched = append(watched, tr)
			if tr.To == fakeec2.Running && tr.Seq%3 == 0 {
				wantNone(t, c.GuestShutdown(tr.InstanceID)) // a watcher may call back
			}
		})
		for n := range 60 {
			in := fakeec2.RunInstancesInput{ImageID: ami, InstanceType: "g4dn.xlarge", MinCount: 1, MaxCount: 5}
			if n%2 == 0 {
				in.Spot = &fakeec2.SpotOptions{}
			}
			_, err := c.RunInstances(in)
			wantNone(t, err)
			clock.Advance(time.Minute)
		}
		if l := c.Ledger(); !slices.Equal(l.Transitions, watched) {
			t.Error("the watcher saw other transitions than the ledger")
		}
		text, err := json.Marshal([]any{c.Snapshot(), c.Ledger(), c.Ledger().Usage(clock.Now(), nil)})
		wantNone(t, err)
		return text
	}
	if !bytes.Equal(hour(1), hour(1)) {
		t.Error("the same seed gave two regions")
	}
	if bytes.Equal(hour(1), hour(2)) {
		t.Error("two seeds gave the same region")
	}
}
