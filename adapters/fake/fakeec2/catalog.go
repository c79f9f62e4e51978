package fakeec2

import (
	"fmt"
	"slices"
	"strings"
)

// InstanceType is one line of the catalog. Prices are USD per hour.
type InstanceType struct {
	Name         string   `json:"name"`
	VCPUs        int      `json:"vcpus"`
	MemoryMiB    int      `json:"memory_mib"`
	GPUs         int      `json:"gpus,omitempty"`
	GPUName      string   `json:"gpu_name,omitempty"`
	GPUMemoryMiB int      `json:"gpu_memory_mib,omitempty"` // of one GPU
	Architecture string   `json:"architecture"`
	OnDemandUSD  float64  `json:"on_demand_usd"`
	SpotUSD      float64  `json:"spot_usd"` // zero: not sold on the spot market
	Zones        []string `json:"zones,omitempty"`
}

// Price is the price per hour in USD in a market.
func (t InstanceType) Price(m Market) float64 {
	if m == Spot {
		return t.SpotUSD
	}
	return t.OnDemandUSD
}

// Family is the quota group that the type's vCPUs are counted in, such as
// Standard, G, P or Trn.
func (t InstanceType) Family() string { return Family(t.Name) }

// Family is the quota group of an instance type name.
func Family(instanceType string) string {
	prefix := instanceType[:len(instanceType)-len(strings.TrimLeft(instanceType, "abcdefghijklmnopqrstuvwxyz"))]
	switch {
	case prefix == "inf":
		return "Inf"
	case prefix == "trn":
		return "Trn"
	case prefix == "dl":
		return "DL"
	case strings.HasPrefix(prefix, "u"):
		return "HighMemory"
	case prefix == "g", prefix == "gr", prefix == "vt":
		return "G"
	case prefix == "p", prefix == "f", prefix == "x":
		return strings.ToUpper(prefix)
	default:
		return "Standard"
	}
}

// Image is an AMI of the catalog.
type Image struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	RootDevice   string `json:"root_device"`
	RootGiB      int    `json:"root_gib"`
	IMDSv2       bool   `json:"imds_v2"` // the image asks for HttpTokens=required
	CreationDate string `json:"creation_date"`
	State        string `json:"state,omitempty"` // empty: available
}

func (i Image) state() string {
	if i.State == "" {
		return "available"
	}
	return i.State
}

// Subnet is a subnet of the catalog. Addresses counts free ones at the start.
type Subnet struct {
	ID        string `json:"id"`
	Zone      string `json:"zone"`
	CIDR      string `json:"cidr"`
	Addresses int    `json:"addresses"`
	Default   bool   `json:"default"`          // the zone's default subnet
	VPCID     string `json:"vpc_id,omitempty"` // empty: the catalog's
}

// SecurityGroup is a security group of the catalog.
type SecurityGroup struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	VPCID string `json:"vpc_id,omitempty"` // empty: the catalog's
}

// Catalog is what the region offers, in one VPC unless subnets and security
// groups say otherwise. The first security group is the default one.
type Catalog struct {
	Region         string          `json:"region"`
	AccountID      string          `json:"account_id"`
	VPCID          string          `json:"vpc_id"`
	Zones          []string        `json:"zones"`
	Types          []InstanceType  `json:"types"`
	Images         []Image         `json:"images"`
	Subnets        []Subnet        `json:"subnets"`
	SecurityGroups []SecurityGroup `json:"security_groups"`
	KeyPairs       []string        `json:"key_pairs"`
	// InstanceProfiles are names.
	InstanceProfiles []string `json:"instance_profiles"`
	// Parameters of SSM hold the ids of images.
	Parameters map[string]string `json:"parameters"`
	// Permissive accepts images, security groups, key pairs, instance profiles
	// and parameters that are not listed, so that a demo runs with a configuration made for a real account.
	Permissive bool `json:"permissive"`
}

// DefaultCatalog is a small us-east-1: four zones, the usual types of ClearML
// queues, one default subnet per zone.
func DefaultCatalog() Catalog {
	cat := Catalog{
		Region: "us-east-1", AccountID: "123456789012", VPCID: "vpc-0f00000000000000a",
		Types: []InstanceType{
			{Name: "t3.micro", VCPUs: 2, MemoryMiB: 1024, OnDemandUSD: 0.0104, SpotUSD: 0.0031},
			{Name: "t3.medium", VCPUs: 2, MemoryMiB: 4096, OnDemandUSD: 0.0416, SpotUSD: 0.0125},
			{Name: "m5.large", VCPUs: 2, MemoryMiB: 8192, OnDemandUSD: 0.096, SpotUSD: 0.035},
			{Name: "m5.xlarge", VCPUs: 4, MemoryMiB: 16384, OnDemandUSD: 0.192, SpotUSD: 0.07},
			{Name: "c5.xlarge", VCPUs: 4, MemoryMiB: 8192, OnDemandUSD: 0.17, SpotUSD: 0.068},
			{Name: "c5.4xlarge", VCPUs: 16, MemoryMiB: 32768, OnDemandUSD: 0.68, SpotUSD: 0.27},
			{Name: "r5.xlarge", VCPUs: 4, MemoryMiB: 32768, OnDemandUSD: 0.252, SpotUSD: 0.088},
			{Name: "c7g.xlarge", VCPUs: 4, MemoryMiB: 8192, Architecture: "arm64", OnDemandUSD: 0.145, SpotUSD: 0.055},
			{Name: "g4dn.xlarge", VCPUs: 4, MemoryMiB: 16384, GPUs: 1, GPUName: "T4", GPUMemoryMiB: 15360, OnDemandUSD: 0.526, SpotUSD: 0.19},
			{Name: "g4dn.2xlarge", VCPUs: 8, MemoryMiB: 32768, GPUs: 1, GPUName: "T4", GPUMemoryMiB: 15360, OnDemandUSD: 0.752, SpotUSD: 0.28},
			{Name: "g5.xlarge", VCPUs: 4, MemoryMiB: 16384, GPUs: 1, GPUName: "A10G", GPUMemoryMiB: 22888, OnDemandUSD: 1.006, SpotUSD: 0.42},
			{Name: "g5.2xlarge", VCPUs: 8, MemoryMiB: 32768, GPUs: 1, GPUName: "A10G", GPUMemoryMiB: 22888, OnDemandUSD: 1.212, SpotUSD: 0.51},
			{Name: "g5.12xlarge", VCPUs: 48, MemoryMiB: 196608, GPUs: 4, GPUName: "A10G", GPUMemoryMiB: 22888, OnDemandUSD: 5.672, SpotUSD: 2.3},
			{Name: "g6.xlarge", VCPUs: 4, MemoryMiB: 16384, GPUs: 1, GPUName: "L4", GPUMemoryMiB: 22888, OnDemandUSD: 0.8048, SpotUSD: 0.33},
			{Name: "p3.2xlarge", VCPUs: 8, MemoryMiB: 62464, GPUs: 1, GPUName: "V100", GPUMemoryMiB: 16384, OnDemandUSD: 3.06, SpotUSD: 1.05},
			{Name: "p3.8xlarge", VCPUs: 32, MemoryMiB: 249856, GPUs: 4, GPUName: "V100", GPUMemoryMiB: 16384, OnDemandUSD: 12.24, SpotUSD: 4.1},
			{Name: "p4d.24xlarge", VCPUs: 96, MemoryMiB: 1179648, GPUs: 8, GPUName: "A100", GPUMemoryMiB: 40960, OnDemandUSD: 21.96, SpotUSD: 9.5},
			{Name: "p5.48xlarge", VCPUs: 192, MemoryMiB: 2097152, GPUs: 8, GPUName: "H100", GPUMemoryMiB: 81920, OnDemandUSD: 55.04},
		},
		Images: []Image{
			{ID: "ami-0e3a1b2c3d4e5f601", Name: "deep-learning-base-ubuntu-22.04", Architecture: "x86_64", RootDevice: "/dev/sda1", RootGiB: 65, CreationDate: "2026-09-01T00:00:00.000Z"},
			{ID: "ami-0e3a1b2c3d4e5f602", Name: "ubuntu-24.04", Architecture: "x86_64", RootDevice: "/dev/sda1", RootGiB: 8, IMDSv2: true, CreationDate: "2026-10-01T00:00:00.000Z"},
			{ID: "ami-0e3a1b2c3d4e5f603", Name: "ubuntu-24.04-arm64", Architecture: "arm64", RootDevice: "/dev/sda1", RootGiB: 8, IMDSv2: true, CreationDate: "2026-10-01T00:00:00.000Z"},
		},
		SecurityGroups: []SecurityGroup{{ID: "sg-0f00000000000000a", Name: "default"}, {ID: "sg-0f00000000000000b", Name: "workers"}},
		KeyPairs:       []string{"ops"},

		InstanceProfiles: []string{"worker"},
		Parameters:       map[string]string{"/ebb/images/x86_64": "ami-0e3a1b2c3d4e5f602", "/ebb/images/arm64": "ami-0e3a1b2c3d4e5f603"},
	}
	for i := range cat.Types {
		if cat.Types[i].Architecture == "" {
			cat.Types[i].Architecture = "x86_64"
		}
	}
	for i, letter := range []string{"a", "b", "c", "d"} {
		zone := cat.Region + letter
		cat.Zones = append(cat.Zones, zone)
		cat.Subnets = append(cat.Subnets, Subnet{
			ID: "subnet-0f0000000000000a" + letter, Zone: zone, CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i), Addresses: 4091, Default: true,
		})
	}
	return cat
}

func (c Catalog) typeNamed(name string) (InstanceType, bool) {
	at := slices.IndexFunc(c.Types, func(t InstanceType) bool { return t.Name == name })
	if at < 0 {
		return InstanceType{}, false
	}
	return c.Types[at], true
}

// zonesOf lists the zones that offer a type, in the order of the region.
func (c Catalog) zonesOf(t InstanceType) []string {
	if len(t.Zones) == 0 {
		return c.Zones
	}
	return t.Zones
}

// vpc is the VPC that something says it is in, or the region's own.
func (c Catalog) vpc(id string) string {
	if id == "" {
		return c.VPCID
	}
	return id
}

func (c Catalog) subnetWithID(id string) (Subnet, bool) {
	at := slices.IndexFunc(c.Subnets, func(s Subnet) bool { return s.ID == id })
	if at < 0 {
		return Subnet{}, false
	}
	return c.Subnets[at], true
}

// defaultSubnet is the subnet that a launch into a zone goes to when it names none.
func (c Catalog) defaultSubnet(zone string) (Subnet, bool) {
	at := slices.IndexFunc(c.Subnets, func(s Subnet) bool { return s.Zone == zone && s.Default })
	if at < 0 {
		return Subnet{}, false
	}
	return c.Subnets[at], true
}

// image finds an AMI. A permissive catalog knows every well-formed id.
func (c Catalog) image(id, architecture string) (Image, bool) {
	at := slices.IndexFunc(c.Images, func(i Image) bool { return i.ID == id })
	if at >= 0 {
		return c.Images[at], true
	}
	if !c.Permissive {
		return Image{}, false
	}
	return Image{ID: id, Name: "any", Architecture: architecture, RootDevice: "/dev/sda1", RootGiB: 30, CreationDate: "2026-01-01T00:00:00.000Z"}, true
}

// zoneID is the account-independent id of a zone, such as use1-az1 for us-east-1a.
func (c Catalog) zoneID(zone string) string {
	var short strings.Builder
	for n, part := range strings.Split(c.Region, "-") {
		if n == 0 {
			short.WriteString(part)
		} else {
			short.WriteString(part[:1])
		}
	}
	return fmt.Sprintf("%s-az%d", short.String(), slices.Index(c.Zones, zone)+1)
}
