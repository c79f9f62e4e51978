package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func regionForm(s string) bool {
	return regexp.MustCompile(regionPattern).MatchString(s)
}

func (c *checker) resource(path string, r Resource, region string) {
	at := func(key string) string { return child(path, key) }
	c.name(at("name"), r.Name)
	if len(r.InstanceTypes) == 0 {
		c.missing(at("instance_types"))
	}
	for i, t := range r.InstanceTypes {
		p := item(at("instance_types"), i)
		c.given(p, t)
		c.matches(p, t)
	}
	c.noneTwice(at("instance_types"), r.InstanceTypes)
	c.market(path, r)
	c.places(path, r, region)
	if c.required(at("ami_id"), r.AMIID) {
		c.matches(at("ami_id"), r.AMIID)
	}
	switch most := c.key(at("max_instances")).Most; {
	case r.MaxInstances < 1 && !c.d.wrote(at("max_instances")):
		c.missing(at("max_instances"))
	case r.MaxInstances < 1:
		c.add(at("max_instances"), fmt.Sprintf("%d is less than 1", r.MaxInstances), "write at least 1, or remove the resource")
	case r.MaxInstances > most:
		c.add(at("max_instances"), fmt.Sprintf("%d is more than %d", r.MaxInstances, most), "write what your quota allows")
	}
	c.tags(at("tags"), r.Tags)
	devices := map[string]bool{}
	for i, v := range r.Volumes {
		p := item(at("volumes"), i)
		c.volume(p, v)
		if devices[v.Device] && v.Device != "" {
			c.add(child(p, "device"), c.show(child(p, "device"), v.Device)+" is used twice", "give each volume its own device")
		}
		devices[v.Device] = true
	}
	if k := c.key(at("key_pair")); len([]rune(r.KeyPair)) > k.Most {
		c.add(at("key_pair"), "is not "+k.What, k.Fix)
	}
	c.matches(at("key_pair"), r.KeyPair)
	for i, g := range r.SecurityGroups {
		c.given(item(at("security_groups"), i), g)
		c.matches(item(at("security_groups"), i), g)
	}
	c.noneTwice(at("security_groups"), r.SecurityGroups)
	c.launchParameters(at("extra_launch_parameters"), r.ExtraLaunchParameters)
	c.script(at("init_script"), r.InitScript)
}

// given refuses an empty element of a list.
func (c *checker) given(path, value string) {
	if value == "" {
		c.add(path, "is empty", "write a value or remove the element")
	}
}

func (c *checker) noneTwice(path string, list []string) {
	for i, v := range list {
		if slices.Contains(list[:i], v) && v != "" {
			c.add(item(path, i), c.show(path, v)+" is listed twice", "keep one")
		}
	}
}

// isPrice says whether text is a decimal number above zero.
func (c *checker) isPrice(path, text string) bool {
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && n > 0 && regexp.MustCompile(c.key(path).Pattern).MatchString(text)
}

func (c *checker) market(path string, r Resource) {
	c.oneOf(child(path, "market"), string(r.Market))
	if opaque := c.d.t.opaque; opaque[child(path, "market")] || opaque[child(path, "spot")] {
		return
	}
	price := child(path, "spot_max_price")
	if own := child(path, "price_per_hour"); r.PricePerHour != "" && !c.isPrice(own, r.PricePerHour) {
		c.add(own, c.show(own, r.PricePerHour)+" is not a price", "write dollars per hour, such as 1.006, or remove it for AWS's list price")
	}
	if r.SpotMaxPrice != "" {
		switch {
		case !c.isPrice(price, r.SpotMaxPrice):
			c.add(price, c.show(price, r.SpotMaxPrice)+" is not a price", "write dollars per hour, such as 0.35, or remove it for no limit but the on-demand price")
		case r.Market != Spot:
			c.add(price, "has no meaning for on-demand instances", "write market: spot, or remove it")
		}
	}
	if r.OnDemandFallback.Enabled && r.Market == OnDemand {
		c.add(child(path, "on_demand_fallback.enabled"), "has no meaning for on-demand instances", "write market: spot, or remove it")
	}
}

// places checks zones and subnets, and that they say together where to launch.
func (c *checker) places(path string, r Resource, region string) {
	zones, subnets := child(path, "availability_zones"), child(path, "subnets")
	auto := slices.Contains(r.AvailabilityZones, ZoneAuto)
	switch opaque := c.d.t.opaque; {
	case opaque[zones] || opaque[subnets]:
	case len(r.AvailabilityZones) == 0 && len(r.Subnets) == 0:
		c.add(zones, "is missing", "write zones, or subnets; write availability_zones: [auto] when AWS may choose")
	case auto && len(r.AvailabilityZones) > 1:
		c.add(zones, "has auto and zones", "write [auto] alone when AWS may choose, else the zones")
	case auto && len(r.Subnets) > 0:
		c.add(zones, "is auto, and there are subnets, which are in a zone each", "remove availability_zones; the subnets say where")
	case len(r.AvailabilityZones) > 0 && len(r.Subnets) > 0 && len(r.AvailabilityZones) != len(r.Subnets):
		c.add(zones, fmt.Sprintf("has %d elements and subnets has %d, and they correspond one to one", len(r.AvailabilityZones), len(r.Subnets)), "write one zone for each subnet, in the same order, or remove availability_zones")
	}
	c.zones(zones, r.AvailabilityZones, region)
	for i, s := range r.Subnets {
		c.given(item(subnets, i), s)
		c.matches(item(subnets, i), s)
	}
	c.noneTwice(subnets, r.Subnets)
	if len(r.Subnets) == 0 {
		c.noneTwice(zones, r.AvailabilityZones)
	}
}

// zones checks the form of zones and that they are in the region.
func (c *checker) zones(path string, zones []string, region string) {
	for i, z := range zones {
		p := item(path, i)
		c.given(p, z)
		if z == ZoneAuto || z == "" {
			continue
		}
		switch {
		case regionForm(z):
			c.add(p, c.show(p, z)+" is a region", "write a zone of it, such as "+z+"a, or [auto] alone")
		case !regexp.MustCompile(c.key(p).Pattern).MatchString(z):
			c.add(p, c.show(p, z)+" is not an availability zone", "write its name, such as us-east-1a, or [auto] alone")
		case regionForm(region) && !strings.HasPrefix(z, region):
			c.add(p, c.show(p, z)+" is not in the region "+region, "write a zone of "+region+", such as "+region+"a")
		}
	}
}

// Limits of EC2 on tags. ebb adds ebb:autoscaler, ebb:resource, ebb:intent and
// ebb:queue, and Name where there is none.
const (
	tagsMax     = 50
	tagsOfEbb   = 4
	tagKeyMax   = 128
	tagValueMax = 256 // also of a queue's name, which is in a tag

	queueNameLeast = 3
	queueNameForm  = `^\S([^\r\n\t\x00]*\S)?$`
)

func (c *checker) tags(path string, tags map[string]string) {
	most := tagsMax - tagsOfEbb
	if _, named := tags["Name"]; !named {
		most--
	}
	if len(tags) > most {
		c.add(path, fmt.Sprintf("has %d tags; EC2 allows %d, of which ebb needs %d", len(tags), tagsMax, tagsMax-most), fmt.Sprintf("write at most %d", most))
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		p := child(path, key)
		lower := strings.ToLower(key)
		switch {
		case key == "":
			c.add(path, "has a tag without a key", "write key: value")
		case strings.ContainsRune(key, 0): // from elsewhere than a file, which is refused before
			c.add(path, "has a key with a NUL character", "remove it")
		case strings.HasPrefix(lower, "aws:"):
			c.add(p, "begins with aws:, which AWS keeps for itself", "write another key")
		case strings.HasPrefix(lower, "ebb:"):
			c.add(p, "begins with ebb:, by which ebb finds its instances", "write another key")
		case len([]rune(key)) > tagKeyMax:
			c.add(path, fmt.Sprintf("has a key of %d characters", len([]rune(key))), fmt.Sprintf("write at most %d", tagKeyMax))
		case len([]rune(tags[key])) > tagValueMax:
			c.add(p, fmt.Sprintf("has a value of %d characters", len([]rune(tags[key]))), fmt.Sprintf("write at most %d", tagValueMax))
		}
	}
}

func (c *checker) volume(path string, v Volume) {
	at := func(key string) string { return child(path, key) }
	if c.required(at("device"), v.Device) {
		c.matches(at("device"), v.Device)
	}
	c.oneOf(at("type"), v.Type)
	c.matches(at("snapshot_id"), v.SnapshotID)
	switch {
	case v.SizeGB == 0 && v.SnapshotID == "":
		c.add(at("size_gb"), "is missing", "write the size in GB, or a snapshot_id to take its size")
	case v.SizeGB < 0 || v.SizeGB > sizeMost:
		c.add(at("size_gb"), fmt.Sprintf("%d is not a size of a disk", v.SizeGB), "write 1 to 65536 GB")
	}
	c.performance(path, v)
}

// performance checks what a type of volume lets one choose.
func (c *checker) performance(path string, v Volume) {
	at := func(key string) string { return child(path, key) }
	provisioned := v.Type == "io1" || v.Type == "io2"
	switch {
	case v.IOPS < 0:
		c.add(at("iops"), fmt.Sprintf("%d is negative", v.IOPS), "write a number such as 3000, or remove it")
	case v.IOPS > 0 && !provisioned && v.Type != "gp3":
		c.add(at("iops"), "cannot be chosen for "+v.Type, "write type: gp3, io1 or io2, or remove it")
	case v.IOPS == 0 && provisioned:
		c.add(at("iops"), "is missing; "+v.Type+" needs it", "write a number such as 3000, or type: gp3")
	}
	switch {
	case v.Throughput < 0:
		c.add(at("throughput"), fmt.Sprintf("%d is negative", v.Throughput), "write MiB/s such as 250, or remove it")
	case v.Throughput > 0 && v.Type != "gp3":
		c.add(at("throughput"), "cannot be chosen for "+v.Type, "write type: gp3, or remove it")
	}
}
