package config

import (
	"slices"
	"strconv"
)

// resourceKeyTable are the keys of a resource, and the resources themselves.
func resourceKeyTable() []Key {
	return slices.Concat([]Key{{
		Path: "autoscalers[].resources", Kind: KindObjects, Title: "Resources", Required: true,
		Missing: "write at least one resource, beginning with - name: …",
		Text:    "The resource types: kinds of instances, and how many of each there may be. Names are distinct in an autoscaler.",
	}}, marketKeys(), placeKeys(), volumeKeys(), machineKeys(), otherSpellings())
}

// resourcePattern is the form of EC2's ids with this prefix.
func resourcePattern(prefix string) string { return `^` + prefix + `-[0-9a-f]{8}([0-9a-f]{9})?$` }

// marketKeys say what is bought, and how.
func marketKeys() []Key {
	return []Key{
		{
			Path: "autoscalers[].resources[].name", Kind: KindText, Type: "name", Title: "Resource name", Required: true, Pattern: namePattern, Examples: []string{"gpu-small"},
			Text: "Letters, digits, `-` and `_`. Second part of workers' names.", Missing: "write a name, such as gpu-small", What: "a name", ClearML: "Resource Name (`resource_name`)",
		},
		{
			Path: "autoscalers[].resources[].instance_types", Kind: KindList, Title: "Instance types", Required: true, Separator: ",",
			Pattern: instanceTypePattern, Examples: []string{"g5.xlarge", "g4dn.xlarge"},
			Text: "EC2 instance types, tried in this order.", See: "Also `instance_type`, one text.", Missing: "write one or several, such as [g5.xlarge, g4dn.xlarge]",
			What: "an instance type", Fix: "write family and size in small letters, such as g5.xlarge", ClearML: "EC2 Instance Type (`instance_type`)",
		},
		{
			Path: "autoscalers[].resources[].market", Kind: KindText, Title: "Market", Words: []string{string(Spot), string(OnDemand)}, Default: string(OnDemand),
			Text: "How instances are bought.", See: "Also `spot: true` or `false`.", ClearML: "Use Spot Instance (`is_spot`)",
		},
		{
			Path: "autoscalers[].resources[].spot_max_price", Kind: KindDecimal, Title: "Highest spot price", Otherwise: "on-demand price", Pattern: `^[0-9]+(\.[0-9]+)?$`,
			Text: "The most to pay for a spot instance, in dollars per hour; spot only.", Examples: []string{"0.35"},
		},
		{
			Path: "autoscalers[].resources[].price_per_hour", Kind: KindDecimal, Title: "Price of an hour", Otherwise: "AWS's list price", Pattern: `^[0-9]+(\.[0-9]+)?$`,
			Text:     "What an hour of an instance costs in dollars, for the estimates of cost only; the list is us-east-1's, and of it 0.4 for spot.",
			Examples: []string{"0.42"},
		},
		{Path: "autoscalers[].resources[].on_demand_fallback", Kind: KindObject, Title: "Regular-instance rollback", Text: "When a spot resource may launch on-demand instances instead."},
		{
			Path: "autoscalers[].resources[].on_demand_fallback.enabled", Kind: KindFlag, Title: "On-demand when there is no spot", Default: "false",
			Text:    "Spot only: launch on-demand instances, of the same types and places, while there is no spot capacity. They count against the same `max_instances`.",
			ClearML: "Regular-instance rollback",
		},
		{
			Path: "autoscalers[].resources[].on_demand_fallback.patience", Kind: KindDuration, Title: "Patience with spot", Default: "2m",
			Text: "How long every spot offering must have been refused before on-demand is asked.", ClearML: "Rollback timeout",
		},
		{
			Path: "autoscalers[].resources[].on_demand_fallback.blackout", Kind: KindDuration, Title: "Spot blackout", Off: true, Default: "0s",
			Text:    "How long after that spot is not tried at all. `0s`: it is tried again as usual, one instance at a time, and wins as soon as it is granted.",
			ClearML: "Spot blackout period",
		},
	}
}

// placeKeys say where instances are launched, how many, and for whom.
func placeKeys() []Key {
	return []Key{
		{
			Path: "autoscalers[].resources[].availability_zones", Kind: KindList, Title: "Availability zones", Otherwise: "required, or subnets", Separator: ",",
			Pattern: `^(` + regionBody + `([a-z]|(-[a-z0-9]+)+)|` + ZoneAuto + `)$`, Examples: []string{"us-east-1a", ZoneAuto},
			Text: "Zones of the region, or `[auto]` when AWS may choose. With subnets: as many, position by position.", ClearML: "Availability Zone (`availability_zone`)",
		},
		{
			Path: "autoscalers[].resources[].subnets", Kind: KindList, Title: "Subnets", Otherwise: "required, or zones", Separator: ",",
			Pattern: resourcePattern("subnet"), Examples: []string{"subnet-0123456789abcdef0"}, What: "the id of a subnet", Fix: "write subnet- and 8 or 17 of 0-9 and a-f",
			Text: "Ids of subnets to launch in.", ClearML: "VPC subnet (`subnet_id`)",
		},
		{
			Path: "autoscalers[].resources[].ami_id", Kind: KindText, Type: "AMI", Title: "AMI", Required: true,
			Pattern: `^(resolve:ssm:[A-Za-z0-9_./:-]+|ami-[0-9a-f]{8}([0-9a-f]{9})?)$`, Examples: []string{"ami-0123456789abcdef0"},
			Text: "Image to launch: `ami-…`, or `resolve:ssm:` and a parameter that holds one.", Missing: "write the AMI to launch, such as ami-0123456789abcdef0", What: "the id of an AMI",
			Fix: "write ami- and 8 or 17 of 0-9 and a-f, or resolve:ssm: and the name of a parameter that holds one", ClearML: "AMI ID (`ami_id`)",
		},
		{
			Path: "autoscalers[].resources[].max_instances", Kind: KindInteger, Title: "Max instances", Required: true, Least: 1,
			Most: 100_000, // the largest that is believed
			Text: "How many instances there may be, alive and in flight; at least 1.", Examples: []string{"4"}, ClearML: "Max Number of Instances (`num_instances`, `queues`)",
			Missing: "write how many instances of this resource there may be, at least 1",
		},
		{
			Path: "autoscalers[].resources[].queues", Kind: KindList, Title: "Queues", Otherwise: "required, or the autoscaler's `queues`",
			Text: "ClearML queues served, in this order.", See: "Also `queue`, one text.", Examples: []string{"gpu"}, Least: queueNameLeast, Most: tagValueMax, Pattern: queueNameForm, ClearML: "Monitored Queue (`queue_name`)",
			Missing: "write the queue that this resource serves, or several in order",
		},
		{
			Path: "autoscalers[].resources[].tags", Kind: KindTags, Type: "object, or `\"k=v,k=v\"`", Title: "EC2 tags", Examples: []string{"team=research"},
			Text: "Tags of instances and of what belongs to them. EC2 allows 50; ebb needs 4, or 5 without a `Name`. Keys `aws:…` and `ebb:…` are refused.", ClearML: "EC2 Tags (`tags`)",
		},
	}
}

// volumeTypes are EC2's types of disks.
func volumeTypes() []string {
	return []string{volumeTypeDefault, "gp2", "io2", "io1", "st1", "sc1", "standard"}
}

const instanceTypePattern = `^[a-z][a-z0-9-]*\.([0-9]*(nano|micro|small|medium|x?large)|metal(-[0-9]+xl)?)$`

const devicePattern = `^(/dev/)?(sd|xvd|hd)[a-z]{1,2}[0-9]{0,2}$`

// sizeMost is the largest disk, in GiB.
const sizeMost = 65536

// volumeKeys are the disks.
func volumeKeys() []Key {
	const at = "autoscalers[].resources[].volumes[]."
	return []Key{
		{Path: "autoscalers[].resources[].volumes", Kind: KindObjects, Title: "Disks", Text: "EBS disks by device; without any, those of the AMI.", Otherwise: "the AMI's"},
		{
			Path: at + "device", Kind: KindText, Type: "device", Title: "EBS device", Required: true, Pattern: devicePattern, Examples: []string{"/dev/sda1"},
			Text: "Where the disk appears; the root disk of most AMIs is `/dev/sda1`.", Missing: "write where the disk appears, such as /dev/sda1 for the root disk of most AMIs", What: "a device name",
			Fix: "write one such as /dev/sda1, /dev/xvda or /dev/sdf", ClearML: "EBS Device (`ebs_device_name`)",
		},
		{
			Path: at + "size_gb", Kind: KindInteger, Title: "EBS volume size", Otherwise: "required, or snapshot", Least: 1, Most: sizeMost, Examples: []string{"100"},
			Text: "Size of the disk in GiB.", ClearML: "EBS Volume Size (`ebs_volume_size`)",
		},
		{
			Path: at + "type", Kind: KindText, Title: "EBS volume type", Default: volumeTypeDefault, Words: volumeTypes(),
			Text: "Type of the disk.", ClearML: "EBS Volume Type (`ebs_volume_type`)",
		},
		{
			Path: at + "snapshot_id", Kind: KindText, Type: "snapshot", Title: "Snapshot", Pattern: resourcePattern("snap"), Examples: []string{"snap-0123456789abcdef0"},
			Text: "Snapshot with what is on the disk.", What: "the id of a snapshot", Fix: "write snap- and 8 or 17 of 0-9 and a-f", ClearML: "(`ebs_snapshot_id`)",
		},
		{Path: at + "iops", Kind: KindInteger, Title: "IOPS", Otherwise: "the type's", Text: "Operations per second of gp3, io1 and io2; required for the last two.", Examples: []string{"3000"}},
		{Path: at + "throughput", Kind: KindInteger, Title: "Throughput", Otherwise: "the type's", Text: "Throughput in MiB/s; gp3 only.", Examples: []string{"250"}},
		{Path: at + "encrypted", Kind: KindFlag, Title: "Encrypted", Default: "false", Text: "`false` leaves it to the account and the snapshot."},
		{Path: at + "delete_on_termination", Kind: KindFlag, Title: "Delete with the instance", Default: "true", Text: "`false` keeps the disk, and its costs, when the instance ends."},
	}
}

// machineKeys say what an instance is besides.
func machineKeys() []Key {
	const at = "autoscalers[].resources[]."
	return []Key{
		{
			Path: at + "key_pair", Kind: KindText, Title: "Key pair", Pattern: `^\S([^\r\n]*\S)?$`, Most: 255, What: "the name of a key pair", Fix: "write its name as EC2 shows it",
			Text: "Name of the EC2 key pair for SSH to the instances.", ClearML: "Instance Key Pair (`key_name`)",
		},
		{
			Path: at + "security_groups", Kind: KindList, Type: "list, or text with commas", Title: "Security groups", Separator: ",",
			Pattern: resourcePattern("sg"), Examples: []string{"sg-0123456789abcdef0"}, What: "the id of a security group",
			Fix:  "write sg- and 8 or 17 of 0-9 and a-f; names of groups do not work here",
			Text: "Ids of security groups.", ClearML: "Security Group ID (`security_group_ids`)",
		},
		{Path: at + "cpu_only", Kind: KindFlag, Title: "CPU only", Default: "false", Text: "Hide GPUs from tasks.", ClearML: "CPU mode (`cpu_only`)"},
		{Path: at + "monitoring", Kind: KindFlag, Title: "Detailed monitoring", Default: "false", Text: "Detailed CloudWatch monitoring, every minute.", ClearML: "(`enable_monitoring`)"},
		{
			Path: at + "extra_launch_parameters", Kind: KindFree, Title: "Extra launch parameters", Examples: []string{"EbsOptimized: true"},
			Text: "Fields of RunInstances as EC2 spells them, merged last. Refused are those that ebb owns; the message says why.", ClearML: "Custom launch spec (`extra_configurations`)",
		},
		{Path: at + "max_idle_time", Kind: KindDuration, Title: "Max idle time", Otherwise: "the autoscaler's", Text: "How long a worker of this resource may be idle.", Examples: []string{"5m"}},
		{Path: at + "max_spin_up_time", Kind: KindDuration, Title: "Max spin-up time", Otherwise: "the autoscaler's", Text: "How long an instance of this resource may take to start.", Examples: []string{"45m"}},
		{Path: at + "init_script", Kind: KindScript, Type: "script (secret)", Title: "Init script", Otherwise: "the autoscaler's", Text: "Bash for instances of this resource, instead of the autoscaler's."},
	}
}

// otherSpellings are short forms, and ClearML's one disk in flat keys.
func otherSpellings() []Key {
	const at = "autoscalers[].resources[]."
	return []Key{
		{Path: at + "instance_type", Kind: KindList, Title: "Instance type", Instead: "instance_types", Separator: ",", Pattern: instanceTypePattern, Examples: []string{"g5.xlarge"}, Text: "Short for `instance_types` with one type."},
		{Path: at + "spot", Kind: KindFlag, Title: "Spot", Instead: "market", Text: "`true` is short for `market: spot`."},
		{Path: at + "queue", Kind: KindList, Title: "Queue", Instead: "queues", Least: queueNameLeast, Most: tagValueMax, Pattern: queueNameForm, Examples: []string{"gpu"}, Text: "Short for `queues` with one queue."},
		{Path: at + "ebs_device", Kind: KindText, Title: "EBS device", Instead: "volumes[].device", Pattern: devicePattern, Text: "A single disk, the short way: its device.", Examples: []string{"/dev/sda1"}},
		{
			Path: at + "ebs_volume_size", Kind: KindInteger, Title: "EBS volume size", Instead: "volumes[].size_gb", Least: 1, Most: sizeMost,
			Default: strconv.Itoa(volumeSizeFlat), Text: "GiB of the single disk.",
		},
		{Path: at + "ebs_volume_type", Kind: KindText, Title: "EBS volume type", Instead: "volumes[].type", Words: volumeTypes(), Default: volumeTypeDefault, Text: "Type of the single disk."},
		{Path: at + "ebs_snapshot_id", Kind: KindText, Title: "Snapshot", Instead: "volumes[].snapshot_id", Pattern: resourcePattern("snap"), Text: "What is on the single disk."},
	}
}
