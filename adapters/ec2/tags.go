package ec2

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/messages"
)

// The tags by which instances are found again.
const (
	// TagAutoscaler is the owner tag: the name of the autoscaler.
	TagAutoscaler = "ebb:autoscaler"
	// TagResource is the name of the resource type.
	TagResource = "ebb:resource"
	// TagIntent is the launch id, the name of the intent in the launch ledger.
	TagIntent = "ebb:intent"
	// TagQueue is the home queue: the one whose metadata the supervisor on the
	// instance listens on.
	TagQueue = "ebb:queue"
)

const (
	tagName = "Name"
	// EC2's limits, in characters, and tags per resource.
	tagKeyMax   = 128
	tagValueMax = 256
	tagCountMax = 50
	// ownedTags is how many tags come on top of the user's: three by which
	// instances are found, and the home queue; besides, a Name if they have none.
	ownedTags = 4
)

// checkTags returns what EC2 would refuse in the user's tags, a sentence each.
func checkTags(where string, tags map[string]string) []error {
	var problems []error
	needed := ownedTags
	if _, named := tags[tagName]; !named {
		needed++
	}
	if len(tags) > tagCountMax-needed {
		problems = append(problems, fmt.Errorf("%s: %d tags: EC2 allows %d and %d are needed to find the instance again, so at most %d",
			where, len(tags), tagCountMax, needed, tagCountMax-needed))
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		switch value := tags[key]; {
		case key == "":
			problems = append(problems, fmt.Errorf("%s: a tag has no key (its value is %q)", where, value))
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			problems = append(problems, fmt.Errorf("%s: tag %q: keys that begin with aws: belong to AWS, choose another", where, key))
		case utf8.RuneCountInString(key) > tagKeyMax:
			problems = append(problems, fmt.Errorf("%s: tag %.20q…: the key is longer than %d characters", where, key, tagKeyMax))
		case utf8.RuneCountInString(value) > tagValueMax:
			problems = append(problems, fmt.Errorf("%s: tag %q: the value is longer than %d characters", where, key, tagValueMax))
		}
	}
	return problems
}

// tagSpecifications says how all that one launch creates is tagged. Lists are
// in a fixed order: EC2 compares them when it sees a ClientToken again.
func (p *launchPlan) tagSpecifications(launch messages.LaunchID, spot bool) []types.TagSpecification {
	kinds := []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface}
	if spot {
		kinds = append(kinds, types.ResourceTypeSpotInstancesRequest)
	}
	for _, kind := range slices.Sorted(maps.Keys(p.extraTags)) {
		// There is no spot request to tag when the market is on demand.
		if kind != types.ResourceTypeSpotInstancesRequest && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}

	name := p.autoscaler + "-" + string(p.resource)
	specifications := make([]types.TagSpecification, 0, len(kinds))
	for _, kind := range kinds {
		tags := map[string]string{tagName: strings.ToValidUTF8(name[:min(len(name), tagValueMax)], "")}
		maps.Copy(tags, p.template.Tags)
		maps.Copy(tags, p.extraTags[kind])
		tags[TagAutoscaler] = p.autoscaler
		tags[TagResource] = string(p.resource)
		tags[TagIntent] = string(launch)
		delete(tags, TagQueue)
		if p.template.Home != "" {
			tags[TagQueue] = string(p.template.Home)
		}
		specifications = append(specifications, types.TagSpecification{ResourceType: kind, Tags: sortedTags(tags)})
	}
	return specifications
}

func sortedTags(tags map[string]string) []types.Tag {
	sorted := make([]types.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		sorted = append(sorted, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return sorted
}

// tagValue is the value of the tag with that key, and whether there is one.
func tagValue(tags []types.Tag, key string) (string, bool) {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value), true
		}
	}
	return "", false
}
