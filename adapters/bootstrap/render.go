package bootstrap

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Limit is how many bytes of user data EC2 takes, counted before base64.
const Limit = 16384

//go:embed assets
var assets embed.FS

// Script is a rendered bootstrap. Both fields hold secrets; formatting a Script
// with fmt or as JSON shows neither.
type Script struct {
	// Text is the script itself.
	Text string `json:"-"`
	// UserData is what EC2 gets, not yet base64: the gzip of Text, which
	// cloud-init unpacks.
	UserData []byte `json:"-"`
}

// Format writes the sizes of the script, whatever the verb: its text holds secrets.
func (s Script) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "bootstrap.Script{text %d bytes, user data %d bytes}", len(s.Text), len(s.UserData))
}

// TooLargeError says that a script does not fit EC2's user data even compressed.
type TooLargeError struct {
	// Text and Compressed are the script's sizes in bytes.
	Text, Compressed int
}

// Over is how many bytes of compressed script there are too many.
func (e *TooLargeError) Over() int { return e.Compressed - Limit }

// Error names the sizes and the cure.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("user data is %d bytes over EC2's limit of %d (%d bytes of script, %d compressed): "+
		"shorten the init script or the extra clearml.conf, for example by downloading the large part in the init script",
		e.Over(), Limit, e.Text, e.Compressed)
}

// Render writes the script for spec. The same spec gives the same bytes. It fails
// with everything that is wrong with spec, joined, or with a [*TooLargeError].
func Render(spec Spec) (Script, error) {
	spec = spec.withDefaults()
	if err := spec.validate(); err != nil {
		return Script{}, fmt.Errorf("render bootstrap script: %w", err)
	}
	script, err := body()
	if err != nil {
		return Script{}, fmt.Errorf("render bootstrap script: %w", err)
	}
	text := head(spec) + script
	packed, err := compress(text)
	if err != nil {
		return Script{}, fmt.Errorf("compress bootstrap script: %w", err)
	}
	if len(packed) > Limit {
		return Script{}, fmt.Errorf("render bootstrap script: %w", &TooLargeError{Text: len(text), Compressed: len(packed)})
	}
	return Script{Text: text, UserData: packed}, nil
}

// head is the block of assignments. Its names are read by others too (the fake
// EC2 finds there what the simulated agent has to do): do not rename them.
func head(spec Spec) string {
	name := spec.WorkerPrefix + ":" + spec.Resource
	if spec.InstanceType != "" {
		name += ":" + spec.InstanceType
	}
	var b strings.Builder
	b.WriteString("#!/bin/bash\n")
	for _, line := range []struct{ name, value string }{
		{"EBB_WORKER_NAME", name},
		{"EBB_QUEUES", strings.Join(spec.Queues, "\n")},
		{"CLEARML_API_HOST", spec.APIServer},
		{"CLEARML_WEB_HOST", spec.WebServer},
		{"CLEARML_FILES_HOST", spec.FilesServer},
		{"CLEARML_API_ACCESS_KEY", spec.AccessKey},
		{"CLEARML_API_SECRET_KEY", spec.SecretKey},
		{"CLEARML_AUTH_TOKEN", spec.AuthToken},
		{"EBB_AGENT_VERSION", spec.AgentVersion},
		{"EBB_DOCKER", spec.DockerImage},
		{"EBB_CPU_ONLY", flag(spec.CPUOnly)},
		{"EBB_EXCLUDE_BASHRC", flag(spec.ExcludeBashrc)},
		{"EBB_IMDS", spec.IMDS},
		{"EBB_AUTOSCALER", spec.Autoscaler},
		{"EBB_MAX_IDLE_SECONDS", seconds(spec.MaxIdle)},
		{"EBB_UNREACHABLE_SECONDS", seconds(spec.Unreachable)},
		{"EBB_HOME_QUERY", homeQuery(spec.Queues[0])},
		{"EBB_CLEARML_CONF", clearmlConf(spec)},
		{"EBB_INIT_SCRIPT", spec.InitScript},
	} {
		b.WriteString(line.name + "=" + shellQuote(line.value) + "\n")
	}
	return b.String()
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// seconds is d in whole seconds, rounded up so that a short time does not become
// 0, which means never.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// homeQuery is the request that finds the id of the queue whose metadata is the
// channel between the autoscaler and the instance.
func homeQuery(queue string) string {
	query, err := json.Marshal(map[string]any{"name": "^" + regexp.QuoteMeta(queue) + "$", "only_fields": []string{"id"}})
	if err != nil {
		panic(err) // strings always encode
	}
	return string(query)
}

// shellQuote is value for the shell, with nothing in it special. Values may span lines.
func shellQuote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// clearmlConf is what goes to the end of the instance's clearml.conf. The first
// line marks where it begins; the body of the script looks for it.
func clearmlConf(spec Spec) string {
	var b strings.Builder
	b.WriteString("# ebb: from here on written when the instance booted\n")
	if spec.GitUser != "" {
		b.WriteString("agent.git_user: " + hoconQuote(spec.GitUser) + "\n")
		b.WriteString("agent.git_pass: " + hoconQuote(spec.GitPassword) + "\n")
	}
	b.WriteString(spec.ClearMLConf)
	if spec.ClearMLConf != "" && !strings.HasSuffix(spec.ClearMLConf, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}

// hoconQuote is value as a HOCON string. Only what clearml-agent's own HOCON
// reader unescapes is escaped: unlike JSON it leaves \u00e9 as it stands, and takes
// every other character raw.
func hoconQuote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value) + `"`
}

// body is the part of the script that is the same for every spec: bootstrap.sh
// with the other files put where it names them, and without most comments, which
// leaves more of [Limit] to the settings.
func body() (string, error) {
	script, err := assets.ReadFile("assets/bootstrap.sh")
	if err != nil {
		return "", fmt.Errorf("read bootstrap.sh: %w", err)
	}
	text := string(script)
	for _, name := range []string{"lib.sh", "run-agent.sh", "channel.sh", "supervise.sh", "agent.py", "init-shell.sh", "ebb-agent.service"} {
		file, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		text = strings.Replace(text, "@"+name+"@\n", string(file), 1)
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !isComment(strings.TrimLeft(line, "\t ")) {
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

// isComment tells the lines that only readers of the assets need from a file's
// first line, its title and what shellcheck is told.
func isComment(line string) bool {
	return strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "# ebb: ") && !strings.HasPrefix(line, "# shellcheck ")
}

func compress(text string) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
