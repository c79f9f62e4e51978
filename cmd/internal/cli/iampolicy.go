package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/adapters/iam"
)

func (i *invocation) policyCommand() *cobra.Command {
	var o iam.Options
	var restricted bool
	c := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print the IAM policy that an autoscaler needs",
		Long: "Print the IAM policy that an autoscaler needs. The basic one lets it launch and\n" +
			"end any instance of the account; --restricted lets it launch into what is named\n" +
			"and end only what is its own.",
		Example: "  ebb iam-policy\n" +
			"  ebb iam-policy --restricted --account 111122223333 --region us-east-1 --ami-owner amazon --autoscaler prod",
		Args: cobra.NoArgs,
	}
	flags := c.Flags()
	flags.BoolVar(&restricted, "restricted", false, "the policy that is limited to what is named")
	flags.StringVar(&o.Partition, "partition", "aws", "aws, aws-cn or aws-us-gov")
	flags.StringVar(&o.ProfileRole, "profile-role", "", "ARN of the role in the instances' profile, which ebb has to pass on")
	flags.StringArrayVar(&o.AMIParameters, "ami-parameter", nil, "path of an SSM parameter that holds an AMI's id; repeatable")
	flags.BoolVar(&o.SpotRole, "spot-role", false, "let it make the account's role for spot, which the first spot request needs")
	limits := pflag.NewFlagSet("restricted", pflag.ContinueOnError)
	limits.StringVar(&o.Account, "account", "", "account number, 12 digits (needed with --restricted)")
	limits.StringVar(&o.Region, "region", "", "region, such as us-east-1 (needed with --restricted)")
	limits.StringVar(&o.AMIOwner, "ami-owner", "", "owner of the images: an account number, amazon or aws-marketplace (needed with --restricted)")
	limits.StringVar(&o.Autoscaler, "autoscaler", "", "name of the autoscaler, its owner tag (needed with --restricted)")
	limits.StringArrayVar(&o.Subnets, "subnet", nil, "id of a subnet to launch into; repeatable, default any")
	limits.StringArrayVar(&o.SecurityGroups, "security-group", nil, "id of a security group to use; repeatable, default any")
	limits.StringArrayVar(&o.Snapshots, "snapshot", nil, "id of a snapshot that volumes start with; repeatable")
	limits.StringVar(&o.KeyPair, "key-pair", "", "name of the SSH key pair that instances get")
	flags.AddFlagSet(limits)
	c.RunE = i.does(func(*cobra.Command, []string) error {
		if err := checkLimits(limits, restricted); err != nil {
			return err
		}
		kind := iam.Basic
		if restricted {
			kind = iam.Restricted
		}
		policy, err := kind(o)
		if err != nil {
			return err
		}
		text, err := policy.JSON()
		if err != nil {
			return err
		}
		_, err = i.Stdout.Write(text)
		return err
	})
	return c
}

// checkLimits says which flags are missing, or have no meaning without
// --restricted.
func checkLimits(limits *pflag.FlagSet, restricted bool) error {
	var missing, idle []string
	limits.VisitAll(func(f *pflag.Flag) {
		needed := slices.Contains([]string{"account", "region", "ami-owner", "autoscaler"}, f.Name)
		switch {
		case restricted && needed && f.Value.String() == "":
			missing = append(missing, "--"+f.Name)
		case !restricted && f.Changed:
			idle = append(idle, "--"+f.Name)
		}
	})
	if len(missing) > 0 {
		return usagef("--restricted also needs %s", strings.Join(missing, ", "))
	}
	if len(idle) > 0 {
		return usagef("%s has no effect on the basic policy; add --restricted", strings.Join(idle, ", "))
	}
	return nil
}
