package doctor

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// codeNoSpotRole is EC2's code for a spot request of an account that never made
// one, by somebody who may not make the role that it needs.
const codeNoSpotRole = "ServiceLinkedRoleCreationNotPermitted"

// checkPermissions notes for each action that ebb needs whether it is granted.
// refused is the answer to DescribeInstances, if that was a refusal.
func (v *visit) checkPermissions(ctx context.Context, refused *messages.Failure) {
	if refused != nil {
		v.lacks(describeInstances, Fail, short(refused))
	} else {
		v.granted(describeInstances)
	}
	v.launchPermissions(ctx)
	v.instancePermission(ctx, terminateInstances, Fail, v.prober.TryTerminate)
	v.instancePermission(ctx, getConsoleOutput, Warn, v.prober.TryConsole)
	v.spotPermission(ctx)
}

func (v *visit) granted(action string) { v.ok(AWSPermission, action, "is granted") }

// lacks notes an action that is refused. Status says how bad that is.
func (v *visit) lacks(action string, status Status, why string) {
	message := "is refused: " + why
	switch action {
	case getConsoleOutput:
		message += " (ebb works without it, and cannot show why an instance did not boot)"
	case describeSpot:
		message += " (ebb works without it, and hears of spot interruptions from the instances alone)"
	}
	v.add(AWSPermission, action, status, message, v.grantFix(action))
}

// grantFix says how to grant an action.
func (v *visit) grantFix(action string) string {
	to := ""
	if v.who.ARN != "" {
		to = " to " + v.who.ARN
	}
	printed := ": ebb iam-policy --config " + v.options.Path + " prints the policy"
	switch action {
	case passRole:
		return "grant iam:PassRole on the role in the instance profile" + to + printed
	case getParameters:
		return "grant ssm:GetParameters on the parameter of " + v.path + ".resources[].ami_id" + to + printed
	case spotRole:
		return "once for the account: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com; " +
			"or grant iam:CreateServiceLinkedRole" + to + printed
	}
	return "grant " + action + to + printed
}

// launchPermissions judges by the dry runs of launches what these need.
func (v *visit) launchPermissions(ctx context.Context) {
	lacking := v.lackingForLaunch(ctx)
	taken := func(needs func(trial) bool) bool {
		return v.anyTrial(func(t trial) bool { return t.err == nil && needs(t) })
	}
	for _, action := range []string{runInstances, createTags, passRole, getParameters, spotRole} {
		needs := needsOf(action)
		switch why, refused := lacking[action]; {
		case refused:
			v.lacks(action, Fail, why)
		case !v.anyTrial(needs) || action == spotRole:
			// Nothing in the configuration needs it; the role for spot is made once
			// for an account, and only its lack shows.
		case taken(needs):
			v.granted(action)
		case len(lacking) > 0:
			v.skip("a launch was refused for want of another permission", action, AWSPermission)
		default:
			v.skip("no dry run of a launch came so far: see aws.launch", action, AWSPermission)
		}
	}
}

// needsOf says which launches need an action.
func needsOf(action string) func(trial) bool {
	switch action {
	case passRole:
		return func(t trial) bool { return t.parts.Profile != "" }
	case getParameters:
		return func(t trial) bool { return strings.HasPrefix(t.parts.Image, resolvePrefix) }
	case spotRole:
		return func(t trial) bool { return t.parts.Market == messages.Spot }
	}
	return func(trial) bool { return true }
}

// lackingForLaunch finds the actions for whose lack a launch was refused, each
// with EC2's words.
func (v *visit) lackingForLaunch(ctx context.Context) map[string]string {
	lacking := map[string]string{}
	for i, trials := range v.trials {
		for _, t := range trials {
			if t.err == nil {
				continue
			}
			action := v.refusedAction(ctx, v.Resources[i].Name, t)
			if _, known := lacking[action]; action == "" || known {
				continue
			}
			lacking[action] = fmt.Sprintf("%s (resource %s, %s)", short(messages.FailureOf(t.err)), v.Resources[i].Name, t.offering)
		}
	}
	return lacking
}

// refusedAction is the action for whose lack a launch was refused, empty when
// it was refused for something else. EC2 names the action in most refusals; in
// others, launches that do without a part tell.
func (v *visit) refusedAction(ctx context.Context, resource messages.ResourceName, t trial) string {
	failure := messages.FailureOf(t.err)
	if strings.HasSuffix(failure.Code, codeNoSpotRole) {
		return spotRole
	}
	if !ec2.IsRefused(t.err) {
		return ""
	}
	named := regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)`).FindStringSubmatch(failure.Message)
	if named != nil {
		if slices.Contains(Permissions(), named[1]) {
			return named[1]
		}
		return runInstances
	}
	without := ec2.Trial{Resource: resource, Offering: t.offering, WithoutTags: true}
	if v.prober.TryLaunch(ctx, without) == nil {
		return createTags
	}
	without = ec2.Trial{Resource: resource, Offering: t.offering, WithoutProfile: true}
	if t.parts.Profile != "" && v.prober.TryLaunch(ctx, without) == nil {
		return passRole
	}
	return runInstances
}

// anyTrial tells whether a dry run of a launch is such.
func (v *visit) anyTrial(is func(trial) bool) bool {
	for _, trials := range v.trials {
		if slices.ContainsFunc(trials, is) {
			return true
		}
	}
	return false
}

// instancePermission tries an action on an instance: one of the autoscaler's,
// and else one that does not exist.
func (v *visit) instancePermission(
	ctx context.Context, action string, bad Status, try func(context.Context, messages.InstanceID) error,
) {
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	id := v.fleet.alive()
	err := patiently(limited, func() error { return try(limited, id) })
	switch {
	case err == nil:
		v.granted(action)
	case !ec2.IsRefused(err):
		v.add(AWSPermission, action, bad, "cannot be tried: "+short(messages.FailureOf(err)), v.retryFix(ctx))
	case id == "" && v.onlyOwn(ctx):
		v.skip("the policy grants it for instances of this autoscaler alone, and there is none yet: ask again when one runs", action, AWSPermission)
	default:
		v.lacks(action, bad, short(messages.FailureOf(err)))
	}
}

func (v *visit) retryFix(ctx context.Context) string {
	if late(ctx) {
		return v.options.lateFix()
	}
	return "ask again; if it stays, look at AWS's health page"
}

// onlyOwn tells whether the policy is limited to what carries the owner tag, as
// the restricted one of ebb iam-policy is: a launch that works is refused with
// the tag of somebody else. Such a policy also refuses to end an instance that
// does not exist, which has no tag.
func (v *visit) onlyOwn(ctx context.Context) bool {
	for i, trials := range v.trials {
		for _, t := range trials {
			if t.err != nil {
				continue
			}
			err := patiently(ctx, func() error {
				return v.prober.TryLaunch(ctx, ec2.Trial{Resource: v.Resources[i].Name, Offering: t.offering, Foreign: true})
			})
			return err != nil && ec2.IsRefused(err)
		}
	}
	return false
}

func (v *visit) spotPermission(ctx context.Context) {
	if !v.anyTrial(func(t trial) bool { return t.parts.Market == messages.Spot }) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	switch err := patiently(limited, func() error { return v.prober.TrySpotRequests(limited) }); {
	case err == nil:
		v.granted(describeSpot)
	case ec2.IsRefused(err):
		v.lacks(describeSpot, Warn, short(messages.FailureOf(err)))
	default:
		v.add(AWSPermission, describeSpot, Warn, "cannot be tried: "+short(messages.FailureOf(err)), v.retryFix(ctx))
	}
}
