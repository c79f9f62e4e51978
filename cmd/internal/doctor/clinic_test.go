package doctor_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
	"github.com/ebbscale/ebb/internal/freeport"
)

const (
	clearmlKey    = "CLEARMLTESTKEY"
	clearmlSecret = "planted-clearml-secret"
	awsKey        = "AKIATESTTESTTEST"
	awsSecret     = "planted-aws-secret"

	x86Image   = "ami-0e3a1b2c3d4e5f602"
	armImage   = "ami-0e3a1b2c3d4e5f603"
	subnetA    = "subnet-0f0000000000000aa"
	subnetB    = "subnet-0f0000000000000ab"
	otherGroup = "sg-0f0000000000000ff"
	goodGroup  = "sg-0f00000000000000b"
	goodSubnet = "availability_zones: [us-east-1a, us-east-1b]\n        subnets: [" + subnetA + ", " + subnetB + "]"
)

// patience is how long a check may take that needs no time on a machine that has
// nothing else to do.
const patience = 2 * time.Minute

// clinic is a world in which everything is well, and the configuration for it.
// A test spoils one thing.
type clinic struct {
	t *testing.T
	// region may be changed before the examination, ec2 and clearml are there
	// when it begins.
	region  fakeec2.Config
	ec2     *fakeec2.Cloud
	clearml *fakeclearml.Server
	// edits are replacements in the text of the configuration.
	edits [][2]string
	// atEC2 and atClearML are URLs.
	atEC2, atClearML string
	dir              string
	listen           string // the address of the event server inside
	// ahead is how far the clock of the ClearML server is ahead.
	ahead   time.Duration
	timeout time.Duration
	// prepare runs when the servers are up.
	prepare func(c *clinic)
}

// edit replaces a part of the configuration, which has to be there.
func (c *clinic) edit(from, to string) { c.edits = append(c.edits, [2]string{from, to}) }

func newClinic(t *testing.T) *clinic {
	t.Helper()
	catalog := fakeec2.DefaultCatalog()
	catalog.SecurityGroups = append(catalog.SecurityGroups, fakeec2.SecurityGroup{ID: otherGroup, Name: "elsewhere", VPCID: "vpc-0f00000000000000b"})
	for i, typ := range catalog.Types {
		if typ.Name == "p3.2xlarge" {
			catalog.Types[i].Zones = []string{"us-east-1c"}
		}
	}
	return &clinic{
		t: t,
		region: fakeec2.Config{
			Clock: clock.System(), Rand: rand.New(rand.NewPCG(1, 2)), Log: zerolog.Nop(), Catalog: catalog, AccessKeys: []string{awsKey},
		},
		dir: t.TempDir(), listen: freeport.Address(t), timeout: patience,
	}
}

// skewed is a clock that is ahead of another.
type skewed struct {
	clock.Clock

	ahead time.Duration
}

func (s skewed) Now() time.Time { return s.Clock.Now().Add(s.ahead) }

// open starts the servers.
func (c *clinic) open() {
	t := c.t
	t.Helper()
	cloud, err := fakeec2.New(c.region)
	if err != nil {
		t.Fatal(err)
	}
	c.ec2 = cloud
	tracker, err := fakeclearml.New(fakeclearml.Config{Clock: skewed{clock.System(), c.ahead}, Seed: 1, Keys: map[string]string{clearmlKey: clearmlSecret}})
	if err != nil {
		t.Fatal(err)
	}
	c.clearml = tracker
	if _, err := tracker.CreateQueue(fakeclearml.QueueSpec{Name: "training"}); err != nil {
		t.Fatal(err)
	}
	c.atEC2, c.atClearML = serve(t, cloud.Handler()), serve(t, tracker.Handler())
	t.Cleanup(cloud.Close)
	if c.prepare != nil {
		c.prepare(c)
	}
}

// serve answers on loopback until the end of the test.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// text is the configuration.
func (c *clinic) text() string {
	t := c.t
	t.Helper()
	text := fmt.Sprintf(`state_dir: %s
http: {listen: "off"}
nats: {listen: "%s"}
autoscalers:
  - name: prod
    clearml: {api_server: "%s", access_key: %s, secret_key: %s}
    aws: {region: us-east-1, endpoint_url: "%s", access_key_id: %s, secret_access_key: %s}
    iam_instance_profile: {name: worker}
    resources:
      - name: gpu
        instance_types: [g5.xlarge]
        market: spot
        %s
        ami_id: %s
        security_groups: [%s]
        key_pair: ops
        max_instances: 8
        queues: [training]
      - name: cpu
        instance_types: [c7g.xlarge]
        market: on_demand
        availability_zones: [auto]
        ami_id: "resolve:ssm:/ebb/images/arm64"
        max_instances: 2
        queues: [default]
`, filepath.Join(c.dir, "state"), c.listen, c.atClearML, clearmlKey, clearmlSecret, c.atEC2, awsKey, awsSecret, goodSubnet, x86Image, goodGroup)
	for _, e := range c.edits {
		if !strings.Contains(text, e[0]) {
			t.Fatalf("the configuration has no %q", e[0])
		}
		text = strings.Replace(text, e[0], e[1], 1)
	}
	return text
}

// examine opens the clinic and runs the doctor.
func (c *clinic) examine() doctor.Report {
	t := c.t
	t.Helper()
	c.open()
	path := filepath.Join(c.dir, "ebb.yaml")
	if err := os.WriteFile(path, []byte(c.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(config.Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return doctor.Run(t.Context(), doctor.Options{Path: path, File: file, About: "a clinic", Timeout: c.timeout, Log: zerolog.Nop()})
}

// find is the check of an id and subject.
func find(report doctor.Report, id doctor.ID, subject string) (doctor.Check, bool) {
	for _, c := range report {
		if c.ID == id && c.Subject == subject {
			return c, true
		}
	}
	return doctor.Check{}, false
}

// show is the report as people see it.
func show(t *testing.T, report doctor.Report) string {
	t.Helper()
	var b strings.Builder
	if err := report.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wrong lists what did not end well, as "status id subject".
func wrong(report doctor.Report, statuses ...doctor.Status) []string {
	var list []string
	for _, c := range report {
		for _, s := range statuses {
			if c.Status == s {
				list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Status, c.ID, c.Subject)))
			}
		}
	}
	return list
}
