package app_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/messages"
)

// example is the autoscaler of deployments/examples/ebb.yaml.
func example(t *testing.T) config.Autoscaler {
	t.Helper()
	secret := filepath.Join("..", "..", "..", "deployments", "examples", "ebb.yaml")
	f, err := config.Load(config.Source{Path: secret, Environ: []string{"CLEARML_SECRET=planted-clearml", "GIT_TOKEN=planted-git"}})
	if err != nil {
		t.Fatal(err)
	}
	return f.Autoscalers[0]
}

func translate(t *testing.T, a config.Autoscaler) app.Translated {
	t.Helper()
	translated, err := app.Translate(a)
	if err != nil {
		t.Fatal(err)
	}
	return translated
}

func TestTranslateExample(t *testing.T) {
	t.Parallel()

	got := translate(t, example(t))
	if got.Name != "prod" || got.PollingInterval != time.Minute || got.OnShutdown != messages.ShutdownKeep {
		t.Errorf("got name %q, interval %s, on_shutdown %q", got.Name, got.PollingInterval, got.OnShutdown)
	}
	equal(t, "query", got.Query, messages.ClearMLQuery{Queues: []messages.QueueName{"gpu-urgent", "gpu", "cpu"}, WorkersPrefix: "dynamic_aws"})
	equal(t, "queues", got.Queues, []decide.QueuePolicy{
		{Name: "gpu-urgent", Resources: []messages.ResourceName{"gpu-spot"}},
		{Name: "gpu", Resources: []messages.ResourceName{"gpu-spot", "gpu-on-demand"}},
		{Name: "cpu", Resources: []messages.ResourceName{"cpu"}},
	})
	equal(t, "EC2 client", got.EC2, ec2.ClientConfig{Region: "us-east-1", UseIAMRole: true})
	if got.ClearML.APIServer != "https://api.clear.ml" || got.ClearML.AccessKey != "EXAMPLEACCESSKEY" || got.ClearML.SecretKey != "planted-clearml" {
		t.Error("ClearML's server and keys are not those of the file")
	}

	spot, ok := got.ResourceNamed("gpu-spot")
	if !ok {
		t.Fatal("no resource gpu-spot")
	}
	if spot.Max != 8 || spot.MaxIdleTime != 5*time.Minute || spot.MaxSpinUpTime != 45*time.Minute {
		t.Errorf("gpu-spot: max %d, idle %s, spin-up %s: the resource's own values count", spot.Max, spot.MaxIdleTime, spot.MaxSpinUpTime)
	}
	if spot.Spec.InstanceType != "" || !strings.Contains(spot.Spec.InitScript, "nvidia-smi") {
		t.Error("gpu-spot: the type is known only at boot, and the init script is the resource's own")
	}
	cpu, _ := got.ResourceNamed("cpu")
	if cpu.MaxIdleTime != 15*time.Minute || !strings.Contains(cpu.Spec.InitScript, "/opt/cache") || !cpu.Spec.CPUOnly {
		t.Errorf("cpu: idle %s, CPU only %t: the autoscaler's values count", cpu.MaxIdleTime, cpu.Spec.CPUOnly)
	}
	if _, ok := got.ResourceNamed("nobody"); ok {
		t.Error("found a resource that is not there")
	}
}

// TestTranslateUserData reads back what an instance would.
func TestTranslateUserData(t *testing.T) {
	t.Parallel()

	for _, r := range translate(t, example(t)).Resources {
		boot, err := fake.ReadUserData(r.Template.UserData)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		want := map[messages.ResourceName]fake.Boot{
			"gpu-spot":      {WorkerName: "dynamic_aws:gpu-spot", Queues: []string{"gpu-urgent", "gpu"}, MaxIdle: 5 * time.Minute},
			"gpu-on-demand": {WorkerName: "dynamic_aws:gpu-on-demand:g5.xlarge", Queues: []string{"gpu"}, MaxIdle: 15 * time.Minute},
			"cpu":           {WorkerName: "dynamic_aws:cpu:c7i.2xlarge", Queues: []string{"cpu"}, MaxIdle: 15 * time.Minute},
		}[r.Name]
		want.Autoscaler, want.Unreachable = "prod", 6*time.Hour
		want.APIHost, want.WebHost, want.FilesHost = "https://api.clear.ml", "https://app.clear.ml", "https://files.clear.ml"
		want.AccessKey, want.SecretKey = "EXAMPLEACCESSKEY", "planted-clearml"
		equal(t, string(r.Name), boot, want)
	}
}

// TestTranslateFallback: behind the spot offerings come the same on demand.
func TestTranslateFallback(t *testing.T) {
	t.Parallel()

	a := example(t)
	for i := range a.Resources {
		if a.Resources[i].Market == config.Spot {
			a.Resources[i].OnDemandFallback = config.Fallback{Enabled: true, Patience: 3 * time.Minute, Blackout: time.Hour}
		}
	}
	a.MaxLifetime = 48 * time.Hour
	spot, _ := translate(t, a).ResourceNamed("gpu-spot")
	half := len(spot.Offerings) / 2
	for n, offering := range spot.Offerings[:half] {
		behind := spot.Offerings[half+n]
		if offering.Market != messages.Spot || behind.Market != messages.OnDemand || behind.InstanceType != offering.InstanceType ||
			behind.Zone != offering.Zone || behind.Subnet != offering.Subnet {
			t.Errorf("offering %d is %s and the one in its place is %s", n, offering, behind)
		}
	}
	if want := (decide.Fallback{Enabled: true, Patience: 3 * time.Minute, Blackout: time.Hour}); half == 0 || spot.Fallback != want {
		t.Errorf("%d spot offerings with the fallback %+v, want %+v", half, spot.Fallback, want)
	}
	if spot.MaxLifetime != a.MaxLifetime {
		t.Errorf("max_lifetime is %s, want %s", spot.MaxLifetime, a.MaxLifetime)
	}
}

func TestTranslateTemplate(t *testing.T) {
	t.Parallel()

	template := translate(t, example(t)).Templates()["gpu-spot"]
	if len(template.UserData) == 0 {
		t.Error("no user data")
	}
	template.UserData = nil
	got, err := json.MarshalIndent(template, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "AMI": "ami-0123456789abcdef0",
 "KeyPair": "ops",
 "SecurityGroups": [
  "sg-0123456789abcdef0"
 ],
 "Home": "gpu-urgent",
 "Tags": {
  "cost-center": "4711",
  "team": "research"
 },
 "Volumes": [
  {
   "Device": "/dev/sda1",
   "SizeGB": 200,
   "Type": "gp3",
   "SnapshotID": "",
   "IOPS": 6000,
   "Throughput": 500,
   "Encrypted": true,
   "DeleteOnTermination": true
  },
  {
   "Device": "/dev/sdf",
   "SizeGB": 0,
   "Type": "gp3",
   "SnapshotID": "snap-0123456789abcdef0",
   "IOPS": 0,
   "Throughput": 0,
   "Encrypted": false,
   "DeleteOnTermination": true
  }
 ],
 "ProfileARN": "",
 "ProfileName": "clearml-worker",
 "Monitoring": true,
 "UserData": null,
 "DockerMode": true,
 "SpotMaxPrice": "0.90",
 "Extra": {
  "EbsOptimized": true,
  "Placement": {
   "Tenancy": "default"
  }
 }
}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestOfferings(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		resource config.Resource
		want     string // offerings, or the error
	}{
		"AWS chooses":       {config.Resource{Market: config.OnDemand, InstanceTypes: []string{"t3.micro"}, AvailabilityZones: []string{"auto"}}, "on_demand t3.micro in any zone"},
		"nothing said":      {config.Resource{Market: config.Spot, InstanceTypes: []string{"t3.micro"}}, "spot t3.micro in any zone"},
		"types, then zones": {config.Resource{Market: config.Spot, InstanceTypes: []string{"b", "a"}, AvailabilityZones: []string{"z2", "z1"}}, "spot b in z2, spot b in z1, spot a in z2, spot a in z1"},
		"subnets":           {config.Resource{Market: config.Spot, InstanceTypes: []string{"a"}, Subnets: []string{"s1", "s2"}}, "spot a in s1, spot a in s2"},
		"pairs":             {config.Resource{Market: config.Spot, InstanceTypes: []string{"a"}, AvailabilityZones: []string{"z1", "z1"}, Subnets: []string{"s1", "s2"}}, "spot a in z1/s1, spot a in z1/s2"},
		"unequal":           {config.Resource{Market: config.Spot, InstanceTypes: []string{"a"}, AvailabilityZones: []string{"z1"}, Subnets: []string{"s1", "s2"}}, "availability_zones: has 1 elements and subnets has 2; write one zone for each subnet, or no zones"},
		"no type":           {config.Resource{Market: config.Spot}, "instance_types: is empty; write one or several, such as [g5.xlarge, g4dn.xlarge]"},
		"no market":         {config.Resource{InstanceTypes: []string{"a"}}, `market: "" is neither spot nor on_demand`},
	} {
		offerings, err := app.Offerings(c.resource)
		words := make([]string, 0, len(offerings))
		for _, o := range offerings {
			words = append(words, o.String())
		}
		got := strings.Join(words, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestTranslateErrors shows that every mistake is named, with its place.
func TestTranslateErrors(t *testing.T) {
	t.Parallel()

	a := example(t)
	a.OnShutdown = "maybe"
	a.BaseDockerImage = ""
	a.Resources[1].Market = "barter"
	_, err := app.Translate(a)
	lines(t, err,
		`autoscaler "prod": on_shutdown: "maybe" is none of keep, idle, all`,
		`autoscaler "prod": resources[0] (gpu-spot): docker_mode is on and base_docker_image is empty: `+dockerCure,
		`autoscaler "prod": resources[1] (gpu-on-demand): market: "barter" is neither spot nor on_demand`,
		`autoscaler "prod": resources[1] (gpu-on-demand): docker_mode is on and base_docker_image is empty: `+dockerCure,
		`autoscaler "prod": resources[2] (cpu): docker_mode is on and base_docker_image is empty: `+dockerCure,
	)

	a = example(t)
	a.Resources = a.Resources[2:]
	a.Resources[0].Name = "c pu"
	a.ClearML.AccessKey = ""
	_, err = app.Translate(a)
	lines(t, err,
		`autoscaler "prod": resources[0] (c pu): render bootstrap script: resource name "c pu" holds a colon, a blank or a control character, which break the worker id: leave them out`,
		`autoscaler "prod": resources[0] (c pu): render bootstrap script: only one of access key and secret key is given: give both, or an auth token`,
	)

	a = example(t)
	a.Resources = a.Resources[2:]
	a.Resources[0].AMIID = ""
	a.Resources[0].Volumes[0].Device = ""
	_, err = app.Translate(a)
	lines(t, err,
		`autoscaler "prod": resource "cpu": volume 1: no device name, such as /dev/sda1`,
		`autoscaler "prod": resource "cpu": no AMI: give the id of an image (ami-…)`,
	)
}

// TestTranslateTooLarge has an init script that no compression makes fit.
func TestTranslateTooLarge(t *testing.T) {
	t.Parallel()

	var script strings.Builder
	for i := range uint64(8000) {
		fmt.Fprintf(&script, "echo planted-%x\n", i*0x9e3779b97f4a7c15)
	}
	a := example(t)
	a.InitScript = config.Secret(script.String())
	_, err := app.Translate(a)
	if err == nil || !strings.Contains(err.Error(), "resources[2] (cpu): render bootstrap script: user data is") || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v", err)
	}
}

const dockerCure = "write the image that tasks without a container of their own run in, or docker_mode: false"

func lines(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}
