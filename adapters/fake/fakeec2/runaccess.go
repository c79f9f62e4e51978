package fakeec2

import (
	"slices"
	"strings"
)

// resolvePrefix marks an image that is named by a parameter of SSM.
const resolvePrefix = "resolve:ssm:"

// resolveImage puts the image that a parameter holds in the place of its name.
func (c *Cloud) resolveImage(l *launch) error {
	name, ok := strings.CutPrefix(l.ImageID, resolvePrefix)
	if !ok {
		return nil
	}
	if slices.Contains(c.denied, "GetParameters") {
		return c.cat.errDenied("ssm:GetParameters", "arn:aws:ssm:"+c.cat.Region+":"+c.cat.AccountID+":parameter"+name)
	}
	image, known := c.cat.Parameters[name]
	switch {
	case known:
		l.ImageID = image
	case c.cat.Permissive && len(c.cat.Images) > 0:
		l.ImageID = c.cat.imageFor(l.typ.Architecture)
	default:
		return errorf("SsmInvalidParameter", "The parameter %s could not be resolved: it does not exist.", name)
	}
	return nil
}

// imageFor is an image of the catalog with an architecture, or the first.
func (c Catalog) imageFor(architecture string) string {
	for _, i := range c.Images {
		if i.Architecture == architecture {
			return i.ID
		}
	}
	return c.Images[0].ID
}

// checkNetworks refuses security groups of another VPC than the subnet's.
func (c *Cloud) checkNetworks(l *launch) error {
	if l.anyGroup {
		return nil // the subnet's VPC has a default one
	}
	for _, id := range l.SecurityGroupIDs {
		at := slices.IndexFunc(c.cat.SecurityGroups, func(g SecurityGroup) bool { return g.ID == id })
		if at < 0 {
			continue // a permissive catalog
		}
		for _, s := range l.candidates {
			if c.cat.vpc(c.cat.SecurityGroups[at].VPCID) != c.cat.vpc(s.VPCID) {
				return errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, s.ID)
			}
		}
	}
	return nil
}

// checkProfile looks for the instance profile, and whether its role may be given.
func (c *Cloud) checkProfile(l *launch) error {
	name, parameter := l.IAMProfileName, "name"
	if l.IAMProfileARN != "" {
		parameter = "arn"
		name = l.IAMProfileARN[strings.LastIndex(l.IAMProfileARN, "/")+1:]
	}
	if name == "" {
		return nil
	}
	if !c.cat.Permissive && !slices.Contains(c.cat.InstanceProfiles, name) {
		what := map[string]string{"name": "Invalid IAM Instance Profile name", "arn": "Invalid IAM Instance Profile ARN"}[parameter]
		return errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.%s is invalid. %s",
			l.IAMProfileARN+l.IAMProfileName, parameter, what)
	}
	if slices.Contains(c.denied, "PassRole") {
		return c.cat.errDenied("iam:PassRole", "arn:aws:iam::"+c.cat.AccountID+":role/"+name)
	}
	return nil
}

// mayTouch says whether the policy lets the caller end an instance and read its
// console. What does not exist carries no tag.
func (c *Cloud) mayTouch(action, id string) error {
	if c.owner.Key == "" {
		return nil
	}
	if i, ok := c.byID[id]; ok && slices.Contains(c.resources[i.ID].tags, c.owner) {
		return nil
	}
	return c.cat.errDenied("ec2:"+action, c.cat.arn("instance", id))
}
