package bootstrap

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DefaultAgentVersion is the clearml-agent release that is installed when
// [Spec.AgentVersion] is empty.
const DefaultAgentVersion = "3.0.3"

// DefaultIMDS is the instance metadata endpoint of every EC2 instance.
const DefaultIMDS = "http://169.254.169.254"

// Spec is what one instance has to know to become a worker. Formatting it with
// fmt or as JSON leaves out whatever is or may hold a secret.
type Spec struct {
	// WorkerPrefix is the first part of the worker id. No colon, no blank.
	WorkerPrefix string
	// Resource is the name of the resource type, the second part of the worker id.
	Resource string
	// InstanceType is the third part of the worker id. Empty means that the
	// instance asks its metadata service, which suits one user data for several types.
	InstanceType string
	// Queues are the names of the queues to serve, the most urgent first.
	Queues []string

	// APIServer, WebServer and FilesServer are the URLs of the ClearML server, as
	// seen from the instance. Only APIServer is required.
	APIServer, WebServer, FilesServer string
	// AccessKey and SecretKey are the ClearML credentials; both or neither.
	AccessKey string `json:"-"`
	SecretKey string `json:"-"`
	// AuthToken is a ClearML token; required when there are no keys. The agent
	// prefers it when there are both.
	AuthToken string `json:"-"`

	// GitUser and GitPassword (or access token) are how tasks' repositories are
	// cloned. Empty means that git needs none, or that ClearMLConf has them.
	GitUser     string `json:"-"`
	GitPassword string `json:"-"`
	// DockerImage is the default image of tasks and, after a blank, arguments for
	// docker run. Empty means that tasks run in virtual environments.
	DockerImage string `json:"-"`
	// AgentVersion is the clearml-agent release; [DefaultAgentVersion] when empty.
	AgentVersion string
	// InitScript is bash that runs before the agent starts. What it exports, the
	// agent has.
	InitScript string `json:"-"`
	// ClearMLConf is HOCON that goes to the end of clearml.conf, where it wins.
	ClearMLConf string `json:"-"`
	// CPUOnly hides GPUs from the agent and its tasks.
	CPUOnly bool
	// ExcludeBashrc keeps /root/.bashrc from being read before the init script.
	ExcludeBashrc bool
	// IMDS is the base URL of the instance metadata service; [DefaultIMDS] when empty.
	IMDS string

	// Autoscaler is whose sign of life the instance watches. Empty means that it
	// watches none and waits for orders for ever.
	Autoscaler string
	// MaxIdle is how long the autoscaler lets an instance be idle. One that has
	// been idle for three times as long, and at least 15 minutes, without a sign of
	// life of the autoscaler powers itself off; never when it is 0. Whole seconds count.
	MaxIdle time.Duration
	// Unreachable is how long an instance without a task waits for a ClearML server
	// that does not answer before it powers itself off; 0 means for ever. Whole seconds count.
	Unreachable time.Duration
}

// Format writes the spec without its secrets, whatever the verb.
func (s Spec) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "bootstrap.Spec{%s:%s:%s queues=%d docker=%t, secrets left out}",
		s.WorkerPrefix, s.Resource, s.InstanceType, len(s.Queues), s.DockerImage != "")
}

var (
	agentVersionPattern = regexp.MustCompile(`^[0-9][0-9A-Za-z.+!]*$`)
	autoscalerPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	typePattern         = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
)

func (s Spec) withDefaults() Spec {
	if s.AgentVersion == "" {
		s.AgentVersion = DefaultAgentVersion
	}
	if s.IMDS == "" {
		s.IMDS = DefaultIMDS
	}
	s.IMDS = strings.TrimRight(s.IMDS, "/")
	// The agent splits at single blanks and would pass an empty argument on.
	s.DockerImage = strings.Join(strings.Fields(s.DockerImage), " ")
	return s
}

// validate reports everything that is wrong at once. It never quotes a secret.
func (s Spec) validate() error {
	var wrong []error
	note := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }

	for _, part := range []struct{ name, value string }{{"workers prefix", s.WorkerPrefix}, {"resource name", s.Resource}} {
		switch {
		case part.value == "":
			note("%s is empty: it is a part of the worker id, so give it a name", part.name)
		case strings.ContainsFunc(part.value, func(r rune) bool { return r == ':' || unicode.IsSpace(r) || unicode.IsControl(r) }):
			note("%s %q holds a colon, a blank or a control character, which break the worker id: leave them out", part.name, part.value)
		}
	}
	if s.InstanceType != "" && !typePattern.MatchString(s.InstanceType) {
		note("instance type %q is not one: write it as in g4dn.xlarge, or leave it empty to ask the instance", s.InstanceType)
	}
	if s.Autoscaler != "" && !autoscalerPattern.MatchString(s.Autoscaler) {
		note("autoscaler name %q holds more than letters, digits, - and _: rename it", s.Autoscaler)
	}
	if s.MaxIdle < 0 || s.Unreachable < 0 {
		note("max idle is %s and unreachable is %s: neither can be below 0, and 0 means for ever", s.MaxIdle, s.Unreachable)
	}
	if !agentVersionPattern.MatchString(s.AgentVersion) {
		note("agent version %q is not one: write it as in %s", s.AgentVersion, DefaultAgentVersion)
	}
	if strings.HasPrefix(s.DockerImage, "-") {
		note("docker image begins with a dash: the image comes first, its arguments after it")
	}
	wrong = append(wrong, s.validateQueues()...)
	wrong = append(wrong, s.validateServer()...)
	wrong = append(wrong, s.validateConf()...)
	wrong = append(wrong, s.validateText()...)
	return errors.Join(wrong...)
}

func (s Spec) validateQueues() (wrong []error) {
	if len(s.Queues) == 0 {
		wrong = append(wrong, errors.New("no queue: name at least one for the worker to serve"))
	}
	for i, queue := range s.Queues {
		switch {
		case strings.TrimSpace(queue) == "":
			wrong = append(wrong, fmt.Errorf("queue %d of %d is empty: name it or leave it out", i+1, len(s.Queues)))
		case strings.ContainsFunc(queue, unicode.IsControl):
			wrong = append(wrong, fmt.Errorf("queue %q holds a line break or another control character: rename it", queue))
		case strings.HasPrefix(queue, "-"):
			wrong = append(wrong, fmt.Errorf("queue %q begins with a dash, which clearml-agent takes for an option: rename it or give its id", queue))
		case slices.Contains(s.Queues[:i], queue):
			wrong = append(wrong, fmt.Errorf("queue %q is named twice: leave the second out", queue))
		}
	}
	return wrong
}

func (s Spec) validateServer() (wrong []error) {
	for _, server := range []struct {
		name, value string
		optional    bool
	}{
		{"api server", s.APIServer, false},
		{"web server", s.WebServer, true},
		{"files server", s.FilesServer, true},
		{"metadata endpoint", s.IMDS, false},
	} {
		if server.value == "" && server.optional {
			continue
		}
		parsed, err := url.Parse(server.value)
		switch {
		case err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https"):
			wrong = append(wrong, fmt.Errorf("%s is not a URL: write it as in https://api.clear.ml", server.name))
		case parsed.User != nil:
			wrong = append(wrong, fmt.Errorf("%s holds a user or password: give credentials as keys or token", server.name))
		}
	}
	switch {
	case (s.AccessKey == "") != (s.SecretKey == ""):
		wrong = append(wrong, errors.New("only one of access key and secret key is given: give both, or an auth token"))
	case s.AccessKey == "" && s.AuthToken == "":
		wrong = append(wrong, errors.New("no ClearML credentials: give access key and secret key, or an auth token"))
	}
	return wrong
}

func (s Spec) validateConf() (wrong []error) {
	if strings.HasPrefix(strings.TrimSpace(s.ClearMLConf), "{") {
		wrong = append(wrong, errors.New("extra clearml.conf is wrapped in braces, and so cannot follow other settings: leave the outermost braces out"))
	}
	if (s.GitUser == "") != (s.GitPassword == "") {
		wrong = append(wrong, errors.New("only one of git user and git password is given, and clearml-agent ignores one alone: give both (with a token, any user name will do)"))
	}
	return wrong
}

// validateText refuses what no shell variable can carry.
func (s Spec) validateText() (wrong []error) {
	for _, text := range []struct{ name, value string }{
		{"access key", s.AccessKey},
		{"secret key", s.SecretKey},
		{"auth token", s.AuthToken},
		{"git user", s.GitUser},
		{"git password", s.GitPassword},
		{"docker image", s.DockerImage},
		{"init script", s.InitScript},
		{"extra clearml.conf", s.ClearMLConf},
		{"queue", strings.Join(s.Queues, "\n")},
		{"workers prefix", s.WorkerPrefix},
		{"resource name", s.Resource},
	} {
		if at := strings.IndexByte(text.value, 0); at >= 0 {
			wrong = append(wrong, fmt.Errorf("%s holds a NUL byte at position %d, which a shell cannot carry: remove it", text.name, at))
		}
		if !utf8.ValidString(text.value) {
			wrong = append(wrong, fmt.Errorf("%s is not valid UTF-8: save it as UTF-8", text.name))
		}
	}
	return wrong
}
