package fake

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Boot is what the assignments in an instance's user data tell it to be.
type Boot struct {
	WorkerName string   // without the instance id
	Queues     []string // names, in order of priority
	APIHost    string
	WebHost    string
	FilesHost  string
	AccessKey  string
	SecretKey  string
	Token      string
	// Autoscaler is who launched the instance; empty in user data that knows no
	// supervisor. The times are then zero.
	Autoscaler string
	// MaxIdle is a third of the time after which the instance ends itself when it
	// is idle and its autoscaler dead; 0: never.
	MaxIdle time.Duration
	// Unreachable is how long ClearML may be away before an idle instance ends
	// itself; 0: never.
	Unreachable time.Duration
}

// maxScript bounds an unpacked script, in bytes.
const maxScript = 1 << 20

// ReadUserData reads the assignments out of a bootstrap script, packed with gzip
// or not. Only names that the script is known to assign are looked at. It
// reports what is missing.
func ReadUserData(raw []byte) (Boot, error) {
	script, err := unpack(raw)
	if err != nil {
		return Boot{}, err
	}
	vars, err := assignments(script)
	if err != nil {
		return Boot{}, err
	}
	b := Boot{
		WorkerName: vars["EBB_WORKER_NAME"], APIHost: vars["CLEARML_API_HOST"], WebHost: vars["CLEARML_WEB_HOST"],
		FilesHost: vars["CLEARML_FILES_HOST"], AccessKey: vars["CLEARML_API_ACCESS_KEY"], SecretKey: vars["CLEARML_API_SECRET_KEY"],
		Token: vars["CLEARML_AUTH_TOKEN"], Autoscaler: vars["EBB_AUTOSCALER"],
	}
	if b.Autoscaler != "" {
		if b.MaxIdle, err = seconds(vars, "EBB_MAX_IDLE_SECONDS"); err != nil {
			return Boot{}, err
		}
		if b.Unreachable, err = seconds(vars, "EBB_UNREACHABLE_SECONDS"); err != nil {
			return Boot{}, err
		}
	}
	for line := range strings.Lines(vars["EBB_QUEUES"]) {
		if name := strings.TrimRight(line, "\r\n"); name != "" {
			b.Queues = append(b.Queues, name)
		}
	}
	for _, need := range []struct{ name, value string }{
		{"EBB_WORKER_NAME", b.WorkerName}, {"EBB_QUEUES", strings.Join(b.Queues, "")}, {"CLEARML_API_HOST", b.APIHost},
	} {
		if need.value == "" {
			return Boot{}, fmt.Errorf("read user data: %s is not assigned, or to nothing", need.name)
		}
	}
	return b, nil
}

// seconds reads a whole number of seconds; what is not assigned is none.
func seconds(vars map[string]string, name string) (time.Duration, error) {
	text := vars[name]
	if text == "" {
		return 0, nil
	}
	count, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read user data: %s is %q, want a whole number of seconds", name, text)
	}
	return time.Duration(count) * time.Second, nil
}

func unpack(raw []byte) (string, error) {
	if !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		return string(raw), nil
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return "", fmt.Errorf("unpack user data: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxScript+1))
	if err != nil {
		return "", fmt.Errorf("unpack user data: %w", err)
	}
	if len(text) > maxScript {
		return "", fmt.Errorf("unpack user data: more than %d bytes", maxScript)
	}
	return string(text), nil
}

// assignments finds the lines NAME='value' of a script, where a value may span
// lines and holds a quote as '\”. What stands inside another value is not looked
// at. The first assignment of a name wins. An export in front is allowed.
func assignments(script string) (map[string]string, error) {
	form := regexp.MustCompile(`^(?:export )?([A-Za-z_][A-Za-z0-9_]*)=`)
	vars := map[string]string{}
	for len(script) > 0 {
		m := form.FindStringSubmatch(script)
		if m == nil {
			_, script, _ = strings.Cut(script, "\n")
			continue
		}
		name := m[1]
		_, known := vars[name]
		value, left, err := unquote(script[len(m[0]):])
		switch {
		case err == nil && !known:
			vars[name] = value
		case err != nil && !known && wanted(name):
			return nil, fmt.Errorf("read user data: value of %s: %w", name, err)
		case err != nil: // code, not an assignment of the kind that is read here
			left = script
		}
		_, script, _ = strings.Cut(left, "\n")
	}
	return vars, nil
}

func wanted(name string) bool {
	switch name {
	case "EBB_AUTOSCALER", "EBB_MAX_IDLE_SECONDS", "EBB_UNREACHABLE_SECONDS", "EBB_WORKER_NAME", "EBB_QUEUES", "CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_FILES_HOST",
		"CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY", "CLEARML_AUTH_TOKEN":
		return true
	default:
		return false
	}
}

// unquote reads one word of a shell script that is made of single-quoted pieces
// and of \' between them, and returns what is left behind it.
func unquote(text string) (value, left string, err error) {
	var b strings.Builder
	for {
		switch {
		case strings.HasPrefix(text, "'"):
			end := strings.Index(text[1:], "'")
			if end < 0 {
				return "", "", fmt.Errorf("the single quote is not closed")
			}
			b.WriteString(text[1 : 1+end])
			text = text[end+2:]
		case strings.HasPrefix(text, `\'`):
			b.WriteByte('\'')
			text = text[2:]
		case text == "" || strings.ContainsRune(" \t\r\n;#", rune(text[0])):
			return b.String(), text, nil
		default:
			return "", "", fmt.Errorf("it is not single-quoted, it goes on with %.20q", text)
		}
	}
}
