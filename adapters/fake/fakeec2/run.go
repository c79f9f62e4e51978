package fakeec2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// launch is a RunInstances call on its way: what was asked, and what it came to.
type launch struct {
	RunInstancesInput
	typ        InstanceType
	image      Image
	market     Market
	candidates []Subnet // where it may go
	zonal      bool     // a subnet or a zone was named
	userData   []byte   // raw
	anyGroup   bool     // no security group was named
	subnet     Subnet   // where it goes
	count      int      // how many instances
}

// RunInstances launches between MinCount and MaxCount instances. Errors are
// *APIError, ErrDropped or ErrTimeout.
func (c *Cloud) RunInstances(in RunInstancesInput) (Reservation, error) {
	return serve(c, call{action: "RunInstances"}, func(Fault) (Reservation, error) {
		l := &launch{RunInstancesInput: in}
		if err := c.check(l); err != nil {
			return Reservation{}, err
		}
		if in.DryRun {
			return Reservation{}, errDryRun()
		}
		token, err := c.claim(l)
		if err != nil {
			return Reservation{}, err
		}
		if token.reservation != "" {
			return c.replay(token)
		}
		if err := c.place(l); err != nil {
			token.refused = true
			return Reservation{}, err
		}
		if c.throttled("RunInstances", false, true, l.count) {
			c.unclaim(token, l)
			return Reservation{}, errThrottled()
		}
		return c.create(l, token), nil
	})
}

// create makes the instances of a launch that has passed every check.
func (c *Cloud) create(l *launch, token *tokenRecord) Reservation {
	res := Reservation{ID: c.id("r")}
	token.reservation = res.ID
	for n := range l.count {
		i := c.newInstance(l, res.ID, n)
		c.instances = append(c.instances, i)
		c.byID[i.ID] = i
		c.tagLaunch(l, i)
		c.hold(i)
		c.ledger.Launches = append(c.ledger.Launches, Launch{
			At: i.LaunchTime, InstanceID: i.ID, ClientToken: i.ClientToken, Type: i.Type, Zone: i.Zone,
			Market: i.Market, Tags: c.snapshot(i).Tags, HourlyUSD: l.typ.Price(l.market),
		})
		c.move(i, Pending, Reason{Code: "pending", Message: "pending"}, "")
		c.boot(i)
		token.instances = append(token.instances, i.ID)
		res.Instances = append(res.Instances, c.snapshot(i))
	}
	return res
}

func (c *Cloud) newInstance(l *launch, reservation string, index int) *instance {
	now := c.now()
	i := &instance{
		Instance: Instance{
			ID: c.id("i"), ReservationID: reservation, ClientToken: l.ClientToken, Type: l.typ.Name, ImageID: l.ImageID,
			Architecture: l.typ.Architecture, Zone: l.subnet.Zone, SubnetID: l.subnet.ID, VPCID: c.cat.vpc(l.subnet.VPCID),
			Market: l.market, LaunchTime: now.UTC(), LaunchIndex: index, PrivateIP: c.address(l.subnet), KeyName: l.KeyName,
			SecurityGroupIDs: slices.Clone(l.SecurityGroupIDs), IAMProfileARN: c.profile(l), ShutdownBehavior: l.ShutdownBehavior,
			Protected: l.DisableTerminate, Monitoring: l.Monitoring, Metadata: l.Metadata,
			NetworkInterfaceID: c.id("eni"), UserData: l.userData,
		},
		seq: c.nextSeq(), typ: l.typ, rng: rand.New(rand.NewPCG(c.rng.Uint64(), c.rng.Uint64())),
	}
	if l.PublicIP || l.subnet.Default {
		i.PublicIP = fmt.Sprintf("203.0.%d.%d", i.seq/250%256, i.seq%250+1)
	}
	i.visible = now.Add(c.timing.Visible.Draw(i.rng))
	i.failed = i.rng.Float64() < c.fail.Probability
	i.Disks = append(i.Disks, Disk{DeviceName: l.image.RootDevice, VolumeID: c.id("vol"), DeleteOnTermination: true})
	for _, b := range l.BlockDevices {
		if b.DeviceName == l.image.RootDevice {
			i.Disks[0].DeleteOnTermination = b.DeleteOnTermination
			continue
		}
		i.Disks = append(i.Disks, Disk{DeviceName: b.DeviceName, VolumeID: c.id("vol"), DeleteOnTermination: b.DeleteOnTermination})
	}
	return i
}

func (c *Cloud) nextSeq() int { return len(c.ledger.Launches) + 1 }

// address is the next private address of a subnet, as text.
func (c *Cloud) address(s Subnet) string {
	c.nextIP[s.ID]++
	n := c.nextIP[s.ID] + 3 // the first four addresses are taken by AWS
	var a, b, d int
	if _, err := fmt.Sscanf(s.CIDR, "%d.%d.%d.", &a, &b, &d); err != nil {
		a, b, d = 10, 0, 0
	}
	return fmt.Sprintf("%d.%d.%d.%d", a, b, (d+n/256)%256, n%256)
}

func (c *Cloud) profile(l *launch) string {
	if l.IAMProfileARN != "" || l.IAMProfileName == "" {
		return l.IAMProfileARN
	}
	return "arn:aws:iam::" + c.cat.AccountID + ":instance-profile/" + l.IAMProfileName
}

// tagLaunch tags what one instance of a launch is made of, and makes its spot
// request.
func (c *Cloud) tagLaunch(l *launch, i *instance) {
	for _, kind := range []string{"instance", "network-interface"} {
		id := i.ID
		if kind == "network-interface" {
			id = i.NetworkInterfaceID
		}
		c.resources[id] = &resource{id: id, kind: kind, tags: l.tagsFor(kind)}
	}
	for _, d := range i.Disks {
		c.resources[d.VolumeID] = &resource{id: d.VolumeID, kind: "volume", tags: l.tagsFor("volume")}
	}
	if l.market == Spot {
		c.openSpot(l, i)
	}
}

// tagsFor are the tags of a launch for one resource type, sorted by key.
func (l *launch) tagsFor(kind string) []Tag {
	var tags []Tag
	for _, s := range l.TagSpecifications {
		if s.ResourceType == kind {
			tags = append(tags, s.Tags...)
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return tags
}
