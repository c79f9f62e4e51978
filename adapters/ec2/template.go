package ec2

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/messages"
)

// userDataMax is how many bytes of user data EC2 takes, before base64.
const userDataMax = 16 << 10

// volumeSettingMax is above what EC2 takes for any volume's size in GiB, IOPS
// or throughput: 65,536, 256,000 and some thousands.
const volumeSettingMax = 1_000_000

// Template is how the instances of one resource type are launched, but for what
// comes with each request: type, market, place, number and tags.
type Template struct {
	// AMI is the image: an id, or resolve:ssm:<parameter>. It may be empty when
	// Extra gives an ImageId or a LaunchTemplate.
	AMI string
	// KeyPair is the name of the SSH key pair; empty for none.
	KeyPair string
	// SecurityGroups are ids (sg-…); empty for the default of the VPC.
	SecurityGroups []string
	// Home is the queue whose metadata the supervisor on an instance listens on,
	// the first of the queues that its agent pulls from. It goes on the instance
	// as tag [TagQueue], so at most 256 characters; empty for instances without a
	// supervisor.
	Home messages.QueueName
	// Tags go on instance, volumes, network interface and spot request.
	Tags map[string]string
	// Volumes are the disks that differ from those of the image.
	Volumes []Volume
	// ProfileARN and ProfileName name the instance profile; at most one is
	// given, both empty for none.
	ProfileARN  string
	ProfileName string
	// Monitoring turns on one-minute metrics, which cost extra.
	Monitoring bool
	// UserData is what runs at first boot, as it is, at most 16 KiB. It may be
	// gzip.
	UserData []byte
	// DockerMode lets containers of the instance reach its metadata service: a
	// hop limit of 2 in place of 1.
	DockerMode bool
	// SpotMaxPrice is in US dollars per hour, such as "0.35"; empty for the
	// on-demand price.
	SpotMaxPrice string
	// Extra are more launch parameters, with the field names of RunInstances.
	// They are laid over the request last: maps field by field, lists as a
	// whole, tags tag by tag. A type, market or place given here wins over the
	// offering that was asked for, so every offering of the resource then
	// launches the same. ClientToken, MinCount, MaxCount, UserData and DryRun
	// may not be given.
	Extra map[string]any
}

// Volume is one disk.
type Volume struct {
	// Device is the device name, such as /dev/sda1; that of the image's root
	// device changes the root disk.
	Device string
	// SizeGB is in GiB; 0 takes the size of the snapshot.
	SizeGB int
	// Type is gp3, io2 and so on; empty for EC2's default.
	Type string
	// SnapshotID is what the disk starts with; empty for an empty disk, or for
	// the image's own.
	SnapshotID string
	// IOPS is per second, 0 for the default of the type.
	IOPS int
	// Throughput is in MiB/s, 0 for the default of the type.
	Throughput int
	// Encrypted asks for encryption with the account's key; false leaves it to
	// the account's settings and the snapshot.
	Encrypted bool
	// DeleteOnTermination is whether the disk goes with its instance; nil means
	// that it does.
	DeleteOnTermination *bool
}

// launchPlan is a checked template.
type launchPlan struct {
	autoscaler string
	resource   messages.ResourceName
	template   Template
	userData   string // base64
	// extra is what Template.Extra says, but for tags, which are in extraTags
	// by kind of AWS resource.
	extra     *awsec2.RunInstancesInput
	extraTags map[types.ResourceType]map[string]string
}

// plan checks the template; the error lists all that is wrong with it.
func (t Template) plan(autoscaler string, name messages.ResourceName) (launchPlan, error) {
	where := fmt.Sprintf("resource %q", string(name))
	problems := t.check(where, name)
	extra, err := decodeExtra(where+": extra", t.Extra)
	if err != nil {
		return launchPlan{}, errors.Join(append(problems, err)...)
	}
	if t.AMI == "" && extra.ImageId == nil && extra.LaunchTemplate == nil {
		problems = append(problems, fmt.Errorf("%s: no AMI: give the id of an image (ami-…)", where))
	}
	extraTags, tagProblems := splitTags(where, t.Tags, extra.TagSpecifications)
	extra.TagSpecifications = nil
	if err := errors.Join(append(problems, tagProblems...)...); err != nil {
		return launchPlan{}, err
	}
	return launchPlan{
		autoscaler: autoscaler,
		resource:   name,
		template:   t,
		userData:   base64.StdEncoding.EncodeToString(t.UserData),
		extra:      extra,
		extraTags:  extraTags,
	}, nil
}

func (t Template) check(where string, name messages.ResourceName) []error {
	var problems []error
	add := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...)))
	}
	if name == "" {
		add("the name is empty: it is a tag of the instances")
	}
	if len(name) > tagValueMax {
		add("the name has %d bytes: at most %d fit into a tag", len(name), tagValueMax)
	}
	if characters := utf8.RuneCountInString(string(t.Home)); characters > tagValueMax {
		add("the queue name %.20q… has %d characters: at most %d fit into the tag %s, rename the queue", string(t.Home), characters, tagValueMax, TagQueue)
	}
	for _, group := range t.SecurityGroups {
		if !strings.HasPrefix(group, "sg-") {
			add("security group %q is not an id: ids begin with sg-", group)
		}
	}
	if t.ProfileARN != "" && t.ProfileName != "" {
		add("both the ARN and the name of an instance profile: give one")
	}
	if t.ProfileARN != "" && !strings.Contains(t.ProfileARN, ":instance-profile/") {
		add("%q is not the ARN of an instance profile: it has the form arn:aws:iam::<account>:instance-profile/<name>", t.ProfileARN)
	}
	if len(t.UserData) > userDataMax {
		add("the user data has %d bytes, and EC2 takes %d: shorten the init script, or fetch its large parts at boot", len(t.UserData), userDataMax)
	}
	if price, err := strconv.ParseFloat(t.SpotMaxPrice, 64); t.SpotMaxPrice != "" && (err != nil || !(price > 0)) {
		add("spot price %q is not a number of US dollars above 0, such as 0.35", t.SpotMaxPrice)
	}
	for i, volume := range t.Volumes {
		problems = append(problems, volume.check(fmt.Sprintf("%s: volume %d", where, i+1))...)
	}
	return problems
}

func (v Volume) check(where string) []error {
	var problems []error
	if v.Device == "" {
		problems = append(problems, fmt.Errorf("%s: no device name, such as /dev/sda1", where))
	}
	for _, setting := range []struct {
		name  string
		value int
	}{{"size", v.SizeGB}, {"IOPS", v.IOPS}, {"throughput", v.Throughput}} {
		if setting.value < 0 || setting.value > volumeSettingMax {
			problems = append(problems, fmt.Errorf("%s: %s %d is not between 0 and %d", where, setting.name, setting.value, volumeSettingMax))
		}
	}
	if v.SizeGB == 0 && v.SnapshotID == "" {
		problems = append(problems, fmt.Errorf("%s: neither a size nor a snapshot: give at least one", where))
	}
	return problems
}

// splitTags sorts tags given as launch parameters by kind of AWS resource, and
// checks what each kind gets.
func splitTags(where string, common map[string]string, given []types.TagSpecification) (map[types.ResourceType]map[string]string, []error) {
	problems := checkTags(where, common)
	byKind := make(map[types.ResourceType]map[string]string, len(given))
	for i, specification := range given {
		path := fmt.Sprintf("%s: extra.TagSpecifications[%d]", where, i)
		if specification.ResourceType == "" {
			problems = append(problems, fmt.Errorf("%s has no ResourceType, such as instance", path))
			continue
		}
		if byKind[specification.ResourceType] == nil {
			byKind[specification.ResourceType] = make(map[string]string)
		}
		tags := byKind[specification.ResourceType]
		for _, tag := range specification.Tags {
			tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		union := make(map[string]string, len(common)+len(tags))
		maps.Copy(union, common)
		maps.Copy(union, tags)
		problems = append(problems, checkTags(path, union)...)
	}
	return byKind, problems
}
