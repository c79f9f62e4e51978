package ec2_test

import (
	"reflect"
	"strings"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()

	many := make(map[string]string)
	for i := range 46 {
		many[strings.Repeat("k", i+1)] = "v"
	}
	extra := func(key string, value any) ec2.Template {
		return ec2.Template{AMI: "ami-1", Extra: map[string]any{key: value}}
	}
	for _, c := range []struct {
		name     string
		template ec2.Template
		want     string
	}{
		{"no AMI", ec2.Template{}, `resource "gpu": no AMI`},
		{"group name", ec2.Template{AMI: "a", SecurityGroups: []string{"web"}}, `security group "web" is not an id`},
		{"two profiles", ec2.Template{AMI: "a", ProfileARN: "arn:aws:iam::1:instance-profile/x", ProfileName: "x"}, "give one"},
		{"role for profile", ec2.Template{AMI: "a", ProfileARN: "arn:aws:iam::1:role/x"}, "not the ARN of an instance profile"},
		{"user data", ec2.Template{AMI: "a", UserData: make([]byte, 16<<10+1)}, "the user data has 16385 bytes"},
		{"price word", ec2.Template{AMI: "a", SpotMaxPrice: "cheap"}, `spot price "cheap"`},
		{"price NaN", ec2.Template{AMI: "a", SpotMaxPrice: "NaN"}, `spot price "NaN"`},
		{"price 0", ec2.Template{AMI: "a", SpotMaxPrice: "0"}, `spot price "0"`},
		{"queue name", ec2.Template{AMI: "a", Home: messages.QueueName(strings.Repeat("ö", 257))}, "has 257 characters: at most 256 fit into the tag ebb:queue"},
		{"no device", ec2.Template{AMI: "a", Volumes: []ec2.Volume{{SizeGB: 1}}}, "volume 1: no device name"},
		{"no size", ec2.Template{AMI: "a", Volumes: []ec2.Volume{{Device: "/dev/sda1"}}}, "neither a size nor a snapshot"},
		{"negative", ec2.Template{AMI: "a", Volumes: []ec2.Volume{{Device: "/dev/sda1", SizeGB: 1, IOPS: -1}}}, "IOPS -1"},
		{"huge", ec2.Template{AMI: "a", Volumes: []ec2.Volume{{Device: "/dev/sda1", SizeGB: 1 << 33}}}, "size 8589934592"},
		{"tag count", ec2.Template{AMI: "a", Tags: many}, "46 tags: EC2 allows 50 and 5 are needed"},
		{"tag aws:", ec2.Template{AMI: "a", Tags: map[string]string{"AWS:x": ""}}, "belong to AWS"},
		{"tag key", ec2.Template{AMI: "a", Tags: map[string]string{strings.Repeat("k", 129): ""}}, "longer than 128"},
		{"tag value", ec2.Template{AMI: "a", Tags: map[string]string{"k": strings.Repeat("v", 257)}}, "longer than 256"},
		{"tag empty", ec2.Template{AMI: "a", Tags: map[string]string{"": "v"}}, "has no key"},
		{"token", extra("ClientToken", "x"), "extra.ClientToken may not be given: it is what makes a launch happen once"},
		{"token null", extra("ClientToken", nil), "ClientToken may not be given"},
		{"token case", extra("clienttoken", "x"), "clienttoken may not be given"},
		{"MinCount", extra("MinCount", 1), "set max_instances"},
		{"MaxCount", extra("MaxCount", 1), "set max_instances"},
		{"UserData", extra("UserData", "x"), "init script"},
		{"DryRun", extra("DryRun", true), "a dry run launches nothing"},
		{"unknown", extra("Frobnicate", 1), "extra.Frobnicate: RunInstances has no such parameter"},
		{"case", extra("ebsOptimized", true), "RunInstances writes it EbsOptimized"},
		{"nested", extra("BlockDeviceMappings", []any{map[string]any{"Ebs": map[string]any{"Size": 1}}}), "extra.BlockDeviceMappings[0].Ebs.Size:"},
		{"private", extra("noSmithyDocumentSerde", map[string]any{}), "no such parameter"},
		{"text for bool", extra("EbsOptimized", "yes"), "EbsOptimized wants true or false, not text"},
		{"text for number", extra("Ipv6AddressCount", "1"), "wants a whole number, not text"},
		{"fraction", extra("Ipv6AddressCount", 1.5), "wants a whole number, not a fraction"},
		{"too large", extra("Ipv6AddressCount", int64(1)<<40), "is too large"},
		{"number for text", extra("KernelId", 1), "wants text, not a number"},
		{"map for list", extra("SecurityGroups", map[string]any{}), "wants a list, not a map"},
		{"list for map", extra("Placement", []any{}), "wants a map, not a list"},
		{"null", extra("Placement", nil), "extra.Placement is empty"},
		{"time", extra("InstanceMarketOptions", map[string]any{"SpotOptions": map[string]any{"ValidUntil": "soon"}}), "wants a time such as"},
		{"tag kind", extra("TagSpecifications", []any{map[string]any{}}), "has no ResourceType"},
		{
			"tag of aws", extra("TagSpecifications", []any{map[string]any{"ResourceType": "volume", "Tags": []any{map[string]any{"Key": "aws:x"}}}}),
			"extra.TagSpecifications[0]: tag",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			_, err := ec2.New(ec2.Config{
				Autoscaler: "prod", Client: stub{}, Log: zerolog.Nop(),
				Resources: map[messages.ResourceName]ec2.Template{"gpu": c.template},
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

// TestNewTellsAllMistakes wants every mistake in one error.
func TestNewTellsAllMistakes(t *testing.T) {
	t.Parallel()

	_, err := ec2.New(ec2.Config{
		Autoscaler: "prod*",
		Log:        zerolog.Nop(),
		Resources: map[messages.ResourceName]ec2.Template{
			"a": {SpotMaxPrice: "x"},
			"b": {AMI: "ami-1", Extra: map[string]any{"X": 1, "Y": 2}},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no client", `"prod*"`, `"a": no AMI`, `"a": spot price`, "extra.X", "extra.Y"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestOwnerNames(t *testing.T) {
	t.Parallel()

	for name, fine := range map[string]bool{
		"prod": true, "team a/ü": true, "": false, "a*": false, "a?": false, `a\`: false, "aws:prod": false, strings.Repeat("x", 257): false,
	} {
		_, err := ec2.New(ec2.Config{Autoscaler: messages.AutoscalerName(name), Client: stub{}, Log: zerolog.Nop()})
		if (err == nil) != fine {
			t.Errorf("autoscaler %q: got %v, fine must be %t", name, err, fine)
		}
	}
}

// TestExtraKnowsEveryParameter gives each parameter of RunInstances, at any
// depth, a value of its type: none may be out of reach.
func TestExtraKnowsEveryParameter(t *testing.T) {
	t.Parallel()

	extra := sample(t, reflect.TypeFor[awsec2.RunInstancesInput]()).(map[string]any)
	for _, reserved := range []string{"ClientToken", "MinCount", "MaxCount", "UserData", "DryRun"} {
		delete(extra, reserved)
	}
	if len(extra) < 30 {
		t.Fatalf("only %d parameters", len(extra))
	}
	adapter(t, stub{}, ec2.Template{AMI: "ami-1", Extra: extra})
}

// sample is a value for a field of that type, as a configuration file has it.
func sample(t *testing.T, of reflect.Type) any {
	t.Helper()

	if of.String() == "time.Time" {
		return "2027-01-31T12:00:00Z"
	}
	switch of.Kind() {
	case reflect.Pointer:
		return sample(t, of.Elem())
	case reflect.Slice:
		return []any{sample(t, of.Elem())}
	case reflect.Struct:
		fields := make(map[string]any)
		for field := range of.Fields() {
			if field.IsExported() {
				fields[field.Name] = sample(t, field.Type)
			}
		}
		return fields
	case reflect.String:
		return "x"
	case reflect.Bool:
		return true
	case reflect.Int32:
		return 1
	case reflect.Float64:
		return 0.5
	default:
		t.Fatalf("no sample for %s", of)
		return nil
	}
}
