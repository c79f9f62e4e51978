package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/ec2"
)

// checkSubnets looks at the subnets that launches name, or at the default ones
// if they name none. It answers the VPC that launches go to, empty when that is
// not known.
func (v *visit) checkSubnets(ctx context.Context, i int, b *books) (vpc string) {
	subnets := v.distinct(i, func(p ec2.Parts) []string { return p.Subnets })
	if len(subnets) == 0 {
		return v.checkDefaultSubnets(ctx, i, b)
	}
	subject, key := string(v.Resources[i].Name), v.keyOf(i, v.trials[i][0].parts, "subnets")
	good, vpcs := []string{}, []string{}
	for _, id := range subnets {
		subnet, err := b.subnets.of(ctx, id)
		switch {
		case err != nil && ec2.IsMissing(err):
			v.fail(AWSSubnet, subject, fmt.Sprintf("%s does not exist in %s", id, v.config.AWS.Region),
				"write ids of subnets of this region (aws ec2 describe-subnets) as "+key)
			continue
		case err != nil:
			v.unknown(ctx, AWSSubnet, subject, err)
			return ""
		}
		if !slices.Contains(vpcs, subnet.VPC) {
			vpcs = append(vpcs, subnet.VPC)
		}
		switch said := v.zoneSaid(i, id); {
		case said != "" && said != subnet.Zone:
			v.fail(AWSSubnet, subject, fmt.Sprintf("%s lies in %s, and the configuration says %s", id, subnet.Zone, said),
				fmt.Sprintf("write %s in the same place of %s, or a subnet of %s in %s", subnet.Zone, v.resourcePath(i)+".availability_zones", said, key))
		case subnet.Free == 0:
			v.warn(AWSSubnet, subject, id+" has no free address", "write more subnets as "+key)
		default:
			good = append(good, fmt.Sprintf("%s (%s, %d addresses free)", id, subnet.Zone, subnet.Free))
		}
	}
	if len(good) == len(subnets) {
		v.ok(AWSSubnet, subject, "%s", some(good))
	}
	if len(vpcs) != 1 {
		return ""
	}
	return vpcs[0]
}

// zoneSaid is the zone that the configuration writes beside a subnet.
func (v *visit) zoneSaid(i int, subnet string) string {
	for _, t := range v.trials[i] {
		if slices.Contains(t.parts.Subnets, subnet) {
			return t.parts.Zone
		}
	}
	return ""
}

// checkDefaultSubnets looks whether each zone has a subnet that launches into it
// go to.
func (v *visit) checkDefaultSubnets(ctx context.Context, i int, b *books) (vpc string) {
	subject, key := string(v.Resources[i].Name), v.keyOf(i, v.trials[i][0].parts, "subnets")
	if v.trials[i][0].parts.Template {
		v.skip("the launch template may name the subnet: aws.launch tries it", subject, AWSSubnet)
		return ""
	}
	subnets, err := b.defaults.of(ctx, "")
	if err != nil {
		v.unknown(ctx, AWSSubnet, subject, err)
		return ""
	}
	if len(subnets) == 0 {
		v.fail(AWSSubnet, subject, "no subnets are named, and this account has no default VPC in "+v.config.AWS.Region, "write subnets as "+key)
		return ""
	}
	var without []string
	for _, zone := range v.distinct(i, func(p ec2.Parts) []string { return []string{p.Zone} }) {
		if !slices.ContainsFunc(subnets, func(s ec2.Subnet) bool { return s.Zone == zone }) {
			without = append(without, zone)
		}
	}
	if len(without) > 0 {
		v.fail(AWSSubnet, subject, "the default VPC has no subnet in "+strings.Join(without, ", "),
			"correct "+v.keyOf(i, v.trials[i][0].parts, "availability_zones")+" (aws ec2 describe-availability-zones), or write subnets as "+key)
		return subnets[0].VPC
	}
	v.ok(AWSSubnet, subject, "none is named: the default VPC %s has one in each zone asked for", subnets[0].VPC)
	return subnets[0].VPC
}

// checkGroups looks at the security groups: whether they exist, and are of the
// VPC that launches go to.
func (v *visit) checkGroups(ctx context.Context, i int, b *books, vpc string) {
	groups := v.distinct(i, func(p ec2.Parts) []string { return p.Groups })
	if len(groups) == 0 {
		return
	}
	subject, key := string(v.Resources[i].Name), v.keyOf(i, v.trials[i][0].parts, "security_groups")
	for _, id := range groups {
		of, err := b.groups.of(ctx, id)
		switch {
		case err != nil && ec2.IsMissing(err):
			v.fail(AWSGroup, subject, fmt.Sprintf("%s does not exist in %s", id, v.config.AWS.Region),
				"write ids of security groups of this region (aws ec2 describe-security-groups) as "+key)
			return
		case err != nil:
			v.unknown(ctx, AWSGroup, subject, err)
			return
		case vpc != "" && of != vpc:
			v.fail(AWSGroup, subject, fmt.Sprintf("%s belongs to %s, and the subnets to %s", id, of, vpc),
				fmt.Sprintf("write a group of %s as %s, or subnets of %s as %s", vpc, key, of, v.keyOf(i, v.trials[i][0].parts, "subnets")))
			return
		}
	}
	if vpc == "" {
		v.ok(AWSGroup, subject, "%s exist; which VPC the subnets have is not known", some(groups))
		return
	}
	v.ok(AWSGroup, subject, "%s, of the subnets' VPC", some(groups))
}
