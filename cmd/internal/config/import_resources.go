package config

import (
	"fmt"
	"strings"
)

// resourceKeys are ClearML's keys of a resource, the last ones assumed of its hosted
// application.
func resourceKeys() map[string]mapped {
	return map[string]mapped{
		"instance_type":      {"instance_types", asList},
		"ami_id":             {"ami_id", asText},
		"ami":                {"ami_id", asText},
		"availability_zone":  {"availability_zones", asList},
		"availability_zones": {"availability_zones", asList},
		"subnet_id":          {"subnets", asList},
		"subnet_ids":         {"subnets", asList},
		"vpc_subnet_id":      {"subnets", asList},
		"num_instances":      {"max_instances", asText},
		"max_instances":      {"max_instances", asText},
		"ebs_device_name":    {"ebs_device", asText},
		"ebs_device":         {"ebs_device", asText},
		"ebs_volume_size":    {"ebs_volume_size", asText},
		"ebs_volume_type":    {"ebs_volume_type", asText},
		"ebs_snapshot_id":    {"ebs_snapshot_id", asText},
		"key_name":           {"key_pair", asText},
		"key_pair":           {"key_pair", asText},
		"security_group_ids": {"security_groups", asList},
		"security_group_id":  {"security_groups", asList},
		"cpu_only":           {"cpu_only", asBool},
		"cpu_mode":           {"cpu_only", asBool},
		"enable_monitoring":  {"monitoring", asBool},
		"queue_name":         {"queues", asList},
		"queue":              {"queues", asList},

		"regular_instance_rollback":         {"on_demand_fallback.enabled", asBool},
		"regular_instance_rollback_timeout": {"on_demand_fallback.patience", asMinutes},
		"spot_instance_blackout_period":     {"on_demand_fallback.blackout", asMinutes},
	}
}

// resources reads {name: resource}, or the application's list of resources that name
// themselves and their queue.
func (t *translator) resources(doc *document, s setting) {
	byName, list, inner := s.object()
	path := s.source
	if inner != nil {
		doc, path = inner, "v"
	}
	if byName == nil && list == nil {
		if !s.unset() {
			t.note(s.source, child(own, "resources"), "not taken over: it is not an object or a list of resources")
		}
		return
	}
	for _, name := range doc.keysOf(path, byName) {
		fields, ok := byName[name].(map[string]any)
		if !ok {
			t.note(child(s.source, name), "", "not taken over: it is not an object")
			continue
		}
		t.resource(doc, child(s.source, name), child(path, name), name, fields)
	}
	for i, e := range list {
		fields, ok := e.(map[string]any)
		if !ok {
			t.note(item(s.source, i), "", "not taken over: it is not an object")
			continue
		}
		name := fmt.Sprintf("resource-%d", i+1)
		for _, key := range []string{"resource_name", "name"} {
			if given, ok := fields[key].(string); ok && given != "" {
				name = given
				break
			}
		}
		t.resource(doc, item(s.source, i), item(path, i), name, fields)
	}
}

// resource takes over the fields of one resource.
func (t *translator) resource(doc *document, source, path, name string, fields map[string]any) {
	list, _ := t.autoscaler["resources"].([]any)
	base := item(child(own, "resources"), len(list))
	r := map[string]any{"name": t.resourceName(source, name, names(list))}
	t.origins[base] = source
	for _, key := range doc.keysOf(path, fields) {
		s := setting{key: key, source: child(source, key), value: fields[key]}
		if t.take(r, base, s, resourceKeys()) || s.unset() {
			continue
		}
		switch key {
		case "resource_name", "name":
		case "is_spot", "use_spot", "use_spot_instance", "spot":
			market := OnDemand
			if s.truth() {
				market = Spot
			}
			t.set(r, base, "market", s.source, string(market))
		case "tags", "instance_tags", "ec2_tags":
			t.tags(r, base, s)
		case "extra_configurations", "custom_launch_spec", "launch_spec":
			t.launchParameters(r, base, s)
		case "tag_resources", "tags_resource_types", "place_tags_on", "tag_resource_types":
			t.note(s.source, child(base, "tags"), "not taken over: tags go on everything that a launch creates")
		default:
			t.note(s.source, "", "not taken over: there is no equivalent known here")
		}
	}
	t.dropLooseEnds(r, base)
	if r["availability_zones"] == nil && r["subnets"] == nil {
		// An empty zone means this in the application. The wizard demands one, and
		// whoever emptied it in its file can have meant nothing else.
		t.set(r, base, "availability_zones", source, []any{ZoneAuto})
		t.note(source, child(base, "availability_zones"), "no zone and no subnet: taken as AWS's choice, [auto]")
	}
	t.autoscaler["resources"] = append(list, r)
}

// dropLooseEnds removes what means nothing without another key.
func (t *translator) dropLooseEnds(r map[string]any, base string) {
	if r["ebs_device"] == nil {
		for _, key := range []string{"ebs_volume_size", "ebs_volume_type", "ebs_snapshot_id"} {
			if r[key] != nil {
				t.note(t.origins[child(base, key)], "", "not taken over: there is no ebs_device_name, so there is no disk; write volumes if you want one")
				delete(r, key)
			}
		}
	}
	if fallback, ok := r["on_demand_fallback"].(map[string]any); ok && r["market"] != string(Spot) {
		if fallback["enabled"] != nil && (setting{value: fallback["enabled"]}).truth() {
			t.note(t.origins[child(base, "on_demand_fallback.enabled")], child(base, "on_demand_fallback"), "not taken over: the resource is not spot")
			delete(fallback, "enabled")
		}
	}
}

// tags takes "k=v,k=v", an object, or a list of {key, value}.
func (t *translator) tags(r map[string]any, base string, s setting) {
	switch v := s.value.(type) {
	case string:
		t.set(r, base, "tags", s.source, strings.Trim(v, ", "))
	case map[string]any:
		tags := map[string]any{}
		for key, value := range v {
			tags[key] = string(setting{value: value}.text())
		}
		t.set(r, base, "tags", s.source, tags)
	case []any:
		tags := map[string]any{}
		for i, e := range v {
			pair, ok := e.(map[string]any)
			key, _ := firstOf(pair, "key", "Key").(string)
			if !ok || key == "" {
				t.note(item(s.source, i), child(base, "tags"), "not taken over: it has no key")
				continue
			}
			tags[key] = string(setting{value: firstOf(pair, "value", "Value")}.text())
		}
		t.set(r, base, "tags", s.source, tags)
	default:
		t.note(s.source, child(base, "tags"), "not taken over: write \"key=value,key=value\"")
	}
}

func firstOf(object map[string]any, keys ...string) any {
	for _, key := range keys {
		if v := object[key]; v != nil {
			return v
		}
	}
	return ""
}
