package bootstrap_test

import (
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
)

// option is one choice that changes the script's text.
type option struct {
	name  string
	apply func(*bootstrap.Spec)
}

// choices are all options, each as (off, on). The secrets are as awkward as they
// come, and each is found by the word SECRET.
func choices() [][2]option {
	return [][2]option{
		{{"venv", func(*bootstrap.Spec) {}}, {"docker", func(s *bootstrap.Spec) {
			s.DockerImage = "nvidia/cuda:12.4.1-runtime-ubuntu22.04 --shm-size 8g -e GREETING=it's"
		}}},
		{{"", nil}, {"cpu", func(s *bootstrap.Spec) { s.CPUOnly = true }}},
		{{"", nil}, {"init", func(s *bootstrap.Spec) {
			s.InitScript = "#!/bin/bash\nexport GREETING='hello $USER'\ncat <<EOF >/tmp/motd\n`date`\nEOF\n"
		}}},
		{{"", nil}, {"conf", func(s *bootstrap.Spec) {
			s.ClearMLConf = "agent.package_manager.type: pip\nsdk.aws.s3.secret: \"SECRET$'conf\"\nagent.venvs_dir: ${HOME}/venvs"
		}}},
		{{"", nil}, {"git", func(s *bootstrap.Spec) {
			s.GitUser, s.GitPassword = "zoë", "SECRET$(id)`id`\"'\\n\n€"
		}}},
		{{"keys", func(s *bootstrap.Spec) {
			s.AccessKey, s.SecretKey = "AKSECRET", "SECRET'key$HOME"
		}}, {"token", func(s *bootstrap.Spec) { s.AuthToken = "eySECRET.token" }}},
		{{"bashrc", nil}, {"nobashrc", func(s *bootstrap.Spec) { s.ExcludeBashrc = true }}},
		{{"", nil}, {"queues", func(s *bootstrap.Spec) { s.Queues = []string{"urgent gpu", "später's", "default"} }}},
	}
}

// combination is one point of the product of all choices.
type combination struct {
	name string
	spec bootstrap.Spec
}

func base() bootstrap.Spec {
	return bootstrap.Spec{
		WorkerPrefix: "dynamic_aws",
		Resource:     "gpu",
		InstanceType: "g4dn.xlarge",
		Queues:       []string{"default"},
		APIServer:    "https://api.example.com",
		WebServer:    "https://app.example.com",
		FilesServer:  "https://files.example.com",
		Autoscaler:   "prod-1",
		MaxIdle:      5 * time.Minute,
		Unreachable:  6*time.Hour - time.Nanosecond,
	}
}

func combinations() []combination {
	all := choices()
	var out []combination
	for bits := range 1 << len(all) {
		spec, names := base(), []string{}
		for i, choice := range all {
			picked := choice[bits>>i&1]
			if picked.apply != nil {
				picked.apply(&spec)
			}
			if picked.name != "" {
				names = append(names, picked.name)
			}
		}
		out = append(out, combination{name: strings.Join(names, "-"), spec: spec})
	}
	return out
}
