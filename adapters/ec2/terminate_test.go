package ec2_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// region terminates as EC2 does: one bad id and nothing happens, a protected
// one spares its zone.
type region struct {
	missing   map[string]bool
	malformed map[string]bool
	protected map[string]bool
	foreign   map[string]bool // may not be ended by policy
	zone      func(id string) int
	shy       bool // refusals do not name ids
	omit      map[string]bool

	calls      int
	largest    int
	terminated map[string]bool
}

func (r *region) terminate(in *awsec2.TerminateInstancesInput) (*awsec2.TerminateInstancesOutput, error) {
	r.calls++
	r.largest = max(r.largest, len(in.InstanceIds))
	for _, check := range []struct {
		bad        map[string]bool
		code, text string
		all        bool
	}{
		{r.malformed, "InvalidInstanceID.Malformed", `Invalid id: "%s"`, false},
		{r.missing, "InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", true},
		{r.foreign, "UnauthorizedOperation", "not authorized to perform: ec2:TerminateInstances on resource: arn:aws:ec2:us-east-1:1:instance/%s because", false},
	} {
		if bad := r.among(in.InstanceIds, check.bad); len(bad) > 0 {
			if !check.all {
				bad = bad[:1]
			}
			return nil, r.refuse(check.code, check.text, bad)
		}
	}
	protected := r.among(in.InstanceIds, r.protected)
	var output awsec2.TerminateInstancesOutput
	for _, id := range in.InstanceIds {
		if slices.ContainsFunc(protected, func(p string) bool { return r.zone(p) == r.zone(id) }) {
			continue
		}
		if r.omit[id] && len(in.InstanceIds) > 1 {
			continue
		}
		r.terminated[id] = true
		output.TerminatingInstances = append(output.TerminatingInstances, types.InstanceStateChange{InstanceId: aws.String(id)})
	}
	if len(protected) > 0 {
		return nil, r.refuse("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", protected[:1])
	}
	return &output, nil
}

func (r *region) among(ids []string, set map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !set[id] })
}

func (r *region) refuse(code, text string, ids []string) error {
	named := strings.Join(ids, ", ")
	if r.shy {
		named = "…"
	}
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(text, named)}
}

func newRegion() *region {
	return &region{
		missing: map[string]bool{}, malformed: map[string]bool{}, protected: map[string]bool{}, foreign: map[string]bool{},
		omit: map[string]bool{}, terminated: map[string]bool{}, zone: func(string) int { return 0 },
	}
}

func ids(n int) []messages.InstanceID {
	list := make([]messages.InstanceID, n)
	for i := range list {
		list[i] = messages.InstanceID(fmt.Sprintf("i-%05x", i))
	}
	return list
}

func TestTerminate(t *testing.T) {
	t.Parallel()

	t.Run("none", func(t *testing.T) {
		t.Parallel()
		r := newRegion()
		outcome, err := adapter(t, stub{terminate: r.terminate}, ec2.Template{AMI: "a"}).Terminate(t.Context(), nil)
		if err != nil || r.calls != 0 || len(outcome.Terminating)+len(outcome.Gone)+len(outcome.Failed) != 0 {
			t.Errorf("got %+v, %v after %d calls", outcome, err, r.calls)
		}
	})
	t.Run("batches", func(t *testing.T) {
		t.Parallel()
		r := newRegion()
		list := append(ids(1201), ids(3)...)
		outcome, err := adapter(t, stub{terminate: r.terminate}, ec2.Template{AMI: "a"}).Terminate(t.Context(), list)
		if err != nil || len(outcome.Terminating) != 1201 || r.calls != 3 || r.largest != 500 {
			t.Errorf("%d terminating, %v, %d calls of at most %d", len(outcome.Terminating), err, r.calls, r.largest)
		}
	})
	t.Run("many missing in one call", func(t *testing.T) {
		t.Parallel()
		r := newRegion()
		for _, id := range ids(450) {
			r.missing[string(id)] = true
		}
		outcome, err := adapter(t, stub{terminate: r.terminate}, ec2.Template{AMI: "a"}).Terminate(t.Context(), ids(500))
		if err != nil || len(outcome.Gone) != 450 || len(outcome.Terminating) != 50 || r.calls != 2 {
			t.Errorf("%d gone, %d terminating, %v, %d calls", len(outcome.Gone), len(outcome.Terminating), err, r.calls)
		}
	})
	t.Run("more bad ids than calls", func(t *testing.T) {
		t.Parallel()
		r := newRegion()
		r.shy = true
		for i, id := range ids(500) {
			r.protected[string(id)] = i%3 == 0
		}
		list := ids(500)
		rounds := 0
		for ; len(list) > 0 && rounds < 100; rounds++ {
			before := r.calls
			outcome, err := adapter(t, stub{terminate: r.terminate}, ec2.Template{AMI: "a"}).Terminate(t.Context(), list)
			if err != nil || r.calls-before > 65 {
				t.Fatalf("%v after %d calls", err, r.calls-before)
			}
			// As a caller does: what is protected is left alone, the rest asked for again.
			list = nil
			for i, id := range outcome.Failed {
				if outcome.Failures[i].Class == messages.ClassThrottled {
					list = append(list, id)
				}
			}
		}
		if len(r.terminated) != 333 {
			t.Errorf("%d of 333 terminated in %d rounds", len(r.terminated), rounds)
		}
	})
}

// TestTerminateSeparates draws fleets with bad ids of every kind: each id is
// decided once, and rightly.
func TestTerminateSeparates(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		r := newRegion()
		r.shy = rapid.Bool().Draw(rt, "refusals do not name ids")
		zones := rapid.IntRange(1, 3).Draw(rt, "zones")
		list := ids(rapid.IntRange(1, 600).Draw(rt, "instances"))
		place := make(map[string]int)
		for i, id := range list {
			place[string(id)] = i % zones
		}
		r.zone = func(id string) int { return place[id] }
		want := make(map[messages.InstanceID]messages.FailureClass)
		for range rapid.IntRange(0, 3).Draw(rt, "bad ids") {
			id := rapid.SampledFrom(list).Draw(rt, "id")
			if want[id] != "" {
				continue
			}
			kind := rapid.SampledFrom([]messages.FailureClass{
				messages.ClassNotFound, messages.ClassInvalid, messages.ClassProtected, messages.ClassUnauthorized, messages.ClassUnknown,
			}).Draw(rt, "kind")
			want[id] = kind
			sets := map[messages.FailureClass]map[string]bool{
				messages.ClassNotFound: r.missing, messages.ClassInvalid: r.malformed, messages.ClassProtected: r.protected,
				messages.ClassUnauthorized: r.foreign, messages.ClassUnknown: r.omit,
			}
			sets[kind][string(id)] = true
		}

		outcome, err := adapter(t, stub{terminate: r.terminate}, ec2.Template{AMI: "a"}).Terminate(t.Context(), list)
		if err != nil {
			rt.Fatal(err)
		}
		if len(outcome.Failed) != len(outcome.Failures) {
			rt.Fatalf("%d failed, %d failures", len(outcome.Failed), len(outcome.Failures))
		}
		got := make(map[messages.InstanceID]messages.FailureClass)
		for _, id := range outcome.Terminating {
			got[id] += "ok"
		}
		for _, id := range outcome.Gone {
			got[id] += messages.ClassNotFound
		}
		for i, id := range outcome.Failed {
			got[id] += outcome.Failures[i].Class
		}
		for _, id := range list {
			expect := want[id]
			if expect == "" || expect == messages.ClassUnknown {
				expect = "ok" // an id that EC2 did not answer for is asked for again
			}
			if got[id] != expect {
				rt.Errorf("%s: got %q, want %q", id, got[id], expect)
			}
			if (expect == "ok") != r.terminated[string(id)] {
				rt.Errorf("%s: terminated is %t", id, r.terminated[string(id)])
			}
		}
	})
}

// TestTerminateStops wants no more calls when calls make no sense, and no id
// forgotten.
func TestTerminateStops(t *testing.T) {
	t.Parallel()

	for _, code := range []string{"RequestLimitExceeded", "InternalError"} {
		for failAt := 1; failAt <= 3; failAt++ {
			r := newRegion()
			api := stub{terminate: func(in *awsec2.TerminateInstancesInput) (*awsec2.TerminateInstancesOutput, error) {
				if r.calls+1 == failAt {
					r.calls++
					return nil, &smithy.GenericAPIError{Code: code}
				}
				return r.terminate(in)
			}}
			outcome, err := adapter(t, api, ec2.Template{AMI: "a"}).Terminate(t.Context(), ids(1400))
			switch {
			case r.calls != failAt:
				t.Errorf("%s at call %d: %d calls", code, failAt, r.calls)
			case failAt == 1:
				if f := failure(t, err); f.Code != code || len(outcome.Failed) != 0 {
					t.Errorf("%s at once: got %+v, %v, want an error alone", code, outcome, err)
				}
			case err != nil || len(outcome.Terminating) != 500*(failAt-1) || len(outcome.Terminating)+len(outcome.Failed) != 1400 || outcome.Failures[0].Code != code:
				t.Errorf("%s at call %d: %d terminating, %d failed, %v", code, failAt, len(outcome.Terminating), len(outcome.Failed), err)
			}
		}
	}
}

// TestTerminateOneSilentlyLeftOut: EC2 said yes and did not name the only id.
func TestTerminateOneSilentlyLeftOut(t *testing.T) {
	t.Parallel()

	api := stub{terminate: func(*awsec2.TerminateInstancesInput) (*awsec2.TerminateInstancesOutput, error) {
		return &awsec2.TerminateInstancesOutput{}, nil
	}}
	outcome, err := adapter(t, api, ec2.Template{AMI: "a"}).Terminate(t.Context(), ids(2))
	if err != nil || len(outcome.Failed) != 2 || outcome.Failures[0].Class != messages.ClassUnknown {
		t.Errorf("got %+v, %v", outcome, err)
	}
}

// TestTerminateNamesWholeIDs: i-1 is not named by a message about i-12.
func TestTerminateNamesWholeIDs(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if holds(r.PostForm, "i-12") {
			answer(http.StatusBadRequest, refusal("InvalidInstanceID.NotFound", "The instance ID 'i-12' does not exist"))(w, r)
			return
		}
		var items string
		for _, id := range []string{"i-1", "i-2"} {
			if holds(r.PostForm, id) {
				items += "<item><instanceId>" + id + "</instanceId></item>"
			}
		}
		answer(http.StatusOK, "<TerminateInstancesResponse><instancesSet>"+items+"</instancesSet></TerminateInstancesResponse>")(w, r)
	})
	outcome, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "a"}).Terminate(t.Context(), []messages.InstanceID{"i-1", "i-12", "i-2"})
	if err != nil || !slices.Equal(outcome.Gone, []messages.InstanceID{"i-12"}) || !slices.Equal(outcome.Terminating, []messages.InstanceID{"i-1", "i-2"}) {
		t.Errorf("got %+v, %v", outcome, err)
	}
}

func holds(form url.Values, id string) bool {
	for _, values := range form {
		if slices.Contains(values, id) {
			return true
		}
	}
	return false
}
