// Package prices estimates what an hour of an instance costs. It is for people:
// nothing is decided by it, and a bill says something else. Prices are those of
// us-east-1 on 2026-07-20, Linux, without disks, traffic, taxes and discounts;
// they come from the tables of aws/karpenter-provider-aws, kubernetes/autoscaler
// and getmoto/moto (Apache-2.0).
package prices

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// SpotShare is the part of the on-demand price that a spot instance is taken to
// cost: the medians of instance families in 2023 were between 0.30 and 0.42.
const SpotShare = 0.4

//go:embed ondemand.csv
var table string

// List is a list of on-demand prices in US dollars per hour, by instance type.
type List map[string]float64

// OnDemand is the list that the program has with it. Reading it takes some
// milliseconds: keep it.
func OnDemand() List {
	list := make(List)
	for line := range strings.Lines(table) {
		kind, price, _ := strings.Cut(strings.TrimSpace(line), ",")
		if usd, err := strconv.ParseFloat(price, 64); err == nil { // the first line is none
			list[kind] = usd
		}
	}
	return list
}

// Hourly estimates the price of an hour in US dollars; zero when the type is not
// on the list.
func (l List) Hourly(offering messages.Offering) float64 {
	usd := l[offering.InstanceType]
	if offering.Market == messages.Spot {
		usd *= SpotShare
	}
	return usd
}
