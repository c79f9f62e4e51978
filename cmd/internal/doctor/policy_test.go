package doctor_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/iam"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// TestPolicyOfConfiguration: the policy that ebb iam-policy prints for a
// configuration grants what the doctor finds that this configuration needs, and
// with no other right the doctor finds nothing amiss.
func TestPolicyOfConfiguration(t *testing.T) {
	t.Parallel()

	const profile, parameter = "    iam_instance_profile: {name: worker}\n", `"resolve:ssm:/ebb/images/arm64"`
	for name, edits := range map[string][][2]string{
		"everything":    nil,
		"no profile":    {{profile, ""}},
		"no parameter":  {{parameter, armImage}},
		"no spot":       {{"market: spot", "market: on_demand"}},
		"fallback":      {{"market: spot", "market: spot\n        on_demand_fallback: {enabled: true}"}},
		"least":         {{profile, ""}, {parameter, armImage}, {"market: spot", "market: on_demand"}},
		"extra profile": {{profile, ""}, {"max_instances: 8", "max_instances: 8\n        extra_launch_parameters: {IamInstanceProfile: {Name: worker}}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			for _, e := range edits {
				c.edit(e[0], e[1])
			}
			granted := c.policyActions()
			for _, action := range doctor.Permissions() {
				if _, plain, _ := strings.Cut(action, ":"); !slices.Contains(granted, action) {
					c.region.Denied = append(c.region.Denied, plain)
				}
			}
			c.region.Denied = append(c.region.Denied, lookUps()...)
			report := c.examine()
			if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 {
				t.Errorf("complains of %q:\n%s", bad, show(t, report))
			}
			needed := []string{}
			for _, check := range report {
				if check.ID == doctor.AWSPermission {
					needed = append(needed, check.Subject)
				}
			}
			if slices.Contains(granted, "ec2:DescribeSpotInstanceRequests") {
				needed = append(needed, "iam:CreateServiceLinkedRole") // only its lack shows
			}
			slices.Sort(needed)
			if !slices.Equal(granted, needed) {
				t.Errorf("the policy grants %q, the doctor asks for %q", granted, needed)
			}
		})
	}
}

// policyActions is what the policy for the configuration grants.
func (c *clinic) policyActions() []string {
	t := c.t
	t.Helper()
	path := filepath.Join(c.dir, "policy.yaml")
	text := strings.ReplaceAll(c.text(), `api_server: ""`, `api_server: "http://127.0.0.1:1"`) // the servers are not up
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(config.Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	translated, err := app.Translate(file.Autoscalers[0])
	if err != nil {
		t.Fatal(err)
	}
	options, _, err := app.PolicyOf(translated, app.PolicyGiven{Account: "111122223333", AMIOwner: "amazon"})
	if err != nil {
		t.Fatal(err)
	}
	basic, restricted, err := iam.Policies(options)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(basic.Actions(), restricted.Actions()) {
		t.Errorf("the basic policy grants %q, the restricted one %q", basic.Actions(), restricted.Actions())
	}
	return restricted.Actions()
}
