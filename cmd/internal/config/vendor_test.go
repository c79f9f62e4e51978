package config_test

import (
	"fmt"
	"reflect"
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
