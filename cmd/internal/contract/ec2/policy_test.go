package ec2_test

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/iam"
	"github.com/ebbscale/ebb/messages"
)

// recorder notes which IAM actions the calls of a client need.
type recorder struct {
	mu      sync.Mutex
	actions map[string]bool
}

// on is the client with the recorder in front.
func (r *recorder) on(client *awsec2.Client) *awsec2.Client {
	options := client.Options()
	options.APIOptions = append(slices.Clone(options.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("record", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			r.note(awsmiddleware.GetOperationName(ctx), in.Parameters)
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
	})
	return awsec2.New(options)
}

func (r *recorder) note(operation string, parameters any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actions["ec2:"+operation] = true
	// What EC2 asks IAM for besides the action itself.
	if run, ok := parameters.(*awsec2.RunInstancesInput); ok {
		if len(run.TagSpecifications) > 0 {
			r.actions["ec2:CreateTags"] = true
		}
		if run.IamInstanceProfile != nil {
			r.actions["iam:PassRole"] = true
		}
	}
}

func (r *recorder) sorted() []string {
	var actions []string
	for action := range r.actions {
		actions = append(actions, action)
	}
	slices.Sort(actions)
	return actions
}

// TestPoliciesGrantWhatIsCalled records the calls of an adapter that does all it
// can do: the policies grant these actions, no fewer and no more.
func TestPoliciesGrantWhatIsCalled(t *testing.T) {
	t.Parallel()

	options := iam.Options{Region: region, Account: "111122223333", Autoscaler: "prod", AMIOwner: "amazon"}
	for name, role := range map[string]string{"without profile": "", "with profile": "arn:aws:iam::111122223333:role/worker"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, _ := fakeWorld(t, fakeec2.Timing{})
			recorded := &recorder{actions: make(map[string]bool)}
			template := ec2.Template{AMI: w.ami}
			options := options
			if role != "" {
				template.ProfileName = "worker"
				options.ProfileRoles = []string{role}
			}
			useAll(t, w, recorded.on(w.client), template)

			basic, restricted, err := iam.Policies(options)
			if err != nil {
				t.Fatal(err)
			}
			for which, policy := range map[string]iam.Policy{"basic": basic, "restricted": restricted} {
				if granted := policy.Actions(); !slices.Equal(granted, recorded.sorted()) {
					t.Errorf("the %s policy grants %q, the adapter needs %q", which, granted, recorded.sorted())
				}
			}
			// The recording is complete: the adapter has no other method to call.
			for method := range reflect.TypeFor[ec2.API]().Methods() {
				if !recorded.actions["ec2:"+method.Name] {
					t.Errorf("%s was never called: use it in useAll, or take it out of ec2.API", method.Name)
				}
			}
		})
	}
}

// useAll uses every method of the adapter's port.
func useAll(t *testing.T, w *world, api ec2.API, template ec2.Template) {
	t.Helper()

	a, err := ec2.New(ec2.Config{Autoscaler: w.name, Client: api, Resources: map[messages.ResourceName]ec2.Template{"gpu": template}})
	if err != nil {
		t.Fatal(err)
	}
	for _, market := range []messages.Market{messages.OnDemand, messages.Spot} {
		request := w.request("gpu-"+string(market), "gpu", 1)
		request.Offering.Market = market
		if _, err := a.Launch(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	list, err := a.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("listed %v, %v", list, err)
	}
	if _, err := a.Console(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if outcome, err := a.Terminate(t.Context(), []messages.InstanceID{list[0].ID, list[1].ID}); err != nil || len(outcome.Terminating) != 2 {
		t.Fatalf("terminated %+v, %v", outcome, err)
	}
}
