package config

import (
	"slices"
	"time"
)

// namePattern is the form of the names of autoscalers and resources, which become
// parts of worker names, subjects and tags.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`

// urlPattern is the form of addresses, which the checks look at more closely.
const urlPattern = `^https?://[^@\s?#]+$`

// regionBody is the form of AWS's regions, made of the words that AWS uses: a part of
// the world, or a partition with one, a direction, and a number. Regions that do not
// exist yet pass. The SDK's own list is internal, and takes any word for a direction.
const regionBody = `([a-z]{2}|us-gov|us-iso[a-z]?|eu-iso[a-z]?|eusc-[a-z]{2})-(central|(north|south)(east|west)?|east|west)-(1[0-9]|[1-9])`

const regionPattern = `^` + regionBody + `$`

// autoscalerKeys are the keys of an autoscaler without its resources.
func autoscalerKeys() []Key {
	return slices.Concat(serverKeys(), behaviorKeys(), instanceKeys(), queueKeys())
}

// serverKeys say where the autoscaler works, and with which credentials.
func serverKeys() []Key {
	return []Key{
		{
			Path: "autoscalers[].name", Kind: KindText, Type: "name", Title: "Name", Required: true, Pattern: namePattern, Examples: []string{"prod"},
			Text:    "Letters, digits, `-` and `_`. Part of event subjects and of the tag `ebb:autoscaler`.",
			Missing: "write a name, such as prod", What: "a name", ClearML: "Autoscaler Instance Name",
		},
		{Path: "autoscalers[].clearml", Kind: KindObject, Title: "ClearML server", Text: "The ClearML server, and the credentials for it of the autoscaler and of its instances."},
		{
			Path: "autoscalers[].clearml.api_server", Fallback: "CLEARML_API_HOST", Kind: KindText, Type: "URL", Title: "API server", Required: true, Pattern: urlPattern,
			Text: "Address of the ClearML API server.", Examples: []string{"https://api.clear.ml", "http://clearml.lan:8008"}, ClearML: "`CLEARML_API_HOST`",
			Missing: "write the address of the API server, such as https://api.clear.ml, or set CLEARML_API_HOST",
		},
		{
			Path: "autoscalers[].clearml.web_server", Fallback: "CLEARML_WEB_HOST", Kind: KindText, Type: "URL", Title: "Web server", Otherwise: "beside the API server", Pattern: urlPattern,
			Text: "Address of the ClearML web server. Derived from the API server when empty: `app.` in the place of `api.`, or port 8080 in the place of 8008; there is none when it has neither.", Examples: []string{"https://app.clear.ml"}, ClearML: "`CLEARML_WEB_HOST`",
		},
		{
			Path: "autoscalers[].clearml.files_server", Fallback: "CLEARML_FILES_HOST", Kind: KindText, Type: "URL", Title: "Files server", Otherwise: "beside the API server", Pattern: urlPattern,
			Text: "Address of the ClearML files server. Derived from the API server when empty: `files.` in the place of `api.`, or port 8081 in the place of 8008; there is none when it has neither.", Examples: []string{"https://files.clear.ml"}, ClearML: "`CLEARML_FILES_HOST`",
		},
		{
			Path: "autoscalers[].clearml.access_key", Fallback: "CLEARML_API_ACCESS_KEY", Kind: KindText, Title: "Access key", Otherwise: "required, or auth_token",
			Text: "Key of the autoscaler and of its instances' agents. ClearML makes one under Settings > Workspace > Create new credentials.", ClearML: "`CLEARML_API_ACCESS_KEY`",
		},
		{
			Path: "autoscalers[].clearml.secret_key", Fallback: "CLEARML_API_SECRET_KEY", Kind: KindSecret, Title: "Secret key", Otherwise: "required, or auth_token",
			Text: "Secret of the access key.", ClearML: "`CLEARML_API_SECRET_KEY`", Variable: "CLEARML_API_SECRET_KEY",
		},
		{
			Path: "autoscalers[].clearml.auth_token", Kind: KindSecret, Title: "Token",
			Text: "Token of a ClearML user, instead of the two keys.", ClearML: "`CLEARML_AUTH_TOKEN`", Variable: "CLEARML_AUTH_TOKEN",
		},
		{Path: "autoscalers[].aws", Kind: KindObject, Title: "AWS", Required: true, Text: "The region to launch in, and the credentials for it: a role, or a key."},
		{
			Path: "autoscalers[].aws.region", Kind: KindText, Type: "region", Title: "Region", Required: true, Pattern: regionPattern,
			Text: "The region in which instances are launched.", Examples: []string{"us-east-1"}, ClearML: "AWS Region (`cloud_credentials_region`)",
			Missing: "write the region to launch in, such as us-east-1", What: "a region of AWS", Fix: "write one as AWS spells it, such as us-east-1",
		},
		{
			Path: "autoscalers[].aws.use_iam_role", Kind: KindFlag, Title: "Use an IAM role", Default: "false",
			Text: "Use the role of the machine or pod that ebb runs on.", ClearML: "Use IAM role (`use_credentials_chain`)",
		},
		{
			Path: "autoscalers[].aws.access_key_id", Kind: KindText, Title: "Access key ID", Otherwise: "required without role",
			Text: "Key of an IAM user that may do what `ebb iam-policy` prints.", ClearML: "AWS Access Key ID (`cloud_credentials_key`)",
		},
		{
			Path: "autoscalers[].aws.secret_access_key", Kind: KindSecret, Title: "Secret access key", Otherwise: "required without role",
			Text: "Secret of the access key.", ClearML: "AWS Secret Access Key (`cloud_credentials_secret`)", Variable: "AWS_SECRET_ACCESS_KEY",
		},
		{
			Path: "autoscalers[].aws.session_token", Kind: KindSecret, Title: "Session token",
			Text: "Session token of temporary credentials; needs the key.", ClearML: "(`cloud_credentials_token`)", Variable: "AWS_SESSION_TOKEN",
		},
		{
			Path: "autoscalers[].aws.endpoint_url", Kind: KindText, Type: "URL", Title: "Endpoint", Otherwise: "AWS's", Pattern: urlPattern,
			Text: "Another address of EC2.", Examples: []string{"https://ec2.us-east-1.amazonaws.com"},
		},
		{Path: "autoscalers[].git", Kind: KindObject, Title: "Git", Text: "The login with which agents clone repositories."},
		{
			Path: "autoscalers[].git.user", Fallback: "CLEARML_AUTOSCALER_GIT_USER", Kind: KindText, Title: "Git user",
			Text: "User with which agents clone repositories; without one they use SSH keys.", ClearML: "Git User (`git_user`)",
		},
		{
			Path: "autoscalers[].git.password", Fallback: "CLEARML_AUTOSCALER_GIT_PASSWORD", Kind: KindSecret, Title: "Git password or token",
			Text: "Password or access token of the Git user.", ClearML: "Git Password (`git_pass`)", Variable: "GIT_PASSWORD",
		},
	}
}

// behaviorKeys say when the autoscaler looks, launches and ends.
func behaviorKeys() []Key {
	return []Key{
		{
			Path: "autoscalers[].max_idle_time", Kind: KindDuration, Title: "Max idle time", Default: "15m", Shortest: time.Second,
			Text: "An idle worker's instance is drained and terminated after this.", ClearML: "Max Idle Time (`max_idle_time_min`)",
		},
		{
			Path: "autoscalers[].max_spin_up_time", Kind: KindDuration, Title: "Max spin-up time", Default: "30m", Shortest: time.Second,
			Text: "How long an instance may take from launch to its worker reporting; then it is given up.", ClearML: "(`max_spin_up_time_min`)",
		},
		{
			Path: "autoscalers[].polling_interval", Kind: KindDuration, Title: "Polling interval", Default: "1m", Shortest: time.Second,
			Longest: time.Hour, // above, waiting tasks look as if nobody was there
			Text:    "Time between two looks at the queues, `1s` to `1h`: tasks wait that long before anybody sees them.", ClearML: "Polling Interval (`polling_interval_time_min`)",
		},
		{
			Path: "autoscalers[].max_lifetime", Kind: KindDuration, Title: "Max lifetime", Off: true, Default: "0s", Otherwise: "`0s` (off)",
			Text: "An instance this long after its launch takes no new task, and is ended when the one it runs is done. Longer than every `max_spin_up_time`.",
		},
		{Path: "autoscalers[].dead_man", Kind: KindObject, Title: "Dead man", Text: "When instances end themselves because nobody is left to end them."},
		{
			Path: "autoscalers[].dead_man.unreachable", Kind: KindDuration, Title: "ClearML unreachable", Off: true, Default: "6h",
			Shortest: time.Minute, // below the time that a restart of a ClearML server takes
			Text:     "An instance without a task ends itself when it cannot reach the ClearML server for this long; at least `1m`, `0` never.",
			See:      "See [when nobody is left](#when-nobody-is-left).",
		},
		{
			Path: "autoscalers[].workers_prefix", Kind: KindText, Title: "Workers prefix", Default: "dynamic_aws", Pattern: `^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`,
			Text: "First part of workers' names. It must not contain a colon, and no other autoscaler on the same ClearML server may have it.", Missing: "write a prefix, such as dynamic_aws", What: "a prefix", ClearML: "Workers Prefix (`workers_prefix`)",
		},
	}
}

// instanceKeys say what every instance is given, and what becomes of tasks.
func instanceKeys() []Key {
	return []Key{
		{
			Path: "autoscalers[].docker_mode", Kind: KindFlag, Title: "Docker mode", Otherwise: "`true` iff there is an image",
			Text: "Run tasks in containers; needs an image.", ClearML: "Docker mode",
		},
		{
			Path: "autoscalers[].base_docker_image", Kind: KindText, Title: "Base Docker image", Examples: []string{"nvidia/cuda:12.4.1-runtime-ubuntu22.04"},
			Pattern: `^[^\r\n]*$`,
			Text:    "Default Docker image of tasks, followed by its arguments. A task's own container wins.", ClearML: "Base Docker Image (`default_docker_image`)",
		},
		{Path: "autoscalers[].iam_instance_profile", Kind: KindObject, Title: "IAM instance profile", Text: "Instance profile of all instances, by ARN or by name."},
		{
			Path: "autoscalers[].iam_instance_profile.arn", Kind: KindText, Type: "ARN", Title: "Instance profile ARN",
			Pattern: `^arn:aws[a-z-]*:iam::\d{12}:instance-profile/.+$`, Examples: []string{"arn:aws:iam::123456789012:instance-profile/clearml-worker"},
			Text: "Instance profile of all instances. Either this or the name.", What: "the ARN of an instance profile", ClearML: "IAM Instance Profile, Arn (`iam_arn`)",
			Fix: "write arn:aws:iam::123456789012:instance-profile/NAME (a role's ARN is another thing), or its name as name",
		},
		{
			Path: "autoscalers[].iam_instance_profile.name", Kind: KindText, Title: "Instance profile name", Pattern: `^[\w+=,.@-]{1,128}$`, Examples: []string{"clearml-worker"},
			Text: "Name of the instance profile. Either this or the ARN.", What: "the name of an instance profile", ClearML: "IAM Instance Profile, Name (`iam_name`)",
			Fix: "write its name as IAM shows it; an ARN goes into arn",
		},
		{
			Path: "autoscalers[].init_script", Kind: KindScript, Type: "script (secret)", Title: "Init script",
			Text: "Bash, run on each instance before the agent.", ClearML: "Init script (`extra_vm_bash_script`)",
		},
		{
			Path: "autoscalers[].clearml_conf", Kind: KindScript, Type: "HOCON (secret)", Title: "Additional ClearML configuration",
			Text: "Added to the instances' `clearml.conf`; its syntax is checked.", ClearML: "Additional ClearML Configuration (`extra_clearml_conf`)",
			Examples: []string{"agent.package_manager.type: pip"},
		},
		{
			Path: "autoscalers[].agent_version", Kind: KindText, Type: "version", Title: "Agent version", Default: AgentVersionDefault, Pattern: `^[0-9][0-9A-Za-z.+!-]*$`,
			Text: "Version of clearml-agent that instances install.", What: "a version of clearml-agent", Fix: "write one, such as " + AgentVersionDefault,
			Examples: []string{AgentVersionDefault},
		},
		{
			Path: "autoscalers[].exclude_bashrc", Kind: KindFlag, Title: "Exclude .bashrc", Default: "false",
			Text: "Do not source `~/.bashrc` before the agent.", ClearML: "Exclude .bashrc",
		},
		{
			Path: "autoscalers[].on_shutdown", Kind: KindText, Title: "Shutdown action", Default: string(ShutdownKeep),
			Words: []string{string(ShutdownKeep), string(ShutdownIdle), string(ShutdownAll)},
			Text:  "When the autoscaler stops: leave instances, terminate idle ones, terminate all.", ClearML: "Shutdown action",
		},
		{
			Path: "autoscalers[].requeue_lost_tasks", Kind: KindFlag, Title: "Requeue lost tasks", Default: "true",
			Text: "Put a lost task back into its queue: its instance is gone, or a worker took it and never started it. At most three times for a task; one that its user aborted stays aborted.",
			See:  "`false` only records it, as [`task.lost`](events.md#tasklost).",
		},
		{
			Path: "autoscalers[].warn_duplicate_tasks", Kind: KindFlag, Title: "Warn of duplicate tasks", Default: "true",
			Text: "Record it when two live workers run the same task.", See: "The event is [`task.duplicated`](events.md#taskduplicated).",
			ClearML: "Warn if more than one instance executes a task",
		},
	}
}

// queueKeys are the autoscaler's own order of its queues.
func queueKeys() []Key {
	return []Key{
		{
			Path: "autoscalers[].queues", Kind: KindObjects, Title: "Queues and their order", Otherwise: "the resources' own `queues`, in file order",
			Text: "Which resources a queue asks, in which order; without it this follows from the resources' own `queues`, in file order.",
		},
		{
			Path: "autoscalers[].queues[].queue", Kind: KindText, Title: "Queue", Least: queueNameLeast, Most: tagValueMax, Pattern: queueNameForm, Examples: []string{"gpu"}, Required: true,
			Text: "Name of a queue, 3 to 256 characters.", Otherwise: "–", ClearML: "Monitored Queue (`queues`)",
		},
		{
			Path: "autoscalers[].queues[].resources", Kind: KindList, Type: "list of names", Title: "Its resources", Required: true, Otherwise: "–",
			Text: "The queue's resources, first asked first.", See: "See [queues](#queues-and-their-order).", ClearML: "(`queues`)",
		},
	}
}
