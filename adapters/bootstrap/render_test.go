package bootstrap_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/fake"
)

// noise is text that does not compress well, as keys and certificates are.
func noise(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[random.IntN(len(letters))]
	}
	return string(out)
}

// largest is every option on, with an init script and a conf longer than most.
func largest() bootstrap.Spec {
	all := combinations()
	spec := all[len(all)-1].spec
	spec.AuthToken = noise(900)
	spec.GitPassword = noise(100)
	line := "apt-get install -y package-number-%d && curl -fsSL https://example.com/%d/" + "file | tee /opt/file-%d\n"
	for i := range 60 {
		spec.InitScript += fmt.Sprintf(line, i, i*i, i)
		spec.ClearMLConf += fmt.Sprintf("\nsdk.storage.bucket%d { host: \"host-%d.example.com\", secret: %q }", i, i, noise(20))
	}
	return spec
}

func TestSizeOfTheLargestRealisticScript(t *testing.T) {
	t.Parallel()
	script, err := bootstrap.Render(largest())
	must(t, err)
	t.Logf("%d bytes of script, %d of user data", len(script.Text), len(script.UserData))
	if len(script.Text) <= bootstrap.Limit {
		t.Errorf("the script has only %d bytes, so this says nothing about compression", len(script.Text))
	}
	if len(script.UserData) > bootstrap.Limit*3/4 {
		t.Errorf("user data has %d bytes: less than a quarter of %d is left", len(script.UserData), bootstrap.Limit)
	}
	reader, err := gzip.NewReader(bytes.NewReader(script.UserData))
	must(t, err)
	text, err := io.ReadAll(reader)
	must(t, err)
	if string(text) != script.Text {
		t.Error("user data unpacks to something else than the text")
	}
}

// Even the plainest script is compressed, which cloud-init takes, and so do those
// who read the head of it elsewhere.
func TestUserDataIsCompressed(t *testing.T) {
	t.Parallel()
	spec := full()
	spec.Queues = []string{"urgent gpu", "später's"}
	script, err := bootstrap.Render(spec)
	must(t, err)
	t.Logf("%d bytes of script, %d of user data", len(script.Text), len(script.UserData))
	if !bytes.HasPrefix(script.UserData, []byte{0x1f, 0x8b}) || len(script.UserData) > bootstrap.Limit*2/3 {
		t.Errorf("%d bytes of user data begin with %x", len(script.UserData), script.UserData[:2])
	}
	boot, err := fake.ReadUserData(script.UserData)
	must(t, err)
	if boot.WorkerName != "dynamic_aws:gpu:g4dn.xlarge" || !slices.Equal(boot.Queues, spec.Queues) || boot.SecretKey != spec.SecretKey {
		t.Errorf("the head reads as %+v", boot)
	}
}

// At the limit to the byte; and past it the error counts.
func TestLimits(t *testing.T) {
	t.Parallel()
	spec := base()
	spec.AuthToken = "token"
	filler := noise(30000)
	render := func(n int) (bootstrap.Script, error) {
		spec := spec
		spec.InitScript = filler[:n]
		return bootstrap.Render(spec)
	}
	first := sort.Search(len(filler), func(n int) bool {
		_, err := render(n)
		return err != nil
	})
	last, err := render(first - 1)
	must(t, err)
	if n := len(last.UserData); n > bootstrap.Limit || n < bootstrap.Limit-3 {
		t.Errorf("the largest user data that is taken has %d bytes, the limit is %d", n, bootstrap.Limit)
	}
	_, err = render(first)
	var large *bootstrap.TooLargeError
	if !errors.As(err, &large) {
		t.Fatalf("%d bytes of noise: %v", first, err)
	}
	if large.Over() <= 0 || large.Over() > 3 || large.Over() != large.Compressed-bootstrap.Limit {
		t.Errorf("it is %d bytes over: %+v", large.Over(), large)
	}
	if want := fmt.Sprintf("user data is %d bytes over EC2's limit of 16384", large.Over()); !strings.Contains(err.Error(), want) {
		t.Errorf("the error does not say %q: %v", want, err)
	}
}

func TestSameSpecSameBytes(t *testing.T) {
	t.Parallel()
	one, err := bootstrap.Render(largest())
	must(t, err)
	two, err := bootstrap.Render(largest())
	must(t, err)
	if !bytes.Equal(one.UserData, two.UserData) {
		t.Error("two renderings differ: a repeated launch would not be the same request")
	}
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(*bootstrap.Spec)
		want  string
	}{
		{"no prefix", func(s *bootstrap.Spec) { s.WorkerPrefix = "" }, "workers prefix is empty"},
		{"colon in prefix", func(s *bootstrap.Spec) { s.WorkerPrefix = "a:b" }, `workers prefix "a:b" holds a colon`},
		{"blank in resource", func(s *bootstrap.Spec) { s.Resource = "big gpu" }, `resource name "big gpu" holds`},
		{"type", func(s *bootstrap.Spec) { s.InstanceType = "G4dn Xlarge" }, "instance type"},
		{"no queue", func(s *bootstrap.Spec) { s.Queues = nil }, "no queue"},
		{"empty queue", func(s *bootstrap.Spec) { s.Queues = []string{"a", " "} }, "queue 2 of 2 is empty"},
		{"queue of two lines", func(s *bootstrap.Spec) { s.Queues = []string{"a\nb"} }, "line break"},
		{"queue like an option", func(s *bootstrap.Spec) { s.Queues = []string{"--stop"} }, "begins with a dash"},
		{"queue twice", func(s *bootstrap.Spec) { s.Queues = []string{"a", "b", "a"} }, `"a" is named twice`},
		{"no api server", func(s *bootstrap.Spec) { s.APIServer = "" }, "api server is not a URL"},
		{"api server without scheme", func(s *bootstrap.Spec) { s.APIServer = "api.example.com:8008" }, "api server is not a URL"},
		{"password in URL", func(s *bootstrap.Spec) { s.FilesServer = "https://u:SECRET@files" }, "files server holds a user or password"},
		{"no credentials", func(s *bootstrap.Spec) { s.AccessKey, s.SecretKey = "", "" }, "no ClearML credentials"},
		{"half a key", func(s *bootstrap.Spec) { s.AccessKey = ""; s.AuthToken = "SECRET" }, "only one of access key and secret key"},
		{"half of git", func(s *bootstrap.Spec) { s.GitUser = "" }, "only one of git user and git password"},
		{"docker without image", func(s *bootstrap.Spec) { s.DockerImage = "--shm-size 8g" }, "docker image begins with a dash"},
		{"agent version", func(s *bootstrap.Spec) { s.AgentVersion = "3.0.3; id" }, "agent version"},
		{"conf in braces", func(s *bootstrap.Spec) { s.ClearMLConf = "\n{ agent { debug: true } }" }, "wrapped in braces"},
		{"NUL", func(s *bootstrap.Spec) { s.GitPassword = "SECRET\x00x" }, "git password holds a NUL byte at position 6"},
		{"not UTF-8", func(s *bootstrap.Spec) { s.InitScript = "echo \xff" }, "init script is not valid UTF-8"},
		{"autoscaler", func(s *bootstrap.Spec) { s.Autoscaler = "prod\"}" }, "autoscaler name"},
		{"times", func(s *bootstrap.Spec) { s.MaxIdle = -time.Second }, "neither can be below 0"},
		{"metadata endpoint", func(s *bootstrap.Spec) { s.IMDS = "169.254.169.254" }, "metadata endpoint is not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			spec := full()
			c.spoil(&spec)
			script, err := bootstrap.Render(spec)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the error is %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error shows a secret: %v", err)
			}
			if script.Text != "" || script.UserData != nil {
				t.Error("a script came with the error")
			}
		})
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	_, err := bootstrap.Render(bootstrap.Spec{})
	for _, want := range []string{"workers prefix", "resource name", "no queue", "api server", "no ClearML credentials"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %q: %v", want, err)
		}
	}
}

func TestFormattingShowsNoSecret(t *testing.T) {
	t.Parallel()
	spec := full()
	spec.AuthToken, spec.InitScript, spec.ClearMLConf, spec.DockerImage = "eySECRET", "export A=SECRET", "a: SECRET", "image -e A=SECRET"
	script, err := bootstrap.Render(spec)
	must(t, err)
	var shown strings.Builder
	for _, value := range []any{spec, &spec, script, &script, []bootstrap.Spec{spec}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			_, _ = fmt.Fprintf(&shown, verb+"\n", value)
		}
		text, err := json.Marshal(value)
		must(t, err)
		shown.Write(text)
	}
	if strings.Contains(shown.String(), "SECRET") || strings.Contains(shown.String(), "534543524554") {
		t.Errorf("a secret shows:\n%s", shown.String())
	}
}
