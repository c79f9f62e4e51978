package deployments_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/ebbscale/ebb/cmd/internal/app"
)

// environment is what a user writes into .env, at least.
func environment() []string { return []string{"NATS_PASSWORD=1e9"} }

// combinations are the ways in which the compose files are used.
func combinations() map[string][]string {
	return map[string][]string{
		"plain":      {"compose.yaml"},
		"monitoring": {"compose.yaml", "compose.monitoring.yaml"},
		"demo":       {"compose.demo.yaml"},
	}
}

func loadCompose(ctx context.Context, files, environ []string) (*types.Project, error) {
	paths := make([]string, 0, len(files))
	for _, file := range files {
		paths = append(paths, filepath.Join(root, "deployments", "compose", file))
	}
	options, err := cli.NewProjectOptions(paths, cli.WithEnv(environ))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

// compose loads a combination that is expected to be sound.
func compose(t *testing.T, files ...string) *types.Project {
	t.Helper()

	project, err := loadCompose(t.Context(), files, environment())
	if err != nil {
		t.Fatalf("load %v: %v", files, err)
	}
	return project
}

// mayBeRoot says which service may be root: one that ends at once, without a network
// and with one capability.
func mayBeRoot(s types.ServiceConfig) bool {
	return s.Name == "nats-volume" && s.NetworkMode == "none" && s.Restart == "no" && slices.Equal(s.CapAdd, []string{"CHOWN"})
}

// weaknesses lists in which ways a service is not hardened.
func weaknesses(s types.ServiceConfig) []string {
	var found []string
	must := func(ok bool, what string) {
		if !ok {
			found = append(found, what)
		}
	}
	user, _, _ := strings.Cut(s.User, ":")
	root := mayBeRoot(s)
	must(root || regexp.MustCompile(`^[1-9]\d*$`).MatchString(user), "user "+s.User+" is not a number other than 0")
	must(root || len(s.CapAdd) == 0, "adds capabilities")
	must(s.ReadOnly, "its root file system can be written")
	must(slices.Equal(s.CapDrop, []string{"ALL"}), "does not drop all capabilities")
	must(slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}), "may gain privileges")
	must(!s.Privileged && s.Pid == "" && s.Ipc == "" && s.UserNSMode == "" && len(s.Devices) == 0, "has something of the host")
	must(s.NetworkMode != "host", "is on the host's network")
	must(s.PidsLimit > 0, "has no limit of processes")
	must(s.Restart != "", "does not say whether it is restarted")
	must(regexp.MustCompile(`:v?\d+\.\d+\.\d+[-.\w]*$`).MatchString(s.Image) || s.Image == "ebb:devel", "image "+s.Image+" is not pinned by a full tag")
	for _, port := range s.Ports {
		must(port.HostIP == "127.0.0.1", "port "+port.Published+" is open to other machines")
	}
	for _, volume := range s.Volumes {
		must(volume.Type != types.VolumeTypeBind || volume.ReadOnly, "can write to "+volume.Source)
		must(volume.Type != types.VolumeTypeBind || volume.Bind != nil && !bool(volume.Bind.CreateHostPath), "makes "+volume.Source+" when it is missing")
		must(!strings.Contains(volume.Source, "docker.sock"), "is given the container engine")
	}
	return found
}

// TestComposeIsHardened looks at each service of each combination.
func TestComposeIsHardened(t *testing.T) {
	t.Parallel()

	for name, files := range combinations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			project := compose(t, files...)
			if len(project.Services) < 2 {
				t.Fatalf("%d services", len(project.Services))
			}
			for _, service := range project.Services {
				for _, weakness := range weaknesses(service) {
					t.Errorf("service %s: %s", service.Name, weakness)
				}
				if service.Restart == "unless-stopped" && (service.HealthCheck == nil || len(service.HealthCheck.Test) < 2) {
					t.Errorf("service %s has no health check", service.Name)
				}
				for other, condition := range service.DependsOn {
					if condition.Condition == types.ServiceConditionStarted {
						t.Errorf("service %s does not wait until %s is well", service.Name, other)
					}
				}
			}
		})
	}
}

// TestWeaknessesAreSeen shows weaknesses services that are not hardened.
func TestWeaknessesAreSeen(t *testing.T) {
	t.Parallel()

	for name, spoil := range map[string]func(*types.ServiceConfig){
		"user 0 is not":              func(s *types.ServiceConfig) { s.User = "0:0" },
		"user  is not":               func(s *types.ServiceConfig) { s.User = "" },
		"adds capabilities":          func(s *types.ServiceConfig) { s.CapAdd = []string{"CHOWN"} },
		"can be written":             func(s *types.ServiceConfig) { s.ReadOnly = false },
		"does not drop all":          func(s *types.ServiceConfig) { s.CapDrop = []string{"NET_RAW"} },
		"may gain privileges":        func(s *types.ServiceConfig) { s.SecurityOpt = nil },
		"something of the host":      func(s *types.ServiceConfig) { s.Pid = "host" },
		"on the host's network":      func(s *types.ServiceConfig) { s.NetworkMode = "host" },
		"no limit of processes":      func(s *types.ServiceConfig) { s.PidsLimit = 0 },
		"whether it is restarted":    func(s *types.ServiceConfig) { s.Restart = "" },
		"nats:2 is not pinned":       func(s *types.ServiceConfig) { s.Image = "nats:2" },
		"latest is not pinned":       func(s *types.ServiceConfig) { s.Image = "nats:latest" },
		"open to other machines":     func(s *types.ServiceConfig) { s.Ports[0].HostIP = "" },
		"can write to /etc":          func(s *types.ServiceConfig) { s.Volumes[0].ReadOnly, s.Volumes[0].Source = false, "/etc" },
		"makes":                      func(s *types.ServiceConfig) { s.Volumes[0].Bind.CreateHostPath = true },
		"given the container engine": func(s *types.ServiceConfig) { s.Volumes[0].Source = "/var/run/docker.sock" },
	} {
		service := compose(t, "compose.yaml").Services["ebb"]
		spoil(&service)
		if found := strings.Join(weaknesses(service), "; "); !strings.Contains(found, strings.TrimPrefix(name, "user 0")) {
			t.Errorf("%s: found %q", name, found)
		}
	}
}

// TestComposeRefusesToStartUnconfigured leaves the password away.
func TestComposeRefusesToStartUnconfigured(t *testing.T) {
	t.Parallel()

	for _, environ := range [][]string{nil, {"NATS_PASSWORD="}} {
		_, err := loadCompose(t.Context(), []string{"compose.yaml"}, environ)
		if err == nil || !strings.Contains(err.Error(), "NATS_PASSWORD") || !strings.Contains(err.Error(), ".env.example") {
			t.Errorf("with %q: %v", environ, err)
		}
	}
	if _, err := loadCompose(t.Context(), []string{"compose.demo.yaml"}, nil); err != nil {
		t.Errorf("the demo wants something: %v", err)
	}
	for _, name := range regexp.MustCompile(`\$\{(\w+)`).FindAllStringSubmatch(
		readFile(t, "deployments", "compose", "compose.yaml")+readFile(t, "deployments", "compose", "compose.monitoring.yaml")+
			readFile(t, "deployments", "compose", "compose.demo.yaml"), -1) {
		if !strings.Contains(readFile(t, "deployments", "compose", ".env.example"), name[1]+"=") {
			t.Errorf("%s is not in .env.example", name[1])
		}
	}
}

// TestComposeSecretsAreNotWritten finds values of secrets in the files themselves, and
// environment variables that hold one without being demanded of the user.
func TestComposeSecretsAreNotWritten(t *testing.T) {
	t.Parallel()

	secret := regexp.MustCompile(`(?i)^\s+(\w*(?:PASSWORD|SECRET|TOKEN|ACCESS_KEY)\w*): +([^\s\[].*)$`)
	seen := 0
	for _, file := range []string{"compose.yaml", "compose.monitoring.yaml", "compose.demo.yaml", "ebb/ebb.yaml"} {
		for line := range strings.Lines(readFile(t, "deployments", "compose", file)) {
			m := secret.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil {
				continue
			}
			seen++
			demanded := strings.Contains(m[2], ":?") || strings.Contains(m[2], "${FILE:/run/secrets/")
			inFile := strings.HasSuffix(m[1], "__FILE") || strings.HasPrefix(m[2], "{file: ")
			if !demanded && !inFile {
				t.Errorf("%s: %s is written down, or has a default", file, strings.TrimSpace(line))
			}
		}
	}
	if seen < 8 {
		t.Errorf("saw %d secrets only", seen)
	}
}

// TestComposeFilesExist looks for what is mounted into the containers.
func TestComposeFilesExist(t *testing.T) {
	t.Parallel()

	for _, service := range compose(t, "compose.yaml", "compose.monitoring.yaml").Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("service %s mounts what is not there: %v", service.Name, err)
			}
		}
	}
}

// TestComposeConfiguration has ebb read its configuration as in its container: with the
// variables and the secrets that compose gives it, and no others.
func TestComposeConfiguration(t *testing.T) {
	t.Parallel()

	service := compose(t, "compose.yaml").Services["ebb"]
	var environ, secrets []string
	for name, value := range service.Environment {
		environ = append(environ, name+"="+*value)
	}
	for _, secret := range service.Secrets {
		secrets = append(secrets, secret.Source)
	}
	file, err := load(t, readFile(t, "deployments", "compose", "ebb", "ebb.yaml"), environ, secrets)
	if err != nil {
		t.Fatal(err)
	}
	if file.NATS.URL != "nats://nats:4222" || file.NATS.User != "ebb" || file.NATS.Password.Reveal() != "1e9" || file.NATS.Listen != "" {
		t.Errorf("NATS at %s as %s, listening on %q", file.NATS.URL, file.NATS.User, file.NATS.Listen)
	}
	if key := file.Autoscalers[0].ClearML.SecretKey.Reveal(); key != "secret-clearml_secret_key" {
		t.Errorf("the secret key is %q", key)
	}
	if !slices.ContainsFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Type == types.VolumeTypeVolume && v.Target == file.StateDir
	}) {
		t.Errorf("the state directory %s is on no volume", file.StateDir)
	}
	for _, problem := range misfits(readFile(t, "deployments", "compose", "ebb", "ebb.yaml"), secrets) {
		t.Error(problem)
	}
	if grace := service.StopGracePeriod; grace == nil || app.StopMax >= timeOf(*grace) {
		t.Errorf("compose kills ebb after %v, and it may take %v to stop", grace, app.StopMax)
	}
}

// TestMonitoringFitsTogether compares what Prometheus, Grafana and compose say of each
// other.
func TestMonitoringFitsTogether(t *testing.T) {
	t.Parallel()

	project := compose(t, "compose.yaml", "compose.monitoring.yaml")
	prometheus := decodeYAML[struct {
		RuleFiles []string `yaml:"rule_files"`
		Scrape    []struct {
			Authorization struct {
				File string `yaml:"credentials_file"`
			}
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}](t, readFile(t, "deployments", "compose", "prometheus", "prometheus.yaml"))
	sources := decodeYAML[struct{ Datasources []struct{ URL string } }](t, readFile(t, "deployments", "compose", "grafana", "datasources", "prometheus.yaml"))
	boards := decodeYAML[struct {
		Providers []struct{ Options struct{ Path string } }
	}](t, readFile(t, "deployments", "compose", "grafana", "dashboards", "ebb.yaml"))

	targets := func(service string) []string {
		var list []string
		for _, volume := range project.Services[service].Volumes {
			list = append(list, volume.Target)
		}
		return list
	}
	for _, rules := range prometheus.RuleFiles {
		if !slices.Contains(targets("prometheus"), rules) {
			t.Errorf("Prometheus reads %s, which is not mounted", rules)
		}
	}
	if path := boards.Providers[0].Options.Path + "/ebb.json"; !slices.Contains(targets("grafana"), path) {
		t.Errorf("Grafana reads %s, which is not mounted", path)
	}
	_, port, _ := strings.Cut(*project.Services["ebb"].Environment["EBB_HTTP__LISTEN"], ":")
	if target := prometheus.Scrape[0].Static[0].Targets[0]; target != "ebb:"+port {
		t.Errorf("Prometheus asks %s, and ebb listens on port %s", target, port)
	}
	granted := project.Services["prometheus"].Secrets
	if file := prometheus.Scrape[0].Authorization.File; len(granted) != 1 || file != "/run/secrets/"+granted[0].Source {
		t.Errorf("Prometheus reads its token from %s, and is given %v", file, granted)
	}
	if url := sources.Datasources[0].URL; url != "http://prometheus:9090" {
		t.Errorf("Grafana asks %s", url)
	}
	together := func(a, b string) bool {
		for network := range project.Services[a].Networks {
			if _, ok := project.Services[b].Networks[network]; ok {
				return true
			}
		}
		return false
	}
	if !together("prometheus", "ebb") || !together("grafana", "prometheus") || !together("ebb", "nats") {
		t.Error("some do not share a network")
	}
	if together("grafana", "nats") || together("prometheus", "nats") {
		t.Error("NATS is within reach of those who need not reach it")
	}
}
