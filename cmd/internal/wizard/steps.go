package wizard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// Kind says with which control a field is answered.
type Kind string

// The kinds of fields. A tags field takes "key=value,key=value", a list text with
// commas, a duration a number with a unit.
const (
	Text      Kind = "text"
	Secret    Kind = "secret"
	Number    Kind = "number"
	Duration  Kind = "duration"
	Choice    Kind = "choice"
	List      Kind = "list"
	Tags      Kind = "tags"
	Multiline Kind = "multiline"
	Bool      Kind = "bool"
)

// Step is one page of questions.
type Step struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Help  string `json:"help,omitempty"`
	// Repeat is the path of the list of which the step asks one element, "" for a
	// step that is asked once. The ids of its fields have [] where the number of the
	// element goes: see [Step.At].
	Repeat string  `json:"repeat,omitempty"`
	Fields []Field `json:"fields"`
}

// Field is one question.
type Field struct {
	// ID is the path of the key in the file, such as "autoscalers[0].aws.region".
	ID    string `json:"id"`
	Label string `json:"label"`
	Help  string `json:"help,omitempty"`
	Kind  Kind   `json:"kind"`
	// Default is what a field without an answer becomes; Suggest is only proposed.
	Default string `json:"default,omitempty"`
	// Implied says that an absent key means Default too: it need not be written.
	Implied bool     `json:"implied,omitempty"`
	Suggest string   `json:"suggest,omitempty"`
	Example string   `json:"example,omitempty"`
	Choices []Option `json:"choices,omitempty"`
	// Required fields need an answer when they are asked.
	Required bool `json:"required,omitempty"`
	// When are conditions that must all hold for the field to be asked.
	When []Condition `json:"when,omitempty"`
}

// Option is one choice.
type Option struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Condition holds when the answer to Field is one of Is, or with Not none of them.
// A field that is not asked has the answer "".
type Condition struct {
	Field string   `json:"field"`
	Is    []string `json:"is"`
	Not   bool     `json:"not,omitempty"`
}

// Steps are the questions about the first autoscaler of a file.
func Steps() []Step { return StepsOf(0) }

// StepsOf are the questions about an autoscaler of a file, counted from 0.
func StepsOf(autoscaler int) []Step {
	b := builder{keys: config.NewKeyTable(), at: fmt.Sprintf("autoscalers[%d]", autoscaler)}
	return []Step{
		b.server(), b.cloud(), b.git(), b.workers(), b.resource(), b.profile(), b.rest(),
	}
}

// At is a step that repeats, asked about one element of its list.
func (s Step) At(element int) Step {
	fill := strings.NewReplacer(s.Repeat+"[]", fmt.Sprintf("%s[%d]", s.Repeat, element))
	fields := slices.Clone(s.Fields)
	for i := range fields {
		fields[i].ID = fill.Replace(fields[i].ID)
		fields[i].When = slices.Clone(fields[i].When)
		for j := range fields[i].When {
			fields[i].When[j].Field = fill.Replace(fields[i].When[j].Field)
		}
	}
	s.ID, s.Repeat, s.Fields = fmt.Sprintf("%s-%d", s.ID, element), "", fields
	return s
}

// builder makes fields out of the table of keys.
type builder struct {
	keys config.KeyTable
	at   string
}

// field is the question for one key; change adapts it.
func (b builder) field(key string, change ...func(*Field)) Field {
	id := b.at + "." + key
	k, ok := b.keys.At(id)
	if !ok {
		panic("the table of keys lacks " + id)
	}
	f := Field{ID: id, Label: k.Title, Help: k.Plain(), Kind: kindOf(k), Default: k.Default, Required: k.Required}
	if k.Kind == config.KindSecret && k.Variable != "" {
		f.Default = "${ENV:" + k.Variable + "}"
	}
	if len(k.Examples) > 0 {
		f.Example = strings.Join(k.Examples, ", ")
		if k.Kind != config.KindList {
			f.Example = k.Examples[0]
		}
	}
	for _, word := range k.Words {
		f.Choices = append(f.Choices, Option{word, word})
	}
	for _, c := range change {
		c(&f)
	}
	f.Implied = f.Default != "" && f.Default == k.Default
	return f
}

func kindOf(k config.Key) Kind {
	switch k.Kind {
	case config.KindSecret:
		return Secret
	case config.KindScript:
		return Multiline
	case config.KindFlag:
		return Bool
	case config.KindInteger:
		return Number
	case config.KindDuration:
		return Duration
	case config.KindList:
		return List
	case config.KindTags:
		return Tags
	case config.KindText, config.KindDecimal, config.KindFree, config.KindObject, config.KindObjects:
	}
	if len(k.Words) > 0 {
		return Choice
	}
	return Text
}

// when asks the field only if another one has one of the answers.
func (b builder) when(key string, is ...string) func(*Field) {
	return func(f *Field) { f.When = append(f.When, Condition{Field: b.at + "." + key, Is: is}) }
}

func (b builder) unless(key string, is ...string) func(*Field) {
	return func(f *Field) { f.When = append(f.When, Condition{Field: b.at + "." + key, Is: is, Not: true}) }
}

func required(f *Field) { f.Required = true }

func help(text string) func(*Field) { return func(f *Field) { f.Help = text } }

func label(text string) func(*Field) { return func(f *Field) { f.Label = text } }

func suggest(text string) func(*Field) { return func(f *Field) { f.Suggest = text } }

func byDefault(text string) func(*Field) { return func(f *Field) { f.Default = text } }

func example(text string) func(*Field) { return func(f *Field) { f.Example = text } }

// labels names the choices in words.
func labels(words ...string) func(*Field) {
	return func(f *Field) {
		for i, word := range words {
			f.Choices[i].Label = f.Choices[i].Value + " – " + word
		}
	}
}

func (b builder) server() Step {
	return Step{
		ID: "clearml", Title: "ClearML server",
		Help: "The server whose queues are watched. Its credentials also go to the agents on the instances.",
		Fields: []Field{
			b.field("clearml.api_server", suggest("https://api.clear.ml")),
			b.field("clearml.web_server", example("")),
			b.field("clearml.files_server", example("")),
			b.field("clearml.access_key", label("Access key (leave empty to give a token instead)"), help("Made by ClearML under Settings > Workspace > Create new credentials.")),
			b.field("clearml.secret_key", required, b.unless("clearml.access_key", "")),
			b.field("clearml.auth_token", required, byDefault(""), suggest("${ENV:CLEARML_AUTH_TOKEN}"), b.when("clearml.access_key", "")),
		},
	}
}

func (b builder) cloud() Step {
	return Step{
		ID: "aws", Title: "AWS",
		Help: "`ebb iam-policy` prints the permissions that are needed.",
		Fields: []Field{
			b.field("aws.region"),
			b.field("aws.use_iam_role", help("Use the role of the machine or pod that ebb runs on; no key is needed then.")),
			b.field("aws.access_key_id", required, b.unless("aws.use_iam_role", "true")),
			b.field("aws.secret_access_key", required, b.unless("aws.use_iam_role", "true")),
			b.field("aws.session_token", byDefault(""), b.unless("aws.use_iam_role", "true"), help("Only for temporary credentials.")),
		},
	}
}

func (b builder) git() Step {
	return Step{
		ID: "git", Title: "Git",
		Help: "With which the agents clone the repositories of tasks.",
		Fields: []Field{
			b.field("git.user", help("Leave empty when repositories are public or cloned with SSH keys. With an access token: GitHub takes any name, GitLab oauth2.")),
			b.field("git.password", required, b.unless("git.user", "")),
		},
	}
}

func (b builder) workers() Step {
	return Step{
		ID: "workers", Title: "Workers",
		Fields: []Field{
			b.field("max_idle_time"),
			b.field("workers_prefix"),
			b.field("polling_interval"),
			b.field("base_docker_image", help("Default image of tasks, followed by its arguments. Leave empty to run tasks without containers; a task's own container wins.")),
		},
	}
}

func (b builder) resource() Step {
	r := builder{keys: b.keys, at: b.at + ".resources[]"}
	spot := r.when("market", "spot")
	disk := r.unless("volumes[0].device", "")
	return Step{
		ID: "resource", Title: "Compute resource", Repeat: b.at + ".resources",
		Help: "One kind of instance, how many there may be, and the queues that they serve.",
		Fields: []Field{
			r.field("name"),
			r.field("instance_types"),
			r.field("market", labels("cheaper, may be taken away", "the usual price, stays")),
			r.field("on_demand_fallback.enabled", spot),
			r.field("on_demand_fallback.patience", spot, r.when("on_demand_fallback.enabled", "true")),
			r.field("on_demand_fallback.blackout", spot, r.when("on_demand_fallback.enabled", "true")),
			r.field("subnets", help("Ids of subnets, with commas; instances go to the first that has capacity. Leave empty for the default network.")),
			r.field("availability_zones", required, byDefault(config.ZoneAuto), r.when("subnets", ""), help("Zones of the region, with commas, or auto when AWS may choose.")),
			r.field("ami_id"),
			r.field("max_instances"),
			r.field("queues", required, help("ClearML queues that these instances serve, with commas, first served first.")),
			r.field("tags", help("key=value pairs, with commas. Values with a comma: write them into the file later.")),
			r.field("volumes[0].device", func(f *Field) { f.Required = false }, help("Where an EBS disk appears; the root disk of most AMIs is /dev/sda1. Leave empty for the AMI's own disks.")),
			r.field("volumes[0].size_gb", disk, byDefault("100")),
			r.field("volumes[0].type", disk),
			r.field("key_pair"),
			r.field("security_groups", help("Ids of security groups, with commas. Leave empty for the default group of the network.")),
			r.field("cpu_only"),
		},
	}
}

func (b builder) profile() Step {
	return Step{
		ID: "profile", Title: "IAM instance profile",
		Help: "What the instances themselves may do in AWS, such as reading a bucket. Leave both empty for nothing.",
		Fields: []Field{
			b.field("iam_instance_profile.arn", help("ARN of the instance profile.")),
			b.field("iam_instance_profile.name", b.when("iam_instance_profile.arn", ""), help("Or its name.")),
		},
	}
}

func (b builder) rest() Step {
	return Step{
		ID: "autoscaler", Title: "The autoscaler",
		Fields: []Field{
			b.field("name", byDefault("prod")),
			b.field("init_script"),
			b.field("clearml_conf"),
			b.field("on_shutdown", labels("leave instances running", "terminate idle ones", "terminate all, also those running a task")),
		},
	}
}
