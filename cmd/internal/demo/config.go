package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// Names of the demo's configuration.
const (
	autoscaler       = "demo"
	queueTraining    = "training"
	queuePreparation = "preparation"
	accessKey        = "DEMOACCESSKEY"
	secretKey        = "demo-secret-key"
	awsKey           = "AKIADEMO000000000000"
)

// template is the configuration that the demo runs, as a user would write it.
//
//nolint:gosec // the keys are those of the fakes
const template = `# The configuration of "ebb demo". Servers and keys are those of its fakes.
state_dir: %[1]s
log: {level: %[2]s, format: auto}
autoscalers:
  - name: demo
    clearml:
      api_server: %[3]s
      web_server: http://127.0.0.1:8080
      files_server: http://127.0.0.1:8081
      access_key: DEMOACCESSKEY
      secret_key: demo-secret-key
    aws:
      region: us-east-1
      access_key_id: AKIADEMO000000000000
      secret_access_key: demo-aws-secret
      endpoint_url: %[4]s
    workers_prefix: demo
    polling_interval: %[5]s
    max_idle_time: 4m
    max_spin_up_time: 15m
    on_shutdown: keep
    resources:
      - name: gpu-spot
        instance_types: [g5.xlarge, g4dn.xlarge]
        market: spot
        availability_zones: [us-east-1a, us-east-1b]
        ami_id: ami-0e3a1b2c3d4e5f601
        max_instances: 4
        queues: [training]
      - name: gpu-on-demand
        instance_types: [g5.xlarge]
        market: on_demand
        availability_zones: [us-east-1a]
        ami_id: ami-0e3a1b2c3d4e5f601
        max_instances: 3
        queues: [training]
      - name: cpu-spot
        instance_types: [m5.large, c5.xlarge]
        market: spot
        availability_zones: [us-east-1a, us-east-1b]
        ami_id: ami-0e3a1b2c3d4e5f601
        max_instances: 5
        queues: [preparation]
        cpu_only: true
`

// write writes the configuration into dir and reads it back, so that the demo
// goes the way of every user's file.
func write(ctx context.Context, dir string, r *region, poll, logLevel string) (config.File, error) {
	path := filepath.Join(dir, "ebb.yaml")
	text := fmt.Sprintf(template, filepath.Join(dir, "state"), logLevel, r.clearmlURL, r.ec2URL, poll)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return config.File{}, fmt.Errorf("write the demo's configuration: %w", err)
	}
	file, err := config.Load(config.Source{Path: path})
	if err != nil {
		return config.File{}, fmt.Errorf("load the demo's configuration: %w", err)
	}
	file.NATS.Listen = "127.0.0.1:0" // any free port, so that demos do not meet
	if !free(ctx, file.HTTP.Listen) {
		file.HTTP.Listen = "127.0.0.1:0"
	}
	return file, nil
}

// free says whether nobody listens there yet.
func free(ctx context.Context, address string) bool {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	listener.Close()
	return true
}
