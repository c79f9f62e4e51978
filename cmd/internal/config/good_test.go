package config_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/messages"
)

// TestFormats loads the same configuration in three syntaxes.
func TestFormats(t *testing.T) {
	t.Parallel()
	fromYAML := load(t, config.Source{Path: "testdata/good/full.yaml"})
	for _, other := range []string{"full.json", "full.conf"} {
		if f := load(t, config.Source{Path: "testdata/good/" + other}); !reflect.DeepEqual(f, fromYAML) {
			t.Errorf("%s gives\n%#v\nand full.yaml\n%#v", other, f, fromYAML)
		}
	}
	out, err := config.Export(fromYAML, config.JSON, true)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/good/full.golden.json", string(out))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: "testdata/good/full.yaml"})
	a, r := f.Autoscalers[1], f.Autoscalers[1].Resources[0]
	if f.NATS.Listen != "" {
		t.Errorf("an external NATS server leaves listen at %q", f.NATS.Listen)
	}
	if a.MaxIdleTime != 15*time.Minute || a.MaxSpinUpTime != 30*time.Minute || a.PollingInterval != time.Minute {
		t.Errorf("times are %v, %v, %v", a.MaxIdleTime, a.MaxSpinUpTime, a.PollingInterval)
	}
	if a.DockerMode || a.WarnDuplicateTasks || a.RequeueLostTasks || a.OnShutdown != config.ShutdownKeep || a.DeadMan.Unreachable != 0 {
		t.Errorf("switches are %+v", a)
	}
	if prod := f.Autoscalers[0]; !prod.WarnDuplicateTasks || !prod.RequeueLostTasks || prod.DeadMan.Unreachable != 6*time.Hour || prod.MaxLifetime != 0 {
		t.Errorf("switches are %+v", prod)
	}
	if r.OnDemandFallback != (config.Fallback{Patience: 2 * time.Minute}) {
		t.Errorf("fallback is %+v", r.OnDemandFallback)
	}
	if a.AgentVersion != config.AgentVersionDefault || f.Autoscalers[0].WorkersPrefix != "dynamic_aws" {
		t.Errorf("agent %s, prefix %s", a.AgentVersion, f.Autoscalers[0].WorkersPrefix)
	}
	if a.ClearML.WebServer != "http://clearml.lan:8080" || a.ClearML.FilesServer != "http://clearml.lan:8081" {
		t.Errorf("servers beside :8008 are %+v", a.ClearML)
	}
	if r.Market != config.OnDemand || !reflect.DeepEqual(r.Volumes, []config.Volume{{Device: "/dev/sda1", SizeGB: 80, Type: "gp3", DeleteOnTermination: true}}) {
		t.Errorf("resource is %+v", r)
	}
	if a.IdleTime(r) != a.MaxIdleTime || a.SpinUpTime(r) != a.MaxSpinUpTime || a.Script(r) != a.InitScript {
		t.Error("a resource without its own times and script has not the autoscaler's")
	}
	r.MaxIdleTime, r.MaxSpinUpTime, r.InitScript = time.Second, time.Minute, "own"
	if a.IdleTime(r) != time.Second || a.SpinUpTime(r) != time.Minute || a.Script(r).Reveal() != "own" {
		t.Error("a resource's own times and script do not win")
	}
	if _, ok := a.ResourceNamed("cpu"); !ok {
		t.Error("cpu is not found by name")
	}
	if _, ok := a.ResourceNamed("gpu"); ok {
		t.Error("gpu is found in the wrong autoscaler")
	}
}

// TestLease keeps the proportions of the usual timing.
func TestLease(t *testing.T) {
	t.Parallel()
	const minimal = `autoscalers:
  - name: a
    clearml: {api_server: "https://api.clear.ml", auth_token: t}
    aws: {region: us-east-1, use_iam_role: true}
    resources: [{name: one, instance_type: m5.large, availability_zones: auto, ami_id: ami-01234567, max_instances: 1, queue: gpu}]
`
	path := write(t, "lease.yaml", minimal)
	if usual := load(t, config.Source{Path: path}).Lease.Timing(); usual != messages.DefaultLeaseTiming() {
		t.Errorf("the default is %+v", usual)
	}
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	config.RegisterFlags(fs)
	environ := []string{"EBB_LEASE__TTL=5s", "EBB_AUTOSCALERS__A__DEAD_MAN__UNREACHABLE=90m"}
	f := load(t, config.Source{Path: path, Environ: environ})
	if f.Lease.TTL != 5*time.Second || f.Autoscalers[0].DeadMan.Unreachable != 90*time.Minute {
		t.Errorf("from the environment: %+v, %+v", f.Lease, f.Autoscalers[0].DeadMan)
	}
	if err := fs.Parse([]string{"--lease-ttl", "1m"}); err != nil {
		t.Fatal(err)
	}
	want := messages.LeaseTiming{TTL: time.Minute, Renew: 16 * time.Second, Margin: 12 * time.Second}
	if got := load(t, config.Source{Path: path, Environ: environ, Flags: fs}).Lease.Timing(); got != want {
		t.Errorf("from the flag: %+v, want %+v", got, want)
	}
}

// TestQueueOrder tells how the order of asking comes about.
func TestQueueOrder(t *testing.T) {
	t.Parallel()
	const head = `autoscalers:
  - name: a
    clearml: {api_server: "https://api.clear.ml", auth_token: t}
    aws: {region: us-east-1, use_iam_role: true}
    QUEUES
    resources:
      - {name: one, instance_type: m5.large, availability_zones: auto, ami_id: ami-01234567, max_instances: 1, ONE}
      - {name: two, instance_type: m5.large, availability_zones: auto, ami_id: ami-01234567, max_instances: 1, TWO}
`
	tests := map[string]struct {
		queues, one, two string
		want             []config.Queue
		wantOne, wantTwo []string
	}{
		"from resources, in file order": {
			one: "queues: [zzz, aaa]", two: "queues: [aaa, mmm]",
			want:    []config.Queue{{Queue: "zzz", Resources: []string{"one"}}, {Queue: "aaa", Resources: []string{"one", "two"}}, {Queue: "mmm", Resources: []string{"two"}}},
			wantOne: []string{"zzz", "aaa"}, wantTwo: []string{"aaa", "mmm"},
		},
		"from the object, in file order": {
			queues:  "queues: {zzz: [two, one], aaa: one}",
			want:    []config.Queue{{Queue: "zzz", Resources: []string{"two", "one"}}, {Queue: "aaa", Resources: []string{"one"}}},
			wantOne: []string{"zzz", "aaa"}, wantTwo: []string{"zzz"},
		},
		"both, each with its own order": {
			queues: "queues: [{queue: zzz, resources: [two, one]}, {queue: aaa, resources: [one]}]", one: "queues: [aaa, zzz]",
			want:    []config.Queue{{Queue: "zzz", Resources: []string{"two", "one"}}, {Queue: "aaa", Resources: []string{"one"}}},
			wantOne: []string{"aaa", "zzz"}, wantTwo: []string{"zzz"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := replace(head, "QUEUES", test.queues, ", ONE", comma(test.one), ", TWO", comma(test.two))
			a := load(t, config.Source{Path: write(t, "q.yaml", text)}).Autoscalers[0]
			if !reflect.DeepEqual(a.Queues, test.want) {
				t.Errorf("queues are %v, want %v", a.Queues, test.want)
			}
			if one, two := a.Resources[0].Queues, a.Resources[1].Queues; !reflect.DeepEqual(one, test.wantOne) || !reflect.DeepEqual(two, test.wantTwo) {
				t.Errorf("resources serve %v and %v, want %v and %v", one, two, test.wantOne, test.wantTwo)
			}
		})
	}
}
