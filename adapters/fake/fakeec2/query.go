package fakeec2

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query reads the parameters of an EC2 Query API call and remembers which it
// was asked for.
type query struct {
	values url.Values
	used   map[string]bool
	err    error // the first parameter that could not be read
}

func newQuery(values url.Values) *query {
	return &query{values: values, used: map[string]bool{"Action": true, "Version": true}}
}

func (q *query) text(name string) string {
	q.used[name] = true
	return q.values.Get(name)
}

func (q *query) number(name string) int {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		q.fail(name, text, "an integer")
	}
	return n
}

func (q *query) flag(name string, unset bool) bool {
	text := q.text(name)
	switch strings.ToLower(text) {
	case "":
		return unset
	case "true", "1":
		return true
	case "false", "0":
		return false
	default:
		q.fail(name, text, "true or false")
		return unset
	}
}

func (q *query) fail(name, text, want string) {
	if q.err == nil {
		q.err = errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid. It must be %s.", text, name, want)
	}
}

// indexes lists the numbers N of the parameters name.N and name.N.anything, in
// order.
func (q *query) indexes(name string) []int {
	var list []int
	for key := range q.values {
		rest, ok := strings.CutPrefix(key, name+".")
		if !ok {
			continue
		}
		head, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(head); err == nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// list is the values of name.1, name.2 and so on.
func (q *query) list(name string) []string {
	var list []string
	for _, n := range q.indexes(name) {
		list = append(list, q.text(name+"."+strconv.Itoa(n)))
	}
	return list
}

func (q *query) filters() []Filter {
	var list []Filter
	for _, n := range q.indexes("Filter") {
		at := "Filter." + strconv.Itoa(n)
		list = append(list, Filter{Name: q.text(at + ".Name"), Values: q.list(at + ".Value")})
	}
	return list
}

func (q *query) tags(name string) []Tag {
	var list []Tag
	for _, n := range q.indexes(name) {
		at := name + "." + strconv.Itoa(n)
		list = append(list, Tag{Key: q.text(at + ".Key"), Value: q.text(at + ".Value")})
	}
	return list
}

// rest is every parameter that nobody asked for.
func (q *query) rest() map[string]string {
	left := map[string]string{}
	for key := range q.values {
		if !q.used[key] && !strings.HasPrefix(key, "X-Amz-") {
			left[key] = q.values.Get(key)
		}
	}
	return left
}

// runInput reads the parameters of RunInstances.
func (q *query) runInput() (RunInstancesInput, error) {
	in := RunInstancesInput{
		ImageID: q.text("ImageId"), InstanceType: q.text("InstanceType"), MinCount: q.number("MinCount"), MaxCount: q.number("MaxCount"),
		ClientToken: q.text("ClientToken"), SubnetID: q.text("SubnetId"), Zone: q.text("Placement.AvailabilityZone"), KeyName: q.text("KeyName"),
		SecurityGroupIDs: q.list("SecurityGroupId"), IAMProfileARN: q.text("IamInstanceProfile.Arn"), IAMProfileName: q.text("IamInstanceProfile.Name"),
		UserData: q.text("UserData"), ShutdownBehavior: q.text("InstanceInitiatedShutdownBehavior"), Monitoring: q.flag("Monitoring.Enabled", false),
		DisableTerminate: q.flag("DisableApiTermination", false), DryRun: q.flag("DryRun", false),
		Metadata: MetadataOptions{
			HTTPTokens: q.text("MetadataOptions.HttpTokens"), HTTPEndpoint: q.text("MetadataOptions.HttpEndpoint"),
			HopLimit: q.number("MetadataOptions.HttpPutResponseHopLimit"), InstanceTags: q.text("MetadataOptions.InstanceMetadataTags"),
		},
	}
	switch market := q.text("InstanceMarketOptions.MarketType"); market {
	case "":
	case "spot":
		const options = "InstanceMarketOptions.SpotOptions."
		in.Spot = &SpotOptions{
			MaxPrice: q.text(options + "MaxPrice"), RequestType: q.text(options + "SpotInstanceType"),
			InterruptionBehavior: q.text(options + "InstanceInterruptionBehavior"),
		}
	default:
		q.fail("InstanceMarketOptions.MarketType", market, "spot")
	}
	for _, n := range q.indexes("TagSpecification") {
		at := "TagSpecification." + strconv.Itoa(n)
		in.TagSpecifications = append(in.TagSpecifications, TagSpecification{ResourceType: q.text(at + ".ResourceType"), Tags: q.tags(at + ".Tag")})
	}
	q.blockDevices(&in)
	if err := q.networkInterface(&in); err != nil {
		return in, err
	}
	in.Extra = q.rest()
	for key := range in.Extra {
		if strings.HasPrefix(key, "LaunchTemplate.") {
			return in, errorf("Unsupported", "This fake region has no launch templates: put the parameters into the request.")
		}
	}
	return in, q.err
}

func (q *query) blockDevices(in *RunInstancesInput) {
	for _, n := range q.indexes("BlockDeviceMapping") {
		at := "BlockDeviceMapping." + strconv.Itoa(n)
		in.BlockDevices = append(in.BlockDevices, BlockDevice{
			DeviceName: q.text(at + ".DeviceName"), SnapshotID: q.text(at + ".Ebs.SnapshotId"), VolumeSize: q.number(at + ".Ebs.VolumeSize"),
			VolumeType: q.text(at + ".Ebs.VolumeType"), IOPS: q.number(at + ".Ebs.Iops"), Throughput: q.number(at + ".Ebs.Throughput"),
			Encrypted: q.flag(at+".Ebs.Encrypted", false), DeleteOnTermination: q.flag(at+".Ebs.DeleteOnTermination", true),
		})
	}
}

// networkInterface reads the one interface that a launch may describe itself.
func (q *query) networkInterface(in *RunInstancesInput) error {
	switch q.indexes("NetworkInterface"); len(q.indexes("NetworkInterface")) {
	case 0:
		return nil
	case 1:
	default:
		return errorf("Unsupported", "This fake region gives an instance one network interface.")
	}
	at := "NetworkInterface." + strconv.Itoa(q.indexes("NetworkInterface")[0])
	if in.SubnetID != "" {
		return errorf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	}
	if len(in.SecurityGroupIDs) > 0 {
		return errorf("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	in.SubnetID = q.text(at + ".SubnetId")
	in.SecurityGroupIDs = q.list(at + ".SecurityGroupId")
	in.PublicIP = q.flag(at+".AssociatePublicIpAddress", false)
	return nil
}
