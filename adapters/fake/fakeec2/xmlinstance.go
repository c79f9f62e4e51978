package fakeec2

import (
	"time"
)

// set is a list in EC2's XML: a wrapping element, there also when it is empty,
// with one item element per entry.
type set[T any] struct {
	Item []T `xml:"item"`
}

func setOf[A, B any](list []A, f func(A) B) set[B] {
	var s set[B]
	for _, v := range list {
		s.Item = append(s.Item, f(v))
	}
	return s
}

// stamp writes a time the way EC2 does, empty for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

type tagXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func tagToXML(t Tag) tagXML { return tagXML(t) }

type stateXML struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

func stateToXML(s State) stateXML { return stateXML{s.Code(), string(s)} }

type reasonXML struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

type groupXML struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

type placementXML struct {
	Zone      string `xml:"availabilityZone"`
	ZoneID    string `xml:"availabilityZoneId,omitempty"`
	GroupName string `xml:"groupName"`
	Tenancy   string `xml:"tenancy,omitempty"`
}

type monitoringXML struct {
	State string `xml:"state"`
}

type profileXML struct {
	ARN string `xml:"arn"`
	ID  string `xml:"id,omitempty"`
}

type metadataXML struct {
	State        string `xml:"state"`
	HTTPTokens   string `xml:"httpTokens"`
	HopLimit     int    `xml:"httpPutResponseHopLimit"`
	HTTPEndpoint string `xml:"httpEndpoint"`
	IPv6         string `xml:"httpProtocolIpv6"`
	InstanceTags string `xml:"instanceMetadataTags"`
}

type ebsXML struct {
	VolumeID            string `xml:"volumeId"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

type deviceXML struct {
	Name string `xml:"deviceName"`
	EBS  ebsXML `xml:"ebs"`
}

type attachmentXML struct {
	ID                  string `xml:"attachmentId"`
	DeviceIndex         int    `xml:"deviceIndex"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
	NetworkCard         int    `xml:"networkCardIndex"`
}

type interfaceXML struct {
	ID         string        `xml:"networkInterfaceId"`
	SubnetID   string        `xml:"subnetId"`
	VPCID      string        `xml:"vpcId"`
	OwnerID    string        `xml:"ownerId"`
	Status     string        `xml:"status"`
	PrivateIP  string        `xml:"privateIpAddress"`
	Checked    bool          `xml:"sourceDestCheck"`
	Groups     set[groupXML] `xml:"groupSet"`
	Attachment attachmentXML `xml:"attachment"`
	Kind       string        `xml:"interfaceType"`
}

type cpuXML struct {
	Cores   int `xml:"coreCount"`
	Threads int `xml:"threadsPerCore"`
}

type instanceXML struct {
	ID               string            `xml:"instanceId"`
	ImageID          string            `xml:"imageId"`
	State            stateXML          `xml:"instanceState"`
	PrivateDNS       string            `xml:"privateDnsName"`
	DNS              string            `xml:"dnsName"`
	TransitionReason string            `xml:"reason"`
	KeyName          string            `xml:"keyName,omitempty"`
	LaunchIndex      int               `xml:"amiLaunchIndex"`
	ProductCodes     set[string]       `xml:"productCodes"`
	Type             string            `xml:"instanceType"`
	LaunchTime       string            `xml:"launchTime"`
	Placement        placementXML      `xml:"placement"`
	Monitoring       monitoringXML     `xml:"monitoring"`
	SubnetID         string            `xml:"subnetId,omitempty"`
	VPCID            string            `xml:"vpcId,omitempty"`
	PrivateIP        string            `xml:"privateIpAddress,omitempty"`
	PublicIP         string            `xml:"ipAddress,omitempty"`
	Checked          bool              `xml:"sourceDestCheck"`
	Groups           set[groupXML]     `xml:"groupSet"`
	StateReason      *reasonXML        `xml:"stateReason"`
	Architecture     string            `xml:"architecture"`
	RootType         string            `xml:"rootDeviceType"`
	RootName         string            `xml:"rootDeviceName"`
	Devices          set[deviceXML]    `xml:"blockDeviceMapping"`
	Virtualization   string            `xml:"virtualizationType"`
	Lifecycle        string            `xml:"instanceLifecycle,omitempty"`
	SpotRequestID    string            `xml:"spotInstanceRequestId,omitempty"`
	ClientToken      string            `xml:"clientToken"`
	Tags             set[tagXML]       `xml:"tagSet"`
	Hypervisor       string            `xml:"hypervisor"`
	Interfaces       set[interfaceXML] `xml:"networkInterfaceSet"`
	Profile          *profileXML       `xml:"iamInstanceProfile"`
	EBSOptimized     bool              `xml:"ebsOptimized"`
	ENA              bool              `xml:"enaSupport"`
	CPU              *cpuXML           `xml:"cpuOptions"`
	Metadata         metadataXML       `xml:"metadataOptions"`
	PlatformDetails  string            `xml:"platformDetails"`
	UsageOperation   string            `xml:"usageOperation"`
}

type reservationXML struct {
	ID        string           `xml:"reservationId"`
	OwnerID   string           `xml:"ownerId"`
	Groups    set[groupXML]    `xml:"groupSet"`
	Instances set[instanceXML] `xml:"instancesSet"`
}

func (c *Cloud) reservationXML(r Reservation) reservationXML {
	return reservationXML{ID: r.ID, OwnerID: c.cat.AccountID, Instances: setOf(r.Instances, c.instanceXML)}
}

func (c *Cloud) groupXML(id string) groupXML {
	for _, g := range c.cat.SecurityGroups {
		if g.ID == id {
			return groupXML{g.ID, g.Name}
		}
	}
	return groupXML{id, id}
}

func (c *Cloud) instanceXML(i Instance) instanceXML {
	x := instanceXML{
		ID: i.ID, ImageID: i.ImageID, State: stateToXML(i.State), TransitionReason: i.TransitionReason, KeyName: i.KeyName,
		LaunchIndex: i.LaunchIndex, Type: i.Type, LaunchTime: stamp(i.LaunchTime), Monitoring: monitoringXML{onOff(i.Monitoring)},
		Placement: placementXML{Zone: i.Zone, ZoneID: c.cat.zoneID(i.Zone), Tenancy: "default"}, Architecture: i.Architecture,
		RootType: "ebs", RootName: i.Disks[0].DeviceName, Virtualization: "hvm", SpotRequestID: i.SpotRequestID, ClientToken: i.ClientToken,
		Tags: setOf(i.Tags, tagToXML), Hypervisor: "xen", ENA: true, PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances",
		Metadata: metadataXML{
			State: "applied", HTTPTokens: i.Metadata.HTTPTokens, HopLimit: i.Metadata.HopLimit, HTTPEndpoint: i.Metadata.HTTPEndpoint,
			IPv6: "disabled", InstanceTags: i.Metadata.InstanceTags,
		},
	}
	if i.StateReason.Code != "" {
		x.StateReason = &reasonXML{i.StateReason.Code, i.StateReason.Message}
	}
	if i.Market == Spot {
		x.Lifecycle = "spot"
	}
	if i.IAMProfileARN != "" {
		x.Profile = &profileXML{ARN: i.IAMProfileARN, ID: "AIPA0000000000000FAKE"}
	}
	if t, ok := c.cat.typeNamed(i.Type); ok {
		x.CPU = &cpuXML{Cores: max(t.VCPUs/2, 1), Threads: min(t.VCPUs, 2)}
	}
	if i.State != Terminated {
		c.attach(&x, i)
	}
	return x
}

// attach adds what a terminated instance no longer has: its network, its disks.
func (c *Cloud) attach(x *instanceXML, i Instance) {
	x.SubnetID, x.VPCID, x.PrivateIP, x.Checked = i.SubnetID, i.VPCID, i.PrivateIP, true
	x.PrivateDNS = "ip-" + dashed(i.PrivateIP) + ".ec2.internal"
	x.Groups = setOf(i.SecurityGroupIDs, c.groupXML)
	if i.PublicIP != "" && i.State == Running {
		x.PublicIP, x.DNS = i.PublicIP, "ec2-"+dashed(i.PublicIP)+".compute-1.amazonaws.com"
	}
	x.Devices = setOf(i.Disks, func(d Disk) deviceXML {
		return deviceXML{d.DeviceName, ebsXML{d.VolumeID, "attached", stamp(i.LaunchTime), d.DeleteOnTermination}}
	})
	x.Interfaces.Item = []interfaceXML{{
		ID: i.NetworkInterfaceID, SubnetID: i.SubnetID, VPCID: i.VPCID, OwnerID: c.cat.AccountID, Status: "in-use", PrivateIP: i.PrivateIP,
		Checked: true, Groups: x.Groups, Kind: "interface",
		Attachment: attachmentXML{ID: "eni-attach" + i.NetworkInterfaceID[3:], Status: "attached", AttachTime: stamp(i.LaunchTime), DeleteOnTermination: true},
	}}
}

func dashed(ip string) string {
	text := []byte(ip)
	for n, b := range text {
		if b == '.' {
			text[n] = '-'
		}
	}
	return string(text)
}

func onOff(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}
