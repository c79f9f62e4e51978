package config_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestLaunchFieldsAreThoseOfEC2 compares the fields known here with the SDK's.
func TestLaunchFieldsAreThoseOfEC2(t *testing.T) {
	t.Parallel()
	input := reflect.TypeFor[ec2.RunInstancesInput]()
	for field := range input.Fields() {
		if !field.IsExported() {
			continue
		}
		text := smallFile() + "        extra_launch_parameters: {" + field.Name + ": x}\n"
		_, err := config.Load(config.Source{Path: write(t, "ebb.yaml", text)})
		if err != nil && strings.Contains(err.Error(), "is not a field of RunInstances") {
			t.Errorf("%s is not known", field.Name)
		}
	}
}

// TestInstanceTypesOfEC2 are all accepted.
func TestInstanceTypesOfEC2(t *testing.T) {
	t.Parallel()
	all := types.InstanceType("").Values()
	if len(all) < 500 {
		t.Fatalf("the SDK names %d instance types", len(all))
	}
	text := replace(smallFile(), "instance_type: g5.xlarge", fmt.Sprintf("instance_types: %q", strings.Join(strings.Fields(fmt.Sprint(all)), ",")))
	text = replace(text, `"[`, `"`, `]"`, `"`)
	f := load(t, config.Source{Path: write(t, "ebb.yaml", text)})
	if got := f.Autoscalers[0].Resources[0].InstanceTypes; len(got) != len(all) {
		t.Errorf("%d of %d came through", len(got), len(all))
	}
}

// TestRegions accepts every region that AWS has or has announced the form of, with a
// zone of each, and one that may come.
func TestRegions(t *testing.T) {
	t.Parallel()
	for region := range strings.FieldsSeq(`
		us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 ca-west-1 mx-central-1 sa-east-1
		eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3
		af-south-1 il-central-1 me-central-1 me-south-1
		ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
		ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7
		cn-north-1 cn-northwest-1 us-gov-east-1 us-gov-west-1
		us-iso-east-1 us-iso-west-1 us-isob-east-1 us-isob-west-1 us-isof-east-1 us-isof-south-1 eu-isoe-west-1 eusc-de-east-1
		nz-southwest-12`) {
		text := replace(smallFile(), "us-east-1a", region+"a", "region: us-east-1", "region: "+region)
		if _, err := config.Load(config.Source{Path: write(t, "ebb.yaml", text)}); err != nil {
			t.Errorf("%s: %v", region, err)
		}
	}
	for _, zone := range []string{"us-west-2-lax-1a", "us-east-1-wl1-bos-wlz-1", "us-east-1f"} {
		k, _ := config.KeyAt("autoscalers[0].resources[0].availability_zones")
		if matched, err := regexp.MatchString(k.Pattern, zone); err != nil || !matched {
			t.Errorf("%s is refused: %v", zone, err)
		}
	}
}
