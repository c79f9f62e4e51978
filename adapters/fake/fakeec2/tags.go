package fakeec2

import (
	"slices"
	"strings"
)

// maxTags is how many tags one resource can carry.
const maxTags = 50

// TagDescription is one tag of one resource.
type TagDescription struct {
	ResourceID   string
	ResourceType string
	Key          string
	Value        string
}

// checkTags refuses tags that EC2 would refuse to add to those already there.
func checkTags(have, add []Tag) error {
	keys := map[string]bool{}
	for _, t := range have {
		keys[t.Key] = true
	}
	added := map[string]bool{}
	for _, t := range add {
		switch {
		case t.Key == "":
			return errorf("InvalidParameterValue", "Tag key cannot be null or empty.")
		case len([]rune(t.Key)) > 128:
			return errorf("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters: '%s'", t.Key)
		case len([]rune(t.Value)) > 256:
			return errorf("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters: '%s'", t.Value)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case added[t.Key]:
			return errorf("InvalidParameterValue", "Duplicate tag key '%s' specified.", t.Key)
		}
		keys[t.Key], added[t.Key] = true, true
	}
	if len(keys) > maxTags {
		return errorf("TagLimitExceeded", "More than %d tags specified", maxTags)
	}
	return nil
}

// checkMetadataTags refuses keys that cannot be a path of the metadata service.
func checkMetadataTags(tags []Tag) error {
	const allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+=,.@:"
	for _, t := range tags {
		if strings.Trim(t.Key, allowed) != "" || len(t.Key) > 255 || slices.Contains([]string{".", "..", "_index"}, t.Key) {
			return errorf("InvalidParameterValue", "'%s' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), "+
				"and must not be a reserved name ('.', '..', '_index').", t.Key)
		}
	}
	return nil
}

// tagged finds the resources that a tag call names, all or none.
func (c *Cloud) tagged(ids []string) ([]*resource, error) {
	if len(ids) == 0 {
		return nil, errorf("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	if len(ids) > 1000 {
		return nil, errorf("InvalidParameterValue", "At most 1000 resources can be tagged in one request, not %d.", len(ids))
	}
	var list []*resource
	for _, id := range ids {
		r, ok := c.resources[id]
		if i, isInstance := c.byID[id]; isInstance && c.now().Before(i.visible) {
			ok = false
		}
		if !ok {
			return nil, errNoResource(id)
		}
		list = append(list, r)
	}
	return list, nil
}

func errNoResource(id string) *APIError {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "i":
		return errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
	case "vol":
		return errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
	case "sir":
		return errorf("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
	case "eni":
		return errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
	default:
		return errorf("InvalidID", "The ID '%s' is not valid", id)
	}
}

// CreateTags adds tags to resources, or replaces the values of those they have.
func (c *Cloud) CreateTags(ids []string, tags []Tag, dryRun bool) error {
	_, err := serve(c, call{action: "CreateTags", dryRun: dryRun}, func(Fault) (bool, error) {
		list, err := c.tagged(ids)
		if err != nil {
			return false, err
		}
		for _, r := range list {
			if err := checkTags(r.tags, tags); err != nil {
				return false, err
			}
			if i, ok := c.byID[r.id]; ok && i.Metadata.InstanceTags == "enabled" {
				if err := checkMetadataTags(tags); err != nil {
					return false, err
				}
			}
		}
		for _, r := range list {
			for _, t := range tags {
				r.tags = slices.DeleteFunc(slices.Clone(r.tags), func(old Tag) bool { return old.Key == t.Key })
				r.tags = append(r.tags, t)
			}
			slices.SortFunc(r.tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
		}
		return true, nil
	})
	return err
}

// DeleteTags takes tags off resources: those with the key, and the value unless
// that is empty. Without tags it takes off all of them.
func (c *Cloud) DeleteTags(ids []string, tags []Tag, dryRun bool) error {
	_, err := serve(c, call{action: "DeleteTags", dryRun: dryRun}, func(Fault) (bool, error) {
		list, err := c.tagged(ids)
		if err != nil {
			return false, err
		}
		for _, r := range list {
			r.tags = slices.DeleteFunc(slices.Clone(r.tags), func(old Tag) bool {
				return len(tags) == 0 || slices.ContainsFunc(tags, func(t Tag) bool {
					return t.Key == old.Key && (t.Value == "" || t.Value == old.Value)
				})
			})
		}
		return true, nil
	})
	return err
}

// DescribeTagsInput selects tags.
type DescribeTagsInput struct {
	Filters    []Filter
	MaxResults int
	NextToken  string
	DryRun     bool
}

// DescribeTags lists tags of what Describe shows, by resource and key.
func (c *Cloud) DescribeTags(in DescribeTagsInput) ([]TagDescription, string, error) {
	type page struct {
		tags []TagDescription
		next string
	}
	gate := call{action: "DescribeTags", page: pageOf(in.NextToken), broad: len(in.Filters) == 0 && in.MaxResults == 0, dryRun: in.DryRun}
	out, err := serve(c, gate, func(Fault) (page, error) {
		known := []string{"key", "value", "resource-id", "resource-type", "tag:"}
		if err := checkFilters(in.Filters, known); err != nil {
			return page{}, err
		}
		var all []TagDescription
		for _, id := range c.taggedIDs() {
			r := c.resources[id]
			for _, t := range r.tags {
				d := TagDescription{r.id, r.kind, t.Key, t.Value}
				if matches(in.Filters, d.attribute) {
					all = append(all, d)
				}
			}
		}
		shown, next, err := paginate(all, in.MaxResults, in.NextToken)
		return page{shown, next}, err
	})
	return out.tags, out.next, err
}

// taggedIDs lists the resources of visible instances, in launch order.
func (c *Cloud) taggedIDs() []string {
	var ids []string
	for _, i := range c.instances {
		if _, ok := c.shown(i); !ok {
			continue
		}
		ids = append(ids, i.ID, i.NetworkInterfaceID)
		for _, d := range i.Disks {
			ids = append(ids, d.VolumeID)
		}
		if i.SpotRequestID != "" {
			ids = append(ids, i.SpotRequestID)
		}
	}
	return ids
}

func (d TagDescription) attribute(name string) []string {
	switch name {
	case "key":
		return []string{d.Key}
	case "value":
		return []string{d.Value}
	case "resource-id":
		return []string{d.ResourceID}
	case "resource-type":
		return []string{d.ResourceType}
	case "tag:" + d.Key:
		return []string{d.Value}
	default:
		return nil
	}
}
