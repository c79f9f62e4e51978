package doctor_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
	"github.com/ebbscale/ebb/messages"
)

// foreign is an owner that no event server of these tests has, since it is older
// than they are.
const foreign = 1764000000000

// signs writes a sign of life of some age on a queue of the ClearML server.
func (c *clinic) signs(queue string, epoch messages.Epoch, age time.Duration) {
	t := c.t
	t.Helper()
	q, there := c.clearml.QueueByName(queue)
	if !there {
		made, err := c.clearml.CreateQueue(fakeclearml.QueueSpec{Name: queue})
		if err != nil {
			t.Fatal(err)
		}
		q = made
	}
	sign := messages.Sign{At: time.Now().Add(-age), Epoch: epoch}
	if err := c.clearml.SetMetadata(q.ID, fakeclearml.MetadataItem{Key: messages.SignKey("prod"), Type: "str", Value: sign.String()}); err != nil {
		t.Fatal(err)
	}
}

// acts has somebody act for the autoscaler at an event server, and answers the
// owner's number.
func acts(t *testing.T, conn bus.ConnConfig) messages.Epoch {
	t.Helper()
	conn.Name, conn.Log = "owner", zerolog.Nop()
	connected, err := bus.Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connected.Close)
	leases, err := connected.OpenLeases(t.Context(), bus.LeasesConfig{Holder: "somebody", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := leases.Acquire(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	return lease.Epoch
}

// embedded runs the event server of the configuration, as an ebb that runs does.
func (c *clinic) embedded(listen string) *bus.Server {
	t := c.t
	t.Helper()
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: filepath.Join(c.dir, "state"), Listen: listen, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// TestOwner: a fresh sign of life of an ebb whose lease is not on the event server
// of the configuration is that of another ebb, and no other sign is.
func TestOwner(t *testing.T) {
	t.Parallel()

	for name, f := range map[string]struct {
		prepare func(c *clinic)
		want    doctor.Status
	}{
		"nobody":           {func(*clinic) {}, doctor.OK},
		"an old sign":      {func(c *clinic) { c.signs("training", foreign, time.Hour) }, doctor.OK},
		"no sign":          {func(c *clinic) { c.signs("training", foreign, 0); c.garble("training") }, doctor.OK},
		"before any start": {func(c *clinic) { c.signs("training", foreign, time.Minute) }, doctor.Warn},
		"its clock ahead":  {func(c *clinic) { c.signs("training", foreign, -2*time.Minute) }, doctor.Warn},
		"on a queue of its own": {func(c *clinic) {
			c.signs("elsewhere", foreign, time.Minute)
			c.instance("elsewhere")
		}, doctor.Warn},
		"our own": {func(c *clinic) {
			c.signs("training", acts(c.t, bus.ConnConfig{Server: c.embedded(c.listen)}), time.Minute)
		}, doctor.OK},
		"ours and another": {func(c *clinic) {
			acts(c.t, bus.ConnConfig{Server: c.embedded(c.listen)})
			c.signs("training", foreign, time.Minute)
		}, doctor.Warn},
		"ours, just stopped": {func(c *clinic) {
			server := c.embedded(c.listen)
			c.signs("training", acts(c.t, bus.ConnConfig{Server: server}), 0)
			if err := server.Close(); err != nil {
				c.t.Fatal(err)
			}
		}, doctor.NotChecked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			c.prepare = f.prepare
			c.judgeOwner(f.want)
		})
	}
}

// TestOwnerOnAnExternalServer does the same with nats.url.
func TestOwnerOnAnExternalServer(t *testing.T) {
	t.Parallel()

	for name, f := range map[string]struct {
		prepare func(c *clinic, conn bus.ConnConfig)
		want    doctor.Status
	}{
		"no lease was ever there": {func(c *clinic, _ bus.ConnConfig) { c.signs("training", foreign, time.Minute) }, doctor.Warn},
		"its owner":               {func(c *clinic, conn bus.ConnConfig) { c.signs("training", acts(c.t, conn), time.Minute) }, doctor.OK},
		"its owner and another": {func(c *clinic, conn bus.ConnConfig) {
			c.signs("training", acts(c.t, conn), time.Minute)
			c.signs("default", foreign, 0)
		}, doctor.Warn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			address := natsServer(t, nil)
			c.external(address, goodLogin)
			c.prepare = func(c *clinic) {
				f.prepare(c, bus.ConnConfig{URL: "nats://" + address, User: "ebb", Password: "planted-nats"})
			}
			c.judgeOwner(f.want)
		})
	}
	t.Run("a server that cannot be asked", func(t *testing.T) {
		t.Parallel()

		c := newClinic(t)
		c.external(natsServer(t, nil), "user: ebb, password: planted-wrong")
		c.prepare = func(c *clinic) { c.signs("training", foreign, time.Minute) }
		c.judgeOwner(doctor.NotChecked)
	})
}

// judgeOwner examines, and holds the check of the owner to what it should say.
func (c *clinic) judgeOwner(want doctor.Status) {
	t := c.t
	t.Helper()
	report := c.examine()
	check, _ := find(report, doctor.ClearMLOwner, "")
	if check.Status != want {
		t.Errorf("got %+v, want %s\n%s", check, want, show(t, report))
	}
	if warned := check.Status == doctor.Warn; warned != strings.Contains(check.Fix, "nats.url") || warned != strings.Contains(check.Message, "another event server") {
		t.Errorf("got %+v", check)
	}
	if want != doctor.Warn && len(wrong(report, doctor.Warn)) > 0 {
		t.Errorf("warns:\n%s", show(t, report))
	}
}

// garble writes something on a queue that is no sign of life.
func (c *clinic) garble(queue string) {
	c.t.Helper()
	q, _ := c.clearml.QueueByName(queue)
	if err := c.clearml.SetMetadata(q.ID, fakeclearml.MetadataItem{Key: messages.SignKey("prod"), Type: "str", Value: "soon"}); err != nil {
		c.t.Fatal(err)
	}
}

// instance has an instance of the autoscaler run that serves a queue.
func (c *clinic) instance(queue string) {
	c.t.Helper()
	if _, err := c.ec2.RunInstances(fakeec2.RunInstancesInput{
		ImageID: x86Image, InstanceType: "g5.xlarge", MinCount: 1, MaxCount: 1, SubnetID: subnetA,
		TagSpecifications: []fakeec2.TagSpecification{{ResourceType: "instance", Tags: []fakeec2.Tag{
			{Key: "ebb:autoscaler", Value: "prod"}, {Key: "ebb:queue", Value: queue},
		}}},
	}); err != nil {
		c.t.Fatal(err)
	}
}
