package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// resolvePrefix marks an image that is named by a parameter of SSM.
const resolvePrefix = "resolve:ssm:"

// noLook is why something was not looked up: ebb needs none of these rights.
const noLook = "the credentials have no right to look that up, and ebb needs none: aws.launch tries the same"

// checkResource looks at what the launches of a resource type name.
func (v *visit) checkResource(ctx context.Context, i int, b *books) {
	v.checkImages(ctx, i, b)
	v.checkOfferings(ctx, i, b)
	vpc := v.checkSubnets(ctx, i, b)
	v.checkGroups(ctx, i, b, vpc)
	v.checkKeyPair(ctx, i, b)
	v.checkProfile(i)
	v.checkLaunch(ctx, i)
}

// distinct lists what the launches of a resource type name, in order, each once.
func (v *visit) distinct(i int, part func(ec2.Parts) []string) []string {
	var all []string
	for _, t := range v.trials[i] {
		for _, name := range part(t.parts) {
			if name != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// unknown notes a look-up that gave no answer.
func (v *visit) unknown(ctx context.Context, id ID, subject string, err error) {
	if ec2.IsRefused(err) {
		v.skip(noLook, subject, id)
		return
	}
	v.fail(id, subject, err.Error(), v.retryFix(ctx))
}

func (v *visit) checkImages(ctx context.Context, i int, b *books) {
	subject := string(v.Resources[i].Name)
	images := v.distinct(i, func(p ec2.Parts) []string { return []string{p.Image} })
	if len(images) == 0 {
		v.skip("the launch template names the image: aws.launch tries it", subject, AWSImage)
	}
	for _, id := range images {
		if strings.HasPrefix(id, resolvePrefix) {
			v.checkResolved(i, id)
			continue
		}
		v.checkImage(ctx, i, id, b)
	}
}

func (v *visit) checkImage(ctx context.Context, i int, id string, b *books) {
	subject, key, region := string(v.Resources[i].Name), v.keyOf(i, v.trials[i][0].parts, "ami_id"), v.config.AWS.Region
	image, err := b.images.of(ctx, id)
	switch {
	case err != nil && ec2.IsMissing(err):
		v.fail(AWSImage, subject, fmt.Sprintf("%s does not exist in %s, or is not shared with this account", id, region),
			"write the id that the image has in "+region+" as "+key+" (every region has ids of its own), or share it")
		return
	case err != nil:
		v.unknown(ctx, AWSImage, subject, err)
		return
	case image.State != "available":
		v.fail(AWSImage, subject, fmt.Sprintf("%s (%s) is %s and not available", id, image.Name, image.State), "wait until it is, or write another image as "+key)
		return
	case image.Windows:
		v.fail(AWSImage, subject, fmt.Sprintf("%s (%s) is one of Windows, and instances are set up with bash", id, image.Name), "write an image of Linux as "+key)
		return
	}
	for _, name := range v.distinct(i, func(p ec2.Parts) []string { return []string{p.InstanceType} }) {
		about, err := b.types.of(ctx, name)
		if err == nil && !slices.Contains(about.Architectures, image.Architecture) {
			wanted := strings.Join(about.Architectures, " or ")
			v.fail(AWSImage, subject, fmt.Sprintf("%s (%s) is for %s, and %s is %s", id, image.Name, image.Architecture, name, wanted),
				fmt.Sprintf("write an image for %s as %s, or types for %s as %s", wanted, key, image.Architecture, v.keyOf(i, v.trials[i][0].parts, "instance_types")))
			return
		}
	}
	v.ok(AWSImage, subject, "%s (%s) is available, for %s", id, image.Name, image.Architecture)
}

// checkResolved judges an image that EC2 finds out at the launch, by what the
// dry runs say about it.
func (v *visit) checkResolved(i int, id string) {
	subject := string(v.Resources[i].Name)
	for _, t := range v.trials[i] {
		if t.parts.Image != id {
			continue
		}
		if t.err == nil {
			v.ok(AWSImage, subject, "%s names an image that EC2 takes", id)
			return
		}
		if ec2.IsRefused(t.err) {
			continue
		}
		if c := v.cureOf(i, t); c.about == AWSImage {
			v.fail(AWSImage, subject, id+": "+short(messages.FailureOf(t.err)), c.fix)
			return
		}
	}
	v.skip("EC2 finds the image of "+id+" at the launch, and no dry run came so far", subject, AWSImage)
}

// checkOfferings compares types and places with what the region sells.
func (v *visit) checkOfferings(ctx context.Context, i int, b *books) {
	if !v.checkTypes(ctx, i, b) {
		return
	}
	subject := string(v.Resources[i].Name)
	var sold, missing []string
	note := func(list *[]string, words string) {
		if !slices.Contains(*list, words) {
			*list = append(*list, words)
		}
	}
	for _, t := range v.trials[i] {
		zones, err := b.offered.of(ctx, t.parts.InstanceType)
		if err != nil {
			v.unknown(ctx, AWSOffering, subject, err)
			return
		}
		switch zone := v.zoneOf(ctx, t.parts, b); {
		case zone == "" && len(zones) > 0:
			note(&sold, t.parts.InstanceType+" in any zone")
		case slices.Contains(zones, zone):
			note(&sold, t.parts.InstanceType+" in "+zone)
		case zone == "":
			note(&missing, t.parts.InstanceType+" in any zone")
		default:
			note(&missing, fmt.Sprintf("%s in %s (offered in %s)", t.parts.InstanceType, zone, orNowhere(zones)))
		}
	}
	fix := "write zones (or subnets in zones) that have the type as " + v.placeKey(i) + ", or other types as " + v.typesKey(i)
	switch {
	case len(sold) == 0:
		v.fail(AWSOffering, subject, "is not offered: "+some(missing), fix)
	case len(missing) > 0:
		v.warn(AWSOffering, subject, "is not offered: "+some(missing)+"; ebb uses the others", fix)
	default:
		v.ok(AWSOffering, subject, "offered: %s", some(sold))
	}
}

// checkTypes looks whether the region has the types, and sells them on the
// market that is asked. It reports whether to go on.
func (v *visit) checkTypes(ctx context.Context, i int, b *books) bool {
	subject := string(v.Resources[i].Name)
	for _, name := range v.distinct(i, func(p ec2.Parts) []string { return []string{p.InstanceType} }) {
		about, err := b.types.of(ctx, name)
		switch {
		case err != nil && ec2.IsMissing(err):
			v.fail(AWSOffering, subject, fmt.Sprintf("%s has no instance type %s", v.config.AWS.Region, name), "write another type in "+v.typesKey(i))
			return false
		case err != nil:
			v.unknown(ctx, AWSOffering, subject, err)
			return false
		case !about.Spot && v.trials[i][0].parts.Market == messages.Spot:
			v.fail(AWSOffering, subject, name+" is not sold on the spot market",
				"take it out of "+v.typesKey(i)+", or write "+v.resourcePath(i)+".market: on_demand")
			return false
		}
	}
	return true
}

// typesKey is the key that says what is launched.
func (v *visit) typesKey(i int) string {
	return v.keyOf(i, v.trials[i][0].parts, "instance_types")
}

// placeKey is the key that says where a resource type is launched.
func (v *visit) placeKey(i int) string {
	parts := v.trials[i][0].parts
	if len(parts.Subnets) > 0 {
		return v.keyOf(i, parts, "subnets")
	}
	return v.keyOf(i, parts, "availability_zones")
}

// zoneOf is the zone that a launch goes to: the subnet's, or else the one that
// it names; empty when EC2 chooses.
func (v *visit) zoneOf(ctx context.Context, parts ec2.Parts, b *books) string {
	if len(parts.Subnets) > 0 {
		if subnet, err := b.subnets.of(ctx, parts.Subnets[0]); err == nil {
			return subnet.Zone
		}
	}
	return parts.Zone
}

func orNowhere(zones []string) string {
	if len(zones) == 0 {
		return "no zone of the region"
	}
	return strings.Join(zones, ", ")
}

func (v *visit) checkKeyPair(ctx context.Context, i int, b *books) {
	subject := string(v.Resources[i].Name)
	for _, name := range v.distinct(i, func(p ec2.Parts) []string { return []string{p.KeyPair} }) {
		_, err := b.keys.of(ctx, name)
		switch {
		case err == nil:
			v.ok(AWSKeyPair, subject, "%s exists", name)
		case ec2.IsMissing(err):
			v.fail(AWSKeyPair, subject, fmt.Sprintf("%s has no key pair %q", v.config.AWS.Region, name),
				"write the name of one (aws ec2 describe-key-pairs) as "+v.keyOf(i, v.trials[i][0].parts, "key_pair")+", or remove the key: ebb needs none")
		default:
			v.unknown(ctx, AWSKeyPair, subject, err)
		}
	}
}

// checkProfile judges the instance profile by what the dry runs say about it.
func (v *visit) checkProfile(i int) {
	subject := string(v.Resources[i].Name)
	for _, name := range v.distinct(i, func(p ec2.Parts) []string { return []string{p.Profile} }) {
		settled := false
		for _, t := range v.trials[i] {
			if t.parts.Profile != name {
				continue
			}
			if t.err == nil {
				v.ok(AWSProfile, subject, "%s exists, and instances can get it", name)
				settled = true
				break
			}
			if c := v.cureOf(i, t); c.about == AWSProfile && !ec2.IsRefused(t.err) {
				v.fail(AWSProfile, subject, name+": "+short(messages.FailureOf(t.err)), c.fix)
				settled = true
				break
			}
		}
		if !settled {
			v.skip("only a dry run of a launch tells, and none came so far", subject, AWSProfile)
		}
	}
}
