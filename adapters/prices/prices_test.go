package prices_test

import (
	"math"
	"testing"

	"github.com/ebbscale/ebb/adapters/prices"
	"github.com/ebbscale/ebb/messages"
)

func TestHourly(t *testing.T) {
	t.Parallel()
	list := prices.OnDemand()
	if len(list) < 1000 {
		t.Errorf("%d prices", len(list))
	}
	for kind, usd := range list {
		if usd <= 0 || usd > 1000 {
			t.Errorf("%s costs %v", kind, usd)
		}
	}
	for _, c := range []struct {
		offering messages.Offering
		want     float64
	}{
		{messages.Offering{Market: messages.OnDemand, InstanceType: "g5.xlarge"}, 1.006},
		{messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge"}, 1.006 * prices.SpotShare},
		{messages.Offering{Market: messages.Spot, InstanceType: "x9.huge"}, 0},
	} {
		if got := list.Hourly(c.offering); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", c.offering, got, c.want)
		}
	}
}
