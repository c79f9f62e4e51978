package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

const (
	// atOnce is how many dry runs are under way. EC2 has 5 tokens for
	// RunInstances and adds 2 a second.
	atOnce = 3
	// throttlePause is between two attempts of a call that EC2 throttles.
	throttlePause = 700 * time.Millisecond
)

// trial is the dry run of one launch.
type trial struct {
	offering messages.Offering
	parts    ec2.Parts
	// err is nil when EC2 would have launched.
	err error
}

// tryLaunches sends each launch that can come up as a dry run: every offering of
// every resource type.
func (v *visit) tryLaunches(ctx context.Context) {
	v.trials = make([][]trial, len(v.Resources))
	var work sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, r := range v.Resources {
		v.trials[i] = make([]trial, len(r.Offerings))
		for j, offering := range r.Offerings {
			work.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				v.trials[i][j] = v.tryLaunch(ctx, r.Name, offering)
			})
		}
	}
	work.Wait()
}

func (v *visit) tryLaunch(ctx context.Context, resource messages.ResourceName, offering messages.Offering) trial {
	t := trial{offering: offering}
	if t.parts, t.err = v.prober.PartsOf(resource, offering); t.err != nil {
		return t
	}
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	t.err = patiently(limited, func() error { return v.prober.TryLaunch(limited, ec2.Trial{Resource: resource, Offering: offering}) })
	return t
}

// patiently makes a call again while EC2 throttles it and there is time.
func patiently(ctx context.Context, call func() error) error {
	for {
		err := call()
		if err == nil || messages.FailureOf(err).Class != messages.ClassThrottled {
			return err
		}
		pause := time.NewTimer(throttlePause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// cure is what to do about a launch that EC2 refuses.
type cure struct {
	// about is the check that looks at the same thing.
	about ID
	fix   string
}

// cureOf reads from a refusal what is wrong and names the key to change.
func (v *visit) cureOf(i int, t trial) cure {
	failure := messages.FailureOf(t.err)
	code, message := strings.TrimPrefix(failure.Code, "Client."), strings.ToLower(failure.Message)
	key := func(name string) string { return v.keyOf(i, t.parts, name) }
	begins := func(prefixes ...string) bool {
		for _, prefix := range prefixes {
			if strings.HasPrefix(code, prefix) {
				return true
			}
		}
		return false
	}
	switch {
	case begins("Ssm"):
		return cure{AWSImage, "write the name of a parameter that holds the id of an image, in this region, as " + key("ami_id") +
			": aws ssm get-parameter --name " + strings.TrimPrefix(t.parts.Image, resolvePrefix)}
	case begins("InvalidAMI"), strings.Contains(message, "architecture"):
		return cure{AWSImage, "write an image of this region that fits the instance types as " + key("ami_id")}
	case strings.Contains(message, "different networks"), begins("InvalidGroup", "InvalidSecurityGroup"):
		return cure{AWSGroup, "write ids of security groups of the subnets' VPC as " + key("security_groups")}
	case begins("InvalidSubnet", "MissingInput", "VPCIdNotSpecified", "DefaultVpcDoesNotExist"):
		return cure{AWSSubnet, "write ids of subnets of this region as " + key("subnets")}
	case begins("InvalidKeyPair"):
		return cure{AWSKeyPair, "write the name of a key pair of this region as " + key("key_pair")}
	case strings.Contains(message, "iaminstanceprofile"), strings.Contains(message, "instance profile"):
		return cure{AWSProfile, v.profileFix(t.parts)}
	case begins("Unsupported"), strings.Contains(message, "availability zone"), strings.Contains(message, "instancetype"),
		strings.Contains(message, "instance type"), begins("InvalidInput"):
		return cure{AWSOffering, "write zones (or subnets in zones) that have the type as " + key("availability_zones") + ", or other " + key("instance_types")}
	case failure.Class == messages.ClassQuota:
		return cure{AWSQuota, "ask AWS for more in Service Quotas > Amazon EC2, or lower " + key("max_instances")}
	case strings.Contains(message, "price"):
		return cure{noCheck, "correct or remove " + key("spot_max_price")}
	}
	return cure{noCheck, "read what EC2 says; what the request is made of is in " + v.resourcePath(i) + ", with its extra_launch_parameters laid over"}
}

// keyOf is the key of the configuration that a part of a launch comes from.
func (v *visit) keyOf(i int, parts ec2.Parts, name string) string {
	for _, field := range map[string][]string{
		"ami_id": {"ImageId"}, "subnets": {"SubnetId", "NetworkInterfaces"}, "security_groups": {"SecurityGroupIds", "SecurityGroups", "NetworkInterfaces"},
		"key_pair": {"KeyName"}, "instance_types": {"InstanceType"}, "availability_zones": {"Placement"}, "spot_max_price": {"InstanceMarketOptions"},
	}[name] {
		if parts.Extra[field] {
			return v.resourcePath(i) + ".extra_launch_parameters." + field
		}
	}
	return v.resourcePath(i) + "." + name
}

func (v *visit) profileFix(parts ec2.Parts) string {
	if parts.Extra["IamInstanceProfile"] {
		return "correct IamInstanceProfile in the extra_launch_parameters: aws iam list-instance-profiles shows what there is (a role is not enough: it needs a profile)"
	}
	key := v.path + ".iam_instance_profile.name"
	if v.config.IAMInstanceProfile.ARN != "" {
		key = v.path + ".iam_instance_profile.arn"
	}
	return "write an instance profile of this account as " + key + ": aws iam list-instance-profiles shows what there is (a role is not enough: it needs a profile)"
}

// checkLaunch judges the dry runs of one resource type. What another check has
// said already is not said again.
func (v *visit) checkLaunch(ctx context.Context, i int) {
	subject := string(v.Resources[i].Name)
	var good []string
	said := map[string]bool{}
	for _, t := range v.trials[i] {
		if t.err == nil {
			good = append(good, t.offering.String())
			continue
		}
		v.judgeTrial(ctx, i, t, said)
	}
	if len(good) > 0 {
		v.ok(AWSLaunch, subject, "EC2 would launch %s (dry run, without regard to capacity and quota)", some(good))
	}
}

// judgeTrial notes a dry run that did not work, once for each reason.
func (v *visit) judgeTrial(ctx context.Context, i int, t trial, said map[string]bool) {
	subject, failure := string(v.Resources[i].Name), messages.FailureOf(t.err)
	what := cure{AWSPermission, ""}
	refused := ec2.IsRefused(t.err) || strings.HasSuffix(failure.Code, codeNoSpotRole)
	if !refused {
		what = v.cureOf(i, t)
	}
	known := ""
	switch {
	case refused:
		known = string(AWSPermission) + " failed"
	case what.about != noCheck && v.has(what.about, subject, Fail, Warn):
		known = string(what.about) + " tells why"
	}
	key := known
	if known == "" {
		key = failure.Code + what.fix
	}
	if said[key] {
		return
	}
	said[key] = true
	message := fmt.Sprintf("EC2 would not launch %s: %s", t.offering, short(failure))
	switch failure.Class {
	case messages.ClassNoCapacity, messages.ClassNoAddresses, messages.ClassQuota:
		v.warn(AWSLaunch, subject, message, what.fix)
		return
	case messages.ClassTransient, messages.ClassThrottled:
		v.fail(AWSLaunch, subject, fmt.Sprintf("%s cannot be tried: %s", t.offering, short(failure)), v.retryFix(ctx))
		return
	default:
	}
	if known != "" {
		v.skip(fmt.Sprintf("%s (%s: %s)", known, t.offering, failure.Code), subject, AWSLaunch)
		return
	}
	v.fail(AWSLaunch, subject, message, what.fix)
}
