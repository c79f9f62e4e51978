package fakes

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// EC2 is a fake region.
type EC2 struct {
	Server

	Region string
	// Buckets turns on EC2's published throttling.
	Buckets bool
	// Boot is the time from launch to running, Install from there to a working
	// agent; 0 draws as measured.
	Boot, Install time.Duration
	// Agents runs simulated agents on running instances.
	Agents bool
	// Strict refuses AMIs, security groups, key pairs and instance profiles that
	// the catalog lacks.
	Strict bool
	Seed   uint64
	// AccessKeys are the access key ids that are let in; none lets all in.
	AccessKeys []string
}

// Run serves until ctx ends.
func (e EC2) Run(ctx context.Context) error {
	timing := fakeec2.DefaultTiming()
	if e.Boot > 0 {
		timing.Pending = fakeec2.Dist{Median: e.Boot}
	}
	catalog := Catalog(e.Region)
	catalog.Permissive = !e.Strict
	cloud, err := fakeec2.New(fakeec2.Config{
		Clock: clock.System(), Rand: rand.New(rand.NewPCG(e.Seed, e.Seed)), Log: e.Log,
		Catalog: catalog, Timing: timing, Throttle: e.Buckets, AccessKeys: e.AccessKeys,
	})
	if err != nil {
		return err
	}
	defer cloud.Close()
	if e.Agents {
		world, err := fake.NewWorld(ctx, fake.WorldConfig{
			Clock: clock.System(), EC2: cloud, Seed: e.Seed, Log: e.Log, Install: fakeec2.Dist{Median: e.Install},
		})
		if err != nil {
			return err
		}
		defer world.Close()
	}
	return e.serve(ctx, "fake EC2 ("+catalog.Region+")", cloud.Handler(), func(url string) []string {
		return e.usage(url, catalog)
	})
}

func (e EC2) usage(url string, catalog fakeec2.Catalog) []string {
	key := "fake"
	if len(e.AccessKeys) > 0 {
		key = e.AccessKeys[0]
	}
	return []string{
		"AWS CLI:  export AWS_ENDPOINT_URL_EC2=" + url + " AWS_ENDPOINT_URL_STS=" + url + " AWS_DEFAULT_REGION=" + catalog.Region +
			" AWS_ACCESS_KEY_ID=" + key + " AWS_SECRET_ACCESS_KEY=fake; aws ec2 describe-instances",
		"boto3:    boto3.client(\"ec2\", endpoint_url=\"" + url + "\", region_name=\"" + catalog.Region +
			"\", aws_access_key_id=\"" + key + "\", aws_secret_access_key=\"fake\")",
		"ebb:      aws: {region: " + catalog.Region + ", endpoint_url: \"" + url + "\", access_key_id: " + key + ", secret_access_key: fake}",
		"subnets:  " + subnets(catalog),
		"images:   " + images(catalog),
		"look:     curl " + url + "/_fake/state",
	}
}

func subnets(catalog fakeec2.Catalog) string {
	list := make([]string, 0, len(catalog.Subnets))
	for _, s := range catalog.Subnets {
		list = append(list, s.ID+" ("+s.Zone+")")
	}
	return strings.Join(list, ", ")
}

func images(catalog fakeec2.Catalog) string {
	list := make([]string, 0, len(catalog.Images))
	for _, i := range catalog.Images {
		list = append(list, i.ID+" ("+i.Architecture+")")
	}
	text := strings.Join(list, ", ")
	if catalog.Permissive {
		text += ", and any other id"
	}
	return text
}

// Catalog is the default catalog moved to a region.
func Catalog(region string) fakeec2.Catalog {
	catalog := fakeec2.DefaultCatalog()
	if region == "" {
		return catalog
	}
	moved := func(zone string) string { return region + strings.TrimPrefix(zone, catalog.Region) }
	for i, zone := range catalog.Zones {
		catalog.Zones[i] = moved(zone)
	}
	for i, s := range catalog.Subnets {
		catalog.Subnets[i].Zone = moved(s.Zone)
	}
	catalog.Region = region
	return catalog
}
