package fakeec2

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// catalogList is a listing of things that never change: those with one of the
// ids, if any are given, that pass the filters, one page of them.
type catalogList[T any] struct {
	action    string
	all       []T
	ids       []string
	id        func(T) string
	missing   func(id string) *APIError
	filters   []string // names that the action knows
	attribute func(T, string) []string
}

func (l catalogList[T]) serve(c *Cloud, q *query) ([]T, string, error) {
	type page struct {
		list []T
		next string
	}
	filters, size, token, dry := q.filters(), q.number("MaxResults"), q.text("NextToken"), q.flag("DryRun", false)
	if q.err != nil {
		return nil, "", q.err
	}
	gate := call{action: l.action, page: pageOf(token), broad: len(l.ids) == 0 && len(filters) == 0 && size == 0, dryRun: dry}
	out, err := serve(c, gate, func(Fault) (page, error) {
		if err := checkFilters(filters, l.filters); err != nil {
			return page{}, err
		}
		for _, id := range l.ids {
			if !slices.ContainsFunc(l.all, func(v T) bool { return l.id(v) == id }) {
				return page{}, l.missing(id)
			}
		}
		var kept []T
		for _, v := range l.all {
			if (len(l.ids) == 0 || slices.Contains(l.ids, l.id(v))) && matches(filters, func(name string) []string { return l.attribute(v, name) }) {
				kept = append(kept, v)
			}
		}
		list, next, err := paginate(kept, size, token)
		return page{list, next}, err
	})
	return out.list, out.next, err
}

// permitted is all there is, and with a permissive catalog also what is asked
// for by its id.
func permitted[T any](cat Catalog, all []T, ids []string, id func(T) string, made func(id string) T) []T {
	if !cat.Permissive {
		return all
	}
	all = slices.Clone(all)
	for _, wanted := range ids {
		if !slices.ContainsFunc(all, func(v T) bool { return id(v) == wanted }) {
			all = append(all, made(wanted))
		}
	}
	return all
}

func opDescribeInstanceTypes(c *Cloud, q *query) (any, error) {
	list, next, err := catalogList[InstanceType]{
		action: "DescribeInstanceTypes", all: c.cat.Types, ids: q.list("InstanceType"), id: func(t InstanceType) string { return t.Name },
		missing: func(id string) *APIError {
			return errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", id)
		},
		filters: []string{"instance-type", "processor-info.supported-architecture", "vcpu-info.default-vcpus", "supported-usage-class", "current-generation"},
		attribute: func(t InstanceType, name string) []string {
			switch name {
			case "instance-type":
				return []string{t.Name}
			case "processor-info.supported-architecture":
				return []string{t.Architecture}
			case "vcpu-info.default-vcpus":
				return []string{strconv.Itoa(t.VCPUs)}
			case "supported-usage-class":
				return usageClasses(t)
			default:
				return []string{"true"}
			}
		},
	}.serve(c, q)
	return struct {
		Set       set[typeXML] `xml:"instanceTypeSet"`
		NextToken string       `xml:"nextToken,omitempty"`
	}{setOf(list, typeToXML), next}, err
}

func usageClasses(t InstanceType) []string {
	if t.SpotUSD == 0 {
		return []string{"on-demand"}
	}
	return []string{"on-demand", "spot"}
}

type gpuXML struct {
	Name         string `xml:"name"`
	Manufacturer string `xml:"manufacturer"`
	Count        int    `xml:"count"`
	MiB          int    `xml:"memoryInfo>sizeInMiB"`
}

type gpuInfoXML struct {
	GPUs  set[gpuXML] `xml:"gpus"`
	Total int         `xml:"totalGpuMemoryInMiB"`
}

type typeXML struct {
	Name          string      `xml:"instanceType"`
	Current       bool        `xml:"currentGeneration"`
	UsageClasses  set[string] `xml:"supportedUsageClasses"`
	RootDevices   set[string] `xml:"supportedRootDeviceTypes"`
	Hypervisor    string      `xml:"hypervisor"`
	Architectures set[string] `xml:"processorInfo>supportedArchitectures"`
	VCPUs         int         `xml:"vCpuInfo>defaultVCpus"`
	Cores         int         `xml:"vCpuInfo>defaultCores"`
	Threads       int         `xml:"vCpuInfo>defaultThreadsPerCore"`
	MemoryMiB     int         `xml:"memoryInfo>sizeInMiB"`
	GPU           *gpuInfoXML `xml:"gpuInfo"`
	Virtual       set[string] `xml:"supportedVirtualizationTypes"`
}

func typeToXML(t InstanceType) typeXML {
	x := typeXML{
		Name: t.Name, Current: true, UsageClasses: set[string]{usageClasses(t)}, RootDevices: set[string]{[]string{"ebs"}}, Hypervisor: "nitro",
		Architectures: set[string]{[]string{t.Architecture}}, VCPUs: t.VCPUs, Cores: max(t.VCPUs/2, 1), Threads: min(t.VCPUs, 2),
		MemoryMiB: t.MemoryMiB, Virtual: set[string]{[]string{"hvm"}},
	}
	if t.GPUs > 0 {
		x.GPU = &gpuInfoXML{set[gpuXML]{[]gpuXML{{t.GPUName, "NVIDIA", t.GPUs, t.GPUMemoryMiB}}}, t.GPUs * t.GPUMemoryMiB}
	}
	return x
}

func opDescribeInstanceTypeOfferings(c *Cloud, q *query) (any, error) {
	type offering struct {
		Type     string `xml:"instanceType"`
		Kind     string `xml:"locationType"`
		Location string `xml:"location"`
	}
	kind := q.text("LocationType")
	var all []offering
	for _, t := range c.cat.Types {
		switch kind {
		case "", "region":
			all = append(all, offering{t.Name, "region", c.cat.Region})
		case "availability-zone", "availability-zone-id":
			for _, z := range c.cat.zonesOf(t) {
				if kind == "availability-zone-id" {
					z = c.cat.zoneID(z)
				}
				all = append(all, offering{t.Name, kind, z})
			}
		default:
			return nil, errorf("InvalidParameterValue", "Value (%s) for parameter LocationType is invalid.", kind)
		}
	}
	list, next, err := catalogList[offering]{
		action: "DescribeInstanceTypeOfferings", all: all, filters: []string{"instance-type", "location"},
		attribute: func(o offering, name string) []string {
			if name == "location" {
				return []string{o.Location}
			}
			return []string{o.Type}
		},
	}.serve(c, q)
	return struct {
		Set       set[offering] `xml:"instanceTypeOfferingSet"`
		NextToken string        `xml:"nextToken,omitempty"`
	}{set[offering]{list}, next}, err
}

type mappingXML struct {
	Name    string `xml:"deviceName"`
	GiB     int    `xml:"ebs>volumeSize"`
	Kind    string `xml:"ebs>volumeType"`
	Deleted bool   `xml:"ebs>deleteOnTermination"`
}

type imageXML struct {
	ID           string          `xml:"imageId"`
	Name         string          `xml:"name"`
	State        string          `xml:"imageState"`
	OwnerID      string          `xml:"imageOwnerId"`
	Architecture string          `xml:"architecture"`
	Kind         string          `xml:"imageType"`
	RootType     string          `xml:"rootDeviceType"`
	RootName     string          `xml:"rootDeviceName"`
	Devices      set[mappingXML] `xml:"blockDeviceMapping"`
	Virtual      string          `xml:"virtualizationType"`
	Created      string          `xml:"creationDate"`
	IMDS         string          `xml:"imdsSupport,omitempty"`
	ENA          bool            `xml:"enaSupport"`
	Public       bool            `xml:"isPublic"`
}

func opDescribeImages(c *Cloud, q *query) (any, error) {
	ids := q.list("ImageId")
	all := slices.Clone(c.cat.Images)
	for _, id := range ids {
		if i, ok := c.cat.image(id, "x86_64"); ok && !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	list, next, err := catalogList[Image]{
		action: "DescribeImages", all: all, ids: ids, id: func(i Image) string { return i.ID },
		missing: func(id string) *APIError {
			return errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		},
		filters: []string{"architecture", "name", "image-id", "state", "root-device-type", "virtualization-type"},
		attribute: func(i Image, name string) []string {
			return []string{map[string]string{
				"architecture": i.Architecture, "name": i.Name, "image-id": i.ID, "state": i.state(), "root-device-type": "ebs", "virtualization-type": "hvm",
			}[name]}
		},
	}.serve(c, q)
	return struct {
		Set       set[imageXML] `xml:"imagesSet"`
		NextToken string        `xml:"nextToken,omitempty"`
	}{setOf(list, c.imageXML), next}, err
}

func (c *Cloud) imageXML(i Image) imageXML {
	x := imageXML{
		ID: i.ID, Name: i.Name, State: i.state(), OwnerID: c.cat.AccountID, Architecture: i.Architecture, Kind: "machine", RootType: "ebs",
		RootName: i.RootDevice, Devices: set[mappingXML]{[]mappingXML{{i.RootDevice, i.RootGiB, "gp3", true}}}, Virtual: "hvm", Created: i.CreationDate, ENA: true,
	}
	if i.IMDSv2 {
		x.IMDS = "v2.0"
	}
	return x
}

func opDescribeSubnets(c *Cloud, q *query) (any, error) {
	list, next, err := catalogList[Subnet]{
		action: "DescribeSubnets", all: c.cat.Subnets, ids: q.list("SubnetId"), id: func(s Subnet) string { return s.ID },
		missing: func(id string) *APIError {
			return errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
		},
		filters: []string{"availability-zone", "subnet-id", "vpc-id", "default-for-az", "state"},
		attribute: func(s Subnet, name string) []string {
			return []string{map[string]string{
				"availability-zone": s.Zone, "subnet-id": s.ID, "vpc-id": c.cat.vpc(s.VPCID), "default-for-az": strconv.FormatBool(s.Default), "state": "available",
			}[name]}
		},
	}.serve(c, q)
	type subnet struct {
		ID        string      `xml:"subnetId"`
		ARN       string      `xml:"subnetArn"`
		State     string      `xml:"state"`
		OwnerID   string      `xml:"ownerId"`
		VPCID     string      `xml:"vpcId"`
		CIDR      string      `xml:"cidrBlock"`
		Addresses int         `xml:"availableIpAddressCount"`
		Zone      string      `xml:"availabilityZone"`
		ZoneID    string      `xml:"availabilityZoneId"`
		Default   bool        `xml:"defaultForAz"`
		PublicIP  bool        `xml:"mapPublicIpOnLaunch"`
		Tags      set[tagXML] `xml:"tagSet"`
	}
	free := c.freeAddresses()
	return struct {
		Set       set[subnet] `xml:"subnetSet"`
		NextToken string      `xml:"nextToken,omitempty"`
	}{setOf(list, func(s Subnet) subnet {
		arn := fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", c.cat.Region, c.cat.AccountID, s.ID)
		return subnet{
			ID: s.ID, ARN: arn, State: "available", OwnerID: c.cat.AccountID, VPCID: c.cat.vpc(s.VPCID), CIDR: s.CIDR,
			Addresses: free[s.ID], Zone: s.Zone, ZoneID: c.cat.zoneID(s.Zone), Default: s.Default, PublicIP: s.Default,
		}
	}), next}, err
}

func (c *Cloud) freeAddresses() map[string]int {
	c.mu.Lock()
	defer c.unlock()
	return maps.Clone(c.addresses)
}

func opDescribeSecurityGroups(c *Cloud, q *query) (any, error) {
	ids := q.list("GroupId")
	all := permitted(c.cat, c.cat.SecurityGroups, ids, func(g SecurityGroup) string { return g.ID },
		func(id string) SecurityGroup { return SecurityGroup{ID: id, Name: "any"} })
	list, next, err := catalogList[SecurityGroup]{
		action: "DescribeSecurityGroups", all: all, ids: ids, id: func(g SecurityGroup) string { return g.ID },
		missing: func(id string) *APIError {
			return errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		},
		filters: []string{"group-id", "group-name", "vpc-id"},
		attribute: func(g SecurityGroup, name string) []string {
			return []string{map[string]string{"group-id": g.ID, "group-name": g.Name, "vpc-id": c.cat.vpc(g.VPCID)}[name]}
		},
	}.serve(c, q)
	type group struct {
		OwnerID string        `xml:"ownerId"`
		ID      string        `xml:"groupId"`
		Name    string        `xml:"groupName"`
		About   string        `xml:"groupDescription"`
		VPCID   string        `xml:"vpcId"`
		In      set[struct{}] `xml:"ipPermissions"`
		Out     set[struct{}] `xml:"ipPermissionsEgress"`
		Tags    set[tagXML]   `xml:"tagSet"`
	}
	return struct {
		Set       set[group] `xml:"securityGroupInfo"`
		NextToken string     `xml:"nextToken,omitempty"`
	}{setOf(list, func(g SecurityGroup) group {
		return group{OwnerID: c.cat.AccountID, ID: g.ID, Name: g.Name, About: g.Name, VPCID: c.cat.vpc(g.VPCID)}
	}), next}, err
}

func opDescribeKeyPairs(c *Cloud, q *query) (any, error) {
	names, same := q.list("KeyName"), func(k string) string { return k }
	list, _, err := catalogList[string]{
		action: "DescribeKeyPairs", all: permitted(c.cat, c.cat.KeyPairs, names, same, same), ids: names, id: same,
		missing: func(id string) *APIError {
			return errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", id)
		},
		filters:   []string{"key-name"},
		attribute: func(k, _ string) []string { return []string{k} },
	}.serve(c, q)
	type pair struct {
		ID          string `xml:"keyPairId"`
		Name        string `xml:"keyName"`
		Kind        string `xml:"keyType"`
		Fingerprint string `xml:"keyFingerprint"`
	}
	return struct {
		Set set[pair] `xml:"keySet"`
	}{setOf(list, func(k string) pair {
		return pair{fmt.Sprintf("key-0%016x", slices.Index(c.cat.KeyPairs, k)+1), k, "ed25519", strings.Repeat("ab:", 15) + "ab"}
	})}, err
}

func opDescribeAvailabilityZones(c *Cloud, q *query) (any, error) {
	q.flag("AllAvailabilityZones", false)
	list, _, err := catalogList[string]{
		action: "DescribeAvailabilityZones", all: c.cat.Zones, ids: q.list("ZoneName"), id: func(z string) string { return z },
		missing: func(id string) *APIError {
			return errorf("InvalidParameterValue", "Invalid availability zone: [%s]", id)
		},
		filters: []string{"zone-name", "zone-id", "region-name", "state", "opt-in-status", "zone-type"},
		attribute: func(z, name string) []string {
			return []string{map[string]string{
				"zone-name": z, "zone-id": c.cat.zoneID(z), "region-name": c.cat.Region, "state": "available",
				"opt-in-status": "opt-in-not-required", "zone-type": "availability-zone",
			}[name]}
		},
	}.serve(c, q)
	type zone struct {
		Name   string `xml:"zoneName"`
		ID     string `xml:"zoneId"`
		State  string `xml:"zoneState"`
		Region string `xml:"regionName"`
		Group  string `xml:"groupName"`
		Border string `xml:"networkBorderGroup"`
		OptIn  string `xml:"optInStatus"`
		Kind   string `xml:"zoneType"`
	}
	return struct {
		Set set[zone] `xml:"availabilityZoneInfo"`
	}{setOf(list, func(z string) zone {
		return zone{z, c.cat.zoneID(z), "available", c.cat.Region, c.cat.Region, c.cat.Region, "opt-in-not-required", "availability-zone"}
	})}, err
}
