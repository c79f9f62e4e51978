package bootstrap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/adapters/bootstrap"
)

// hostile draws text made of what shells and HOCON find special.
func hostile() *rapid.Generator[string] {
	pieces := []string{
		`'`, `"`, `\`, "`", "$", "${HOME}", "$(id)", "`id`", "\n", "\r", "\t", " ", "!", "#", "//", "=", "{", "}", "[", "%s", "&", ";", "|", "<<EOF",
		"EBB_END_OF_FILE", `'\''`, `\n`, `\u00e9`, `"""`, "é", "日本", "😀", "\u2028", "\x01", "\x7f", "a", "Z", "7", "-", "~", "*", "@lib.sh@",
	}
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 12).Draw(t, "pieces"), "")
	})
}

// filesOnly is a script that ends once it has written the agent's files, followed
// by more commands.
func filesOnly(t *testing.T, spec bootstrap.Spec, more string) string {
	t.Helper()
	script, err := bootstrap.Render(spec)
	must(t, err)
	functions, found := strings.CutSuffix(script.Text, "\nebb_main\n")
	if !found {
		t.Fatal("the script does not end with ebb_main")
	}
	return functions + "\nebb_handed_over=1\nebb_identify && ebb_files || exit 9\n" + more
}

// Whatever the values are, the agent reads back exactly these.
func TestHostileValuesSurvive(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get")
	values := hostile()
	rapid.Check(t, func(r *rapid.T) {
		spec := base()
		spec.IMDS = box.imds.URL
		spec.AccessKey, spec.SecretKey = values.Draw(r, "access key"), values.Draw(r, "secret key")
		spec.AuthToken = values.Draw(r, "auth token")
		spec.GitUser, spec.GitPassword = values.Draw(r, "git user"), values.Draw(r, "git password")
		spec.InitScript = values.Draw(r, "init script")
		spec.ClearMLConf = "# " + values.Draw(r, "extra conf")
		spec.DockerImage = "image " + strings.Join(strings.Fields(values.Draw(r, "docker")), " ")
		spec.DockerImage = strings.TrimRight(spec.DockerImage, " ")
		box.set(t, "script", filesOnly(t, spec, ""))
		if console := box.runFile(t, box.path("script")); console != "" {
			r.Fatalf("the console shows %q", console)
		}

		conf := box.file("root/clearml.conf")
		if got := confString(r, conf, "agent.git_user"); got != spec.GitUser {
			r.Errorf("git user is %q, want %q", got, spec.GitUser)
		}
		if got := confString(r, conf, "agent.git_pass"); got != spec.GitPassword {
			r.Errorf("git password is %q, want %q", got, spec.GitPassword)
		}
		if !strings.HasSuffix(strings.TrimRight(conf, "\n"), strings.TrimRight(spec.ClearMLConf, "\n")) {
			r.Errorf("clearml.conf does not end with %q: %q", spec.ClearMLConf, conf)
		}
		if got := box.file("opt/ebb/init-script.sh"); got != spec.InitScript {
			r.Errorf("the init script is %q, want %q", got, spec.InitScript)
		}
		read := box.runFile(t, "-c", `. "$EBB_ROOT/opt/ebb/agent.env"; . "$EBB_ROOT/opt/ebb/settings"
			printf '%s\0' "$CLEARML_API_ACCESS_KEY" "$CLEARML_API_SECRET_KEY" "$CLEARML_AUTH_TOKEN" "$EBB_DOCKER"`)
		want := strings.Join([]string{spec.AccessKey, spec.SecretKey, spec.AuthToken, spec.DockerImage, ""}, "\x00")
		if read != want {
			r.Errorf("the runner reads %q, want %q", read, want)
		}
		for _, name := range []string{"root/clearml.conf", "opt/ebb/agent.env", "opt/ebb/settings", "opt/ebb/init-script.sh"} {
			wantMode(t, filepath.Join(box.root, name), 0o600)
		}
	})
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %o, want %o", path, got, want)
	}
}

// What clearml-agent's HOCON reader (a copy of pyhocon) takes for a string, and
// what it unescapes in it: nothing but these.
var (
	confQuoted  = regexp.MustCompile(`^"((?:[^"\\\n]|\\.)*)"$`)
	confEscape  = regexp.MustCompile(`\\.`)
	confMeaning = map[string]string{`\\`: `\`, `\"`: `"`, `\n`: "\n", `\r`: "\r", `\t`: "\t"}
)

func confString(t interface{ Fatalf(string, ...any) }, conf, key string) string {
	for line := range strings.SplitSeq(conf, "\n") {
		value, found := strings.CutPrefix(line, key+": ")
		if !found {
			continue
		}
		match := confQuoted.FindStringSubmatch(value)
		if match == nil {
			t.Fatalf("%s is not a quoted string: %q", key, value)
		}
		return confEscape.ReplaceAllStringFunc(match[1], func(escape string) string {
			meaning, known := confMeaning[escape]
			if !known {
				t.Fatalf("%s holds the escape %q, which clearml-agent leaves as it stands", key, escape)
			}
			return meaning
		})
	}
	t.Fatalf("no %s in %q", key, conf)
	return ""
}

// An image's own clearml.conf stays, before ours, also when the files are written twice.
func TestImagesClearMLConfStays(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get")
	path := filepath.Join(box.root, "root/clearml.conf")
	must(t, os.WriteFile(path, []byte("agent.git_user: \"image\"\nagent.venvs_dir: /scratch"), 0o644))
	spec := full()
	spec.IMDS = box.imds.URL
	box.set(t, "script", filesOnly(t, spec, "ebb_files\n"))
	if console := box.runFile(t, box.path("script")); console != "" {
		t.Fatalf("the console shows %q", console)
	}
	conf := box.file("root/clearml.conf")
	want := fmt.Sprintf("agent.git_user: \"image\"\nagent.venvs_dir: /scratch\n# ebb: from here on written when the instance booted\nagent.git_user: %q\n", spec.GitUser)
	if !strings.HasPrefix(conf, want) || strings.Count(conf, "# ebb: from here on") != 1 {
		t.Errorf("clearml.conf is\n%s", conf)
	}
	wantMode(t, path, 0o600)
}

// Every file that a boot leaves behind and that holds a secret is for root only.
func TestOnlyRootReadsSecrets(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get", "git", "gcc", "python3")
	spec := full()
	spec.InitScript = "set -x\necho \"$CLEARML_API_SECRET_KEY\"\nexport MINE=SECRETmine\n"
	box.set(t, "agent.says", "SECRET of a task\n")
	console := box.boot(t, spec)
	box.wantSecretsHidden(t, console, spec)
	if strings.Contains(console, "SECRET") {
		t.Errorf("a secret is on the console:\n%s", console)
	}
	holders := 0
	must(t, filepath.WalkDir(box.root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && strings.Contains(strings.ReplaceAll(box.read(path), "CLEARML_API_SECRET_KEY", ""), "SECRET") {
			holders++
			wantMode(t, path, 0o600)
		}
		return err
	}))
	if holders < 5 {
		t.Errorf("only %d files hold a secret: conf, settings or logs are missing", holders)
	}
	wantMode(t, filepath.Join(box.root, "var/log/ebb"), 0o700)
}
