package deployments_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/ebbscale/ebb/adapters/iam"
)

// TestTerraformStatesThePolicy evaluates the module's policy as Terraform would, for
// many inputs, and compares it with the program's.
func TestTerraformStatesThePolicy(t *testing.T) {
	t.Parallel()

	least := iam.Options{Region: "eu-west-1", Account: "444455556666", AMIOwner: "amazon", Autoscaler: "dev"}
	all := iam.Options{
		Partition: "aws", Region: "us-east-1", Account: "111122223333", Autoscaler: "prod", AMIOwner: "111122223333", KeyPairs: []string{"ops"},
		Subnets:        []string{"subnet-0bbbbbbbbbbbbbbbb", "subnet-0aaaaaaaaaaaaaaaa", "subnet-0aaaaaaaaaaaaaaaa"},
		SecurityGroups: []string{"sg-0bbb", "sg-0aaa"}, Snapshots: []string{"snap-0bbb", "snap-0aaa"},
		AMIParameters: []string{"/mine/ami", "/aws/service/x", "/aws/service/x"},
		ProfileRoles:  []string{"arn:aws:iam::111122223333:role/ebb-worker"}, SpotRole: true,
	}
	china := all
	china.Partition, china.Region, china.ProfileRoles, china.KeyPairs = "aws-cn", "cn-north-1", []string{"arn:aws-cn:iam::111122223333:role/x"}, nil
	spotOnly := least
	spotOnly.SpotRole = true
	named := least
	named.AMIOwner, named.AMIs, named.NoSpot = "", []string{"ami-0bbb", "ami-0aaa", "ami-0aaa"}, true
	named.KeyPairs, named.ProfileRoles = []string{"b", "a"}, []string{"arn:aws:iam::444455556666:role/b", "arn:aws:iam::444455556666:role/a"}
	both := named
	both.AMIOwner, both.AMIParameters = "amazon", []string{"/mine/ami"}
	for name, options := range map[string]iam.Options{"least": least, "all": all, "china": china, "spot": spotOnly, "named": named, "both": both} {
		for kind, make := range map[string]func(iam.Options) (iam.Policy, error){"restricted": iam.Restricted, "basic": iam.Basic} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()

				want, err := make(options)
				if err != nil {
					t.Fatal(err)
				}
				text, err := want.JSON()
				if err != nil {
					t.Fatal(err)
				}
				got := terraformPolicy(t, readFile(t, "deployments", "iam", "terraform", "main.tf"), options, kind == "restricted")
				if !samePolicy(t, got, string(text)) {
					t.Errorf("Terraform's policy is\n%s\nand ebb's\n%s", got, text)
				}
			})
		}
	}
}

// TestTerraformDriftIsSeen changes the module in small ways.
func TestTerraformDriftIsSeen(t *testing.T) {
	t.Parallel()

	options := iam.Options{
		Region: "us-east-1", Account: "111122223333", Autoscaler: "prod", AMIOwner: "amazon", SpotRole: true, Snapshots: []string{"snap-0b", "snap-0a"},
	}
	policy, err := iam.Restricted(options)
	if err != nil {
		t.Fatal(err)
	}
	want, err := policy.JSON()
	if err != nil {
		t.Fatal(err)
	}
	text := readFile(t, "deployments", "iam", "terraform", "main.tf")
	for from, to := range map[string]string{
		`"ec2:GetConsoleOutput", "ec2:TerminateInstances"]`: `"ec2:TerminateInstances"]`,
		`"volume"]`:                              `"volume", "image"]`,
		`"${local.public}:image/*"`:              `"*"`,
		`"aws:ResourceTag/`:                      `"aws:RequestTag/`,
		`local.first_spot_launch)`:               `[])`,
		`sort(distinct([for id in var.snapshots`: `tolist(distinct([for id in var.snapshots`,
		`{ "ec2:Owner" = var.ami_owner }`:        `{ "ec2:Owner" = var.account }`,
	} {
		if !strings.Contains(text, from) {
			t.Errorf("main.tf has no %s", from)
		}
		if samePolicy(t, terraformPolicy(t, strings.ReplaceAll(text, from, to), options, true), string(want)) {
			t.Errorf("%s instead of %s makes no difference", to, from)
		}
	}
}

func samePolicy(t *testing.T, a, b string) bool {
	t.Helper()

	var left, right any
	if err := json.Unmarshal([]byte(a), &left); err != nil {
		t.Fatalf("%v: %s", err, a)
	}
	if err := json.Unmarshal([]byte(b), &right); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return reflect.DeepEqual(left, right)
}

// terraformPolicy evaluates local.policy of a main.tf with the variables that mean the
// same as options.
func terraformPolicy(t *testing.T, main string, options iam.Options, restricted bool) string {
	t.Helper()

	given := map[string]any{
		"restricted": restricted, "region": options.Region, "account": options.Account, "autoscaler": options.Autoscaler,
		"ami_owner": options.AMIOwner, "amis": options.AMIs, "key_pairs": options.KeyPairs, "profile_roles": options.ProfileRoles, "no_spot": options.NoSpot,
		"subnets": options.Subnets, "security_groups": options.SecurityGroups, "snapshots": options.Snapshots,
		"ami_parameters": options.AMIParameters, "spot_role": options.SpotRole,
	}
	if options.Partition != "" {
		given["partition"] = options.Partition // else the module's default
	}
	scope := &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": terraformVariables(t, given)},
		Functions: map[string]function.Function{
			"concat": stdlib.ConcatFunc, "distinct": stdlib.DistinctFunc, "jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
			"length": stdlib.LengthFunc, "sort": stdlib.SortFunc, "substr": stdlib.SubstrFunc, "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		},
	}
	pending := map[string]hcl.Expression{}
	for _, block := range terraformBlocks(t, "main.tf", main, "locals") {
		for name, attribute := range block.Body.Attributes {
			pending[name] = attribute.Expr
		}
	}
	return terraformLocals(t, pending, scope)["policy"].AsString()
}

// terraformLocals evaluates locals, each after those that it names.
func terraformLocals(t *testing.T, pending map[string]hcl.Expression, scope *hcl.EvalContext) map[string]cty.Value {
	t.Helper()

	known := map[string]cty.Value{}
	for len(pending) > 0 {
		before := len(pending)
		scope.Variables["local"] = cty.ObjectVal(known)
	expressions:
		for name, expression := range pending {
			for _, used := range expression.Variables() {
				attribute, ok := used[1].(hcl.TraverseAttr)
				if _, have := known[attribute.Name]; used.RootName() == "local" && ok && !have {
					continue expressions
				}
			}
			value, diagnostics := expression.Value(scope)
			if diagnostics.HasErrors() {
				t.Fatalf("local %s: %v", name, diagnostics)
			}
			known[name] = value
			delete(pending, name)
			scope.Variables["local"] = cty.ObjectVal(known)
		}
		if len(pending) == before {
			t.Fatalf("these locals name each other, or none that is there: %v", pending)
		}
	}
	return known
}

// terraformVariables gives the variables of the module: the given values, else the
// defaults, each of its declared type.
func terraformVariables(t *testing.T, given map[string]any) cty.Value {
	t.Helper()

	values := map[string]cty.Value{}
	for _, block := range terraformBlocks(t, "variables.tf", readFile(t, "deployments", "iam", "terraform", "variables.tf"), "variable") {
		name := block.Labels[0]
		kind, diagnostics := typeexpr.TypeConstraint(block.Body.Attributes["type"].Expr)
		if diagnostics.HasErrors() {
			t.Fatalf("type of %s: %v", name, diagnostics)
		}
		if value, ok := given[name]; ok {
			delete(given, name)
			converted, err := gocty.ToCtyValue(value, kind)
			if err != nil {
				t.Fatalf("variable %s: %v", name, err)
			}
			if converted.IsNull() {
				converted = cty.ListValEmpty(cty.String)
			}
			values[name] = converted
			continue
		}
		preset := block.Body.Attributes["default"]
		if preset == nil {
			t.Fatalf("the module wants variable %s, and the program has no such option", name)
		}
		value, diagnostics := preset.Expr.Value(nil)
		if diagnostics.HasErrors() {
			t.Fatalf("default of %s: %v", name, diagnostics)
		}
		converted, err := convert.Convert(value, kind)
		if err != nil {
			t.Fatalf("default of %s: %v", name, err)
		}
		values[name] = converted
	}
	if len(given) > 0 {
		t.Fatalf("the module has no variables %v", given)
	}
	return cty.ObjectVal(values)
}

func terraformBlocks(t *testing.T, name, text, kind string) []*hclsyntax.Block {
	t.Helper()

	file, diagnostics := hclsyntax.ParseConfig([]byte(text), name, hcl.InitialPos)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		t.Fatalf("%s: the body is a %T", name, file.Body)
	}
	var blocks []*hclsyntax.Block
	for _, block := range body.Blocks {
		if block.Type == kind {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no %s", name, kind)
	}
	return blocks
}

// TestTerraformParses reads the files of the module that nothing else reads.
func TestTerraformParses(t *testing.T) {
	t.Parallel()

	for file, kind := range map[string]string{"outputs.tf": "output", "versions.tf": "terraform", "main.tf": "resource"} {
		terraformBlocks(t, file, readFile(t, "deployments", "iam", "terraform", file), kind)
	}
}
