package config

import (
	"fmt"
	"slices"
	"strings"
)

// foreignNames are the keys of ClearML's own configuration that people bring along,
// with what they are called here.
func foreignNames() map[string]string {
	return map[string]string{ //nolint:gosec // names of keys, no credentials
		"is_spot": "market: spot", "availability_zone": "availability_zones", "subnet_id": "subnets",
		"key_name": "key_pair", "security_group_ids": "security_groups", "num_instances": "max_instances",
		"queue_name": "queues", "resource_name": "name", "ebs_device_name": "ebs_device",
		"enable_monitoring": "monitoring", "extra_configurations": "extra_launch_parameters",
		"regular_instance_rollback": "on_demand_fallback",

		"git_user": "git.user", "git_pass": "git.password", "default_docker_image": "base_docker_image",
		"max_idle_time_min": "max_idle_time", "max_spin_up_time_min": "max_spin_up_time",
		"polling_interval_time_min": "polling_interval", "iam_arn": "iam_instance_profile.arn",
		"iam_name": "iam_instance_profile.name", "extra_clearml_conf": "clearml_conf",
		"extra_vm_bash_script": "init_script", "cloud_credentials_key": "aws.access_key_id",
		"cloud_credentials_secret": "aws.secret_access_key", "cloud_credentials_region": "aws.region",
		"use_iam_role": "aws.use_iam_role", "region": "aws.region", "api_server": "clearml.api_server",
	}
}

func (d *decoder) resource(o *object) Resource {
	r := Resource{
		Name:              o.text("name"),
		InstanceTypes:     o.texts(o.either("instance_types", "instance_type")),
		Market:            d.market(o),
		SpotMaxPrice:      o.decimal("spot_max_price"),
		PricePerHour:      o.decimal("price_per_hour"),
		AvailabilityZones: o.texts("availability_zones"),
		Subnets:           o.texts("subnets"),
		AMIID:             o.text("ami_id"),
		MaxInstances:      o.integer("max_instances"),
		Queues:            o.texts(o.either("queues", "queue")),
		Tags:              d.tags(o),
		Volumes:           d.volumes(o),
		KeyPair:           o.text("key_pair"),
		SecurityGroups:    o.texts("security_groups"),
		CPUOnly:           o.flag("cpu_only"),
		Monitoring:        o.flag("monitoring"),
		MaxIdleTime:       o.duration("max_idle_time"),
		MaxSpinUpTime:     o.duration("max_spin_up_time"),
		InitScript:        o.secret("init_script"),
	}
	fallback := o.object("on_demand_fallback")
	r.OnDemandFallback = Fallback{
		Enabled:  fallback.flag("enabled"),
		Patience: fallback.duration("patience"),
		Blackout: fallback.duration("blackout"),
	}
	fallback.done()
	if v, path, ok := o.get("extra_launch_parameters", KindFree); ok {
		m, isObject := plain(v).(map[string]any)
		if !isObject {
			d.fail(path, "must be an object, is "+kindOf(v), "write fields of RunInstances below it, such as EbsOptimized: true")
		}
		if len(m) > 0 {
			r.ExtraLaunchParameters = m
		}
	}
	o.foreign = foreignNames()
	o.done()
	return r
}

// plain turns loose text inside v into text.
func plain(v any) any {
	switch v := v.(type) {
	case loose:
		return string(v)
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			out = append(out, plain(e))
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, e := range v {
			out[key] = plain(e)
		}
		return out
	}
	return v
}

// market reads market: spot or the short spot: true.
func (d *decoder) market(o *object) Market {
	if o.either("market", "spot") == "spot" {
		if o.flag("spot") {
			return Spot
		}
		return OnDemand
	}
	if !o.has("market") {
		return OnDemand
	}
	return Market(o.text("market"))
}

// tags reads an object of text, or "key=value,key=value".
func (d *decoder) tags(o *object) map[string]string {
	v, path, ok := o.get("tags", KindTags)
	if !ok {
		return nil
	}
	tags := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range d.t.doc.keysOf(path, v) {
			tags[key] = d.text(child(path, key), v[key])
		}
	case string:
		d.tagList(path, v, tags)
	case loose:
		d.tagList(path, string(v), tags)
	default:
		d.fail(path, "must be an object of text, is "+kindOf(v), "write key: value below it, or \"key=value,key=value\"")
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

func (d *decoder) tagList(path, list string, tags map[string]string) {
	for _, pair := range split(list, ",") {
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		if _, twice := tags[key]; twice {
			d.fail(path, "names the tag "+d.t.show(path, key)+" twice", "keep one")
		}
		if !ok {
			d.fail(path, d.t.show(path, pair)+" has no =", "write \"key=value,key=value\"; values with a comma need the form of an object")
			continue
		}
		tags[key] = strings.TrimSpace(value)
	}
}

// volumes reads the list of disks, or ClearML's one disk in flat keys.
func (d *decoder) volumes(o *object) []Volume {
	var volumes []Volume
	o.list("volumes", func(o *object) {
		v := Volume{
			Device: o.text("device"), SizeGB: o.integer("size_gb"), Type: o.text("type"),
			SnapshotID: o.text("snapshot_id"), IOPS: o.integer("iops"), Throughput: o.integer("throughput"),
			Encrypted: o.flag("encrypted"), DeleteOnTermination: o.flag("delete_on_termination"),
		}
		v.DeleteOnTermination = v.DeleteOnTermination || !o.has("delete_on_termination")
		if v.Type == "" {
			v.Type = volumeTypeDefault
		}
		o.done()
		volumes = append(volumes, v)
	})
	flat := []string{"ebs_device", "ebs_volume_size", "ebs_volume_type", "ebs_snapshot_id"}
	written := slices.IndexFunc(flat, o.has)
	v := Volume{
		Device: o.text(flat[0]), SizeGB: o.integer(flat[1]), Type: o.text(flat[2]), SnapshotID: o.text(flat[3]),
		DeleteOnTermination: true,
	}
	if written < 0 {
		return volumes
	}
	if o.has("volumes") {
		d.fail(child(o.path, flat[written]), "stands beside volumes", fmt.Sprintf("write the disk as one of volumes, or all as %s", strings.Join(flat, ", ")))
		return volumes
	}
	if v.Type == "" {
		v.Type = volumeTypeDefault
	}
	if v.SizeGB == 0 && v.SnapshotID == "" && !o.has(flat[1]) {
		v.SizeGB = volumeSizeFlat
	}
	disk := item(child(o.path, "volumes"), 0)
	for i, key := range []string{"device", "size_gb", "type", "snapshot_id"} {
		d.said[child(disk, key)] = child(o.path, flat[i])
	}
	return []Volume{v}
}
