package config

import (
	"fmt"
	"slices"
	"strings"
)

// clearmlKeys are the autoscaler's keys in ClearML's open-source wizard and example,
// and those assumed of its hosted application, whose export is not documented.
func clearmlKeys() map[string]mapped {
	return map[string]mapped{
		"cloud_credentials_key":     {"aws.access_key_id", asText},
		"cloud_credentials_secret":  {"aws.secret_access_key", asText},
		"cloud_credentials_token":   {"aws.session_token", asText},
		"cloud_credentials_region":  {"aws.region", asText},
		"aws_access_key_id":         {"aws.access_key_id", asText},
		"aws_credentials_key_id":    {"aws.access_key_id", asText},
		"aws_secret_access_key":     {"aws.secret_access_key", asText},
		"aws_session_token":         {"aws.session_token", asText},
		"aws_region":                {"aws.region", asText},
		"git_user":                  {"git.user", asText},
		"git_pass":                  {"git.password", asText},
		"git_password":              {"git.password", asText},
		"default_docker_image":      {"base_docker_image", asText},
		"base_docker_image":         {"base_docker_image", asText},
		"docker_mode":               {"docker_mode", asBool},
		"use_docker":                {"docker_mode", asBool},
		"max_idle_time_min":         {"max_idle_time", asMinutes},
		"max_idle_time":             {"max_idle_time", asMinutes},
		"max_spin_up_time_min":      {"max_spin_up_time", asMinutes},
		"max_spin_up_time":          {"max_spin_up_time", asMinutes},
		"polling_interval_time_min": {"polling_interval", asMinutes},
		"polling_interval_time":     {"polling_interval", asMinutes},
		"polling_interval":          {"polling_interval", asMinutes},
		"workers_prefix":            {"workers_prefix", asText},
		"extra_clearml_conf":        {"clearml_conf", asText},
		"extra_vm_bash_script":      {"init_script", asText},
		"init_script":               {"init_script", asText},
		"exclude_bashrc":            {"exclude_bashrc", asBool},

		"warn_more_than_one_executing_instance":             {"warn_duplicate_tasks", asBool},
		"alert_on_multiple_workers_per_task":                {"warn_duplicate_tasks", asBool},
		"warn_if_more_than_one_executes_a_task":             {"warn_duplicate_tasks", asBool},
		"warn_if_more_than_one_instance_executes_same_task": {"warn_duplicate_tasks", asBool},
	}
}

// clearmlLeft are keys without an equivalent, with what to do.
func clearmlLeft() map[string]string {
	return map[string]string{ //nolint:gosec // names of keys, no credentials
		"use_iam_instance_profile":     "ClearML reads it and does nothing with it; what counts is iam_arn or iam_name",
		"ignore_vault_parsing_errors":  "there is no vault here; write credentials as ${ENV:NAME} or ${FILE:/path}",
		"apply_task_owner_vault":       "the vault is a feature of ClearML Enterprise; agents here run with the autoscaler's credentials",
		"run_with_service_account":     "service accounts are a feature of ClearML Enterprise; write the account's access_key and secret_key",
		"use_owner_token":              "task owners' tokens are a feature of ClearML Enterprise; agents here run with the autoscaler's credentials",
		"files":                        "write the files in init_script",
		"environment":                  "write export NAME=value in init_script, or agent.extra_docker_arguments in clearml_conf",
		"match":                        "write one autoscaler for each of its prefixes",
		"max_number_of_vms":            "there is no limit across resources; max_instances limits each",
		"cloud_credentials_expiration": "a session token's end is not stored; prefer use_iam_role",
	}
}

// importClearML reads the wizard's YAML and the application's JSON: one object of
// settings, perhaps in sections, perhaps with the section in the key ("General/…").
func importClearML(doc *document) (File, []Note, error) {
	t := newTranslator()
	settings := flatten(doc, doc.root, "")
	recognized := slices.ContainsFunc(settings, func(s setting) bool {
		_, ok := clearmlKeys()[s.key]
		return ok || slices.Contains([]string{"resource_configurations", "queues", "iam_arn", "iam_name", "use_credentials_chain", "use_iam_role"}, s.key)
	})
	if !recognized {
		return File{}, nil, Errors{{
			Message: "is not a configuration that is known here",
			Fix:     "give ClearML's aws_autoscaler.yaml, the JSON export of its AWS autoscaler, a vault's auto_scaler.v1 section, or ebb's own export",
		}}
	}
	// Resources come before the queues that name them.
	for _, s := range settings {
		if s.key == "resource_configurations" || s.key == "resources" || s.key == "instance_queue_list" {
			t.resources(doc, s)
		}
	}
	for _, s := range settings {
		t.setting(doc, s)
	}
	return t.finish()
}

// flatten lists the settings of object and of the sections in it.
func flatten(doc *document, object map[string]any, path string) []setting {
	var settings []setting
	for _, key := range doc.keysOf(path, object) {
		source, short := child(path, key), key
		if i := strings.LastIndex(key, "/"); i >= 0 {
			short = key[i+1:]
		}
		section, isObject := object[key].(map[string]any)
		whole := []string{"resource_configurations", "queues", "match", "files", "environment", "custom_launch_spec", "launch_spec", "extra_configurations"}
		if isObject && !slices.Contains(whole, short) {
			settings = append(settings, flatten(doc, section, source)...)
			continue
		}
		settings = append(settings, setting{key: short, source: source, value: object[key]})
	}
	return settings
}

// setting takes over one key of the autoscaler.
func (t *translator) setting(doc *document, s setting) {
	if t.take(t.autoscaler, own, s, clearmlKeys()) || s.unset() {
		return
	}
	switch s.key {
	case "resource_configurations", "resources", "instance_queue_list": // already done
	case "queues":
		t.queues(doc, s)
	case "use_credentials_chain", "use_iam_role":
		if s.truth() {
			t.setOwn("aws.use_iam_role", s.source, true)
		}
	case "iam_arn", "iam_name":
		t.profile(s)
	case "name", "instance_name", "autoscaler_name", "app_instance_name", "autoscaler_instance_name":
		t.rename(s)
	case "shutdown_action", "on_shutdown", "shutdown_behavior":
		t.shutdown(s)
	default:
		t.leave(s)
	}
}

// rename takes over the autoscaler's name as far as it is allowed here.
func (t *translator) rename(s setting) {
	name := slug(string(s.text()), "imported")
	if name != string(s.text()) {
		t.note(s.source, child(own, "name"), "called %q here: names have letters, digits, - and _ only", name)
	}
	t.autoscaler["name"] = name
	t.origins[child(own, "name")] = s.source
}

// leave handles what has no equivalent, or only sometimes.
func (t *translator) leave(s setting) {
	switch s.key {
	case "custom_launch_spec", "launch_spec":
		t.note(s.source, "", "not taken over: launch parameters belong to a resource here; write them as each resource's extra_launch_parameters")
	case "cloud_provider":
		if !strings.EqualFold(string(s.text()), "aws") {
			t.note(s.source, "", "not taken over: ebb launches on AWS only")
		}
	case "extra_trains_conf":
		if _, both := t.autoscaler["clearml_conf"]; both {
			t.note(s.source, child(own, "clearml_conf"), "not taken over: extra_clearml_conf is its new name and is set too")
			return
		}
		t.setOwn("clearml_conf", s.source, s.text())
	case "tags":
		t.note(s.source, "", "not taken over: ClearML does nothing with tags outside resources; write each resource's tags")
	default:
		if why, known := clearmlLeft()[s.key]; known {
			t.note(s.source, "", "not taken over: %s", why)
			return
		}
		t.note(s.source, "", "not taken over: there is no equivalent known here")
	}
}

func (t *translator) profile(s setting) {
	key, other := "iam_instance_profile.arn", "name"
	if s.key == "iam_name" {
		key, other = "iam_instance_profile.name", "arn"
	}
	if profile, ok := t.autoscaler["iam_instance_profile"].(map[string]any); ok && profile[other] != nil {
		// ClearML takes the ARN when both are set.
		if s.key == "iam_name" {
			t.note(s.source, child(own, key), "not taken over: iam_arn is set too, and ClearML uses that one")
			return
		}
		t.note(t.origins[child(own, "iam_instance_profile.name")], child(own, key), "not taken over: iam_arn is set too, and ClearML uses that one")
		delete(profile, other)
	}
	t.setOwn(key, s.source, s.text())
}

func (t *translator) shutdown(s setting) {
	text := strings.ToLower(string(s.text()))
	var action ShutdownAction
	switch {
	case strings.Contains(text, "idle"):
		action = ShutdownIdle
	case strings.Contains(text, "all"):
		action = ShutdownAll
	case strings.Contains(text, "nothing"), strings.Contains(text, "none"), strings.Contains(text, "keep"), strings.Contains(text, "no action"):
		action = ShutdownKeep
	default:
		t.note(s.source, child(own, "on_shutdown"), "not taken over: %q is not known; write keep, idle or all", text)
		return
	}
	t.setOwn("on_shutdown", s.source, string(action))
}

// queues reads {queue: [[resource, max], …]}.
func (t *translator) queues(doc *document, s setting) {
	byName, _, inner := s.object()
	if inner != nil {
		doc = inner
	}
	if byName == nil {
		t.note(s.source, child(own, "queues"), "not taken over: it is not an object of queues")
		return
	}
	names := doc.keysOf(s.source, byName)
	if inner != nil {
		names = inner.keysOf("v", byName)
	}
	list, _ := t.autoscaler["queues"].([]any)
	for _, name := range names {
		source := child(s.source, name)
		entries, _ := byName[name].([]any)
		resources := []any{}
		for i, e := range entries {
			pair, _ := e.([]any)
			if len(pair) != 2 {
				t.note(item(source, i), "", "not taken over: it is not [resource, number]")
				continue
			}
			if ours := t.budget(item(source, i), fmt.Sprint(pair[0]), pair[1]); ours != "" {
				resources = append(resources, ours)
			}
		}
		list = append(list, map[string]any{"queue": name, "resources": resources})
		t.origins[item(child(own, "queues"), len(list)-1)] = source
	}
	t.autoscaler["queues"] = list
}

// budget gives a resource its max_instances and returns its name here.
func (t *translator) budget(source, name string, most any) string {
	ours, known := t.named[name]
	if !known {
		t.note(source, "", "not taken over: there is no resource %q", name)
		return ""
	}
	resources, _ := t.autoscaler["resources"].([]any)
	for i, r := range elements(resources) {
		if r["name"] != ours {
			continue
		}
		path := child(item(child(own, "resources"), i), "max_instances")
		if old := r["max_instances"]; old != nil {
			t.note(source, path, "the resource serves several queues, and its number is one for all of them here: kept %v", old)
			break
		}
		r["max_instances"] = setting{value: most}.text()
		t.origins[path] = source
	}
	return ours
}
