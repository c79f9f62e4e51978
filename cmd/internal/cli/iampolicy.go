package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/adapters/iam"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

// policyOrder is what `ebb iam-policy` was told.
type policyOrder struct {
	iam.Options

	restricted bool
	path       string
	// said are the flags whose values a configuration has itself; limits are those
	// that only the restricted policy knows.
	said, limits *pflag.FlagSet
}

func (i *invocation) policyCommand() *cobra.Command {
	o := &policyOrder{said: pflag.NewFlagSet("said", pflag.ContinueOnError), limits: pflag.NewFlagSet("limits", pflag.ContinueOnError)}
	c := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print the IAM policy that an autoscaler needs",
		Long: "Print the IAM policy that an autoscaler needs. The basic one lets it launch and\n" +
			"end any instance of the account; --restricted lets it launch into what is named\n" +
			"and end only what is its own.\n\n" +
			"With --config it is the policy that this configuration needs: all its autoscalers,\n" +
			"or the one of --autoscaler. Notes, on standard error, say what was supposed. Without,\n" +
			"flags say what there is.",
		Example: "  ebb iam-policy --config ebb.yaml\n" +
			"  ebb iam-policy --config ebb.yaml --restricted --account 111122223333\n" +
			"  ebb iam-policy --restricted --account 111122223333 --region us-east-1 --ami-owner amazon --autoscaler prod",
		Args: cobra.NoArgs,
	}
	path := i.configFlag(c)
	o.register(c.Flags())
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		o.path = *path
		if o.path != "" && len(changed(o.said)) > 0 {
			if cmd.Flags().Changed("config") {
				return usagef("%s: the configuration says that; leave it out, or --config", strings.Join(changed(o.said), ", "))
			}
			o.path = "" // the flags win over the environment's file
		}
		policy, err := i.policy(cmd, o)
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

// register adds the flags.
func (o *policyOrder) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.restricted, "restricted", false, "the policy that is limited to what is named")
	flags.StringArrayVar(&o.ProfileRoles, "profile-role", nil, "ARN of a role in the instances' profile, which ebb has to pass on; repeatable")
	flags.BoolVar(&o.SpotRole, "spot-role", false, "let it make the account's role for spot, which the first spot request needs; with --config default where there is spot")
	flags.StringVar(&o.Autoscaler, "autoscaler", "", "name of the autoscaler, its owner tag (needed with --restricted); with --config default all")
	o.said.StringVar(&o.Partition, "partition", "aws", "aws, aws-cn or aws-us-gov")
	o.said.StringArrayVar(&o.AMIParameters, "ami-parameter", nil, "path of an SSM parameter that holds an AMI's id; repeatable")
	o.said.BoolVar(&o.NoSpot, "no-spot", false, "leave out what only spot instances need")
	o.limits.StringVar(&o.Account, "account", "", "account number, 12 digits (needed with --restricted)")
	o.limits.StringVar(&o.AMIOwner, "ami-owner", "", "owner of the images: an account number, amazon or aws-marketplace (needed with --restricted, unless --ami names all)")
	named := pflag.NewFlagSet("named", pflag.ContinueOnError)
	named.StringVar(&o.Region, "region", "", "region, such as us-east-1 (needed with --restricted)")
	named.StringArrayVar(&o.AMIs, "ami", nil, "id of an image to launch from; repeatable, default any of --ami-owner")
	named.StringArrayVar(&o.Subnets, "subnet", nil, "id of a subnet to launch into; repeatable, default any")
	named.StringArrayVar(&o.SecurityGroups, "security-group", nil, "id of a security group to use; repeatable, default any")
	named.StringArrayVar(&o.Snapshots, "snapshot", nil, "id of a snapshot that volumes start with; repeatable")
	named.StringArrayVar(&o.KeyPairs, "key-pair", nil, "name of an SSH key pair that instances get; repeatable")
	o.said.AddFlagSet(named)
	o.limits.AddFlagSet(named)
	flags.AddFlagSet(o.said)
	flags.AddFlagSet(o.limits)
}

// changed lists the flags of a set that were given, with their dashes.
func changed(flags *pflag.FlagSet) []string {
	var list []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			list = append(list, "--"+f.Name)
		}
	})
	return list
}

// policy makes the policy, of the configuration or of the flags alone.
func (i *invocation) policy(cmd *cobra.Command, o *policyOrder) (iam.Policy, error) {
	idle := changed(o.limits)
	if o.path == "" && cmd.Flags().Changed("autoscaler") {
		idle = append(idle, "--autoscaler")
	}
	if !o.restricted && len(idle) > 0 {
		return iam.Policy{}, usagef("%s has no effect on the basic policy; add --restricted", strings.Join(idle, ", "))
	}
	if o.path == "" {
		return o.kind()(o.Options, "")
	}
	f, err := i.load(cmd, o.path)
	if err != nil {
		return iam.Policy{}, err
	}
	chosen := f.Autoscalers
	if o.Autoscaler != "" {
		a, err := autoscalerOf(f, o.Autoscaler)
		if err != nil {
			return iam.Policy{}, err
		}
		chosen = []config.Autoscaler{a}
	}
	policies, err := i.policiesOf(chosen, o, cmd.Flags().Changed("spot-role") && !o.SpotRole)
	if err != nil {
		return iam.Policy{}, err
	}
	return iam.Together(policies...)
}

// policiesOf makes the policy of each autoscaler, and says what is to be known
// about it.
func (i *invocation) policiesOf(autoscalers []config.Autoscaler, o *policyOrder, noSpotRole bool) ([]iam.Policy, error) {
	given := app.PolicyGiven{Account: o.Account, AMIOwner: o.AMIOwner, ProfileRoles: o.ProfileRoles, NoSpotRole: noSpotRole}
	policies := make([]iam.Policy, 0, len(autoscalers))
	said := map[string]bool{}
	passes, owned, partition := false, false, ""
	for _, a := range autoscalers {
		translated, err := app.Translate(a)
		if err != nil {
			return nil, err
		}
		options, notes, err := app.PolicyOf(translated, given)
		if err != nil {
			return nil, err
		}
		if partition != "" && partition != options.Partition {
			return nil, usagef("the autoscalers are in %s and in %s, and a policy is for one of them; write --autoscaler with one", partition, options.Partition)
		}
		partition = options.Partition
		policy, err := o.kind()(options, "for autoscaler "+a.Name)
		if err != nil {
			return nil, err
		}
		policies = append(policies, policy)
		passes, owned = passes || len(options.ProfileRoles) > 0, owned || options.NeedsAMIOwner()
		for _, note := range notes {
			if !said[note] {
				said[note] = true
				fmt.Fprintln(i.Stderr, "note: "+note)
			}
		}
	}
	switch {
	case len(o.ProfileRoles) > 0 && !passes:
		return nil, usagef("--profile-role has no effect: the configuration names no instance profile")
	case o.AMIOwner != "" && !owned:
		return nil, usagef("--ami-owner has no effect: the configuration names all images by their ids")
	}
	return policies, nil
}

// kind is what makes the policy that was asked for; whose is for people, empty
// without a configuration.
func (o *policyOrder) kind() func(options iam.Options, whose string) (iam.Policy, error) {
	if !o.restricted {
		return func(options iam.Options, _ string) (iam.Policy, error) { return iam.Basic(options) }
	}
	return func(options iam.Options, whose string) (iam.Policy, error) {
		if err := checkNeeded(options, whose); err != nil {
			return iam.Policy{}, err
		}
		return iam.Restricted(options)
	}
}

// checkNeeded says which flags the restricted policy lacks.
func checkNeeded(o iam.Options, whose string) error {
	owner := o.AMIOwner
	if !o.NeedsAMIOwner() {
		owner = "nobody has to be named"
	}
	var missing []string
	for _, flag := range []struct{ name, value string }{
		{"account", o.Account}, {"ami-owner", owner}, {"autoscaler", o.Autoscaler}, {"region", o.Region},
	} {
		if flag.value == "" {
			missing = append(missing, "--"+flag.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	text := strings.TrimSpace("--restricted also needs " + strings.Join(missing, ", ") + " " + whose)
	if slices.Contains(missing, "--account") && whose != "" {
		text += " (aws sts get-caller-identity --query Account)"
	}
	return usagef("%s", text)
}
