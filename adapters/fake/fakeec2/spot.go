package fakeec2

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SpotRequest is a one-time Spot request as DescribeSpotInstanceRequests shows
// it. State is active, closed, failed or [SpotCancelled].
type SpotRequest struct {
	ID            string    `json:"id"`
	InstanceID    string    `json:"instance_id"`
	State         string    `json:"state"`
	StatusCode    string    `json:"status_code"`
	StatusAt      time.Time `json:"status_at"`
	CreatedAt     time.Time `json:"created_at"`
	MaxPrice      string    `json:"max_price"`
	Zone          string    `json:"zone"`
	Type          string    `json:"type"`
	ImageID       string    `json:"image_id"`
	SubnetID      string    `json:"subnet_id"`
	SecurityGroup []string  `json:"security_groups,omitempty"`
	KeyName       string    `json:"key_name,omitempty"`
	Tags          []Tag     `json:"tags,omitempty"`
}

// SpotCancelled is the state of a request that was called off.
const SpotCancelled = "cancelled" //nolint:misspell // EC2 spells it so

type spotRequest struct {
	SpotRequest
	visible time.Time
}

// openSpot makes the request that a spot instance was fulfilled from.
func (c *Cloud) openSpot(l *launch, i *instance) {
	price := l.Spot.MaxPrice
	if price == "" {
		price = fmt.Sprintf("%.6f", l.typ.OnDemandUSD)
	}
	s := &spotRequest{
		SpotRequest: SpotRequest{
			ID: fmt.Sprintf("sir-%08x", c.rng.Uint32()), InstanceID: i.ID, State: "active", StatusCode: "fulfilled",
			StatusAt: i.LaunchTime, CreatedAt: i.LaunchTime, MaxPrice: price, Zone: i.Zone, Type: i.Type,
			ImageID: i.ImageID, SubnetID: i.SubnetID, SecurityGroup: i.SecurityGroupIDs, KeyName: i.KeyName,
		},
		visible: i.visible,
	}
	i.spot, i.SpotRequestID = s, s.ID
	c.spots = append(c.spots, s)
	c.resources[s.ID] = &resource{id: s.ID, kind: "spot-instances-request", tags: l.tagsFor("spot-instances-request")}
}

// closeSpot ends the request of an instance that ends.
func (c *Cloud) closeSpot(i *instance, status, state string) {
	if i.spot == nil || status == "" {
		return
	}
	i.spot.StatusCode, i.spot.StatusAt = status, c.now().UTC()
	if i.spot.State == "active" {
		i.spot.State = state
	}
}

// DescribeSpotInstanceRequestsInput selects spot requests.
type DescribeSpotInstanceRequestsInput struct {
	IDs        []string
	Filters    []Filter
	MaxResults int
	NextToken  string
	DryRun     bool
}

// DescribeSpotInstanceRequests lists spot requests, oldest first.
func (c *Cloud) DescribeSpotInstanceRequests(in DescribeSpotInstanceRequestsInput) ([]SpotRequest, string, error) {
	type page struct {
		list []SpotRequest
		next string
	}
	gate := call{
		action: "DescribeSpotInstanceRequests", page: pageOf(in.NextToken), dryRun: in.DryRun,
		broad: len(in.IDs) == 0 && len(in.Filters) == 0 && in.MaxResults == 0,
	}
	out, err := serve(c, gate, func(Fault) (page, error) {
		known := []string{
			"instance-id", "launched-availability-zone", "spot-instance-request-id", "state", "status-code", "tag-key", "tag-value", "tag:", "type",
			"launch.instance-type", "launch.image-id",
		}
		if err := checkFilters(in.Filters, known); err != nil {
			return page{}, err
		}
		if len(in.IDs) > 0 && in.MaxResults > 0 {
			return page{}, errorf("InvalidParameterCombination", "The parameter spotInstanceRequestIdSet cannot be used with the parameter maxResults")
		}
		c.forget()
		if _, err := c.findSpots(in.IDs); err != nil {
			return page{}, err
		}
		var all []SpotRequest
		for _, s := range c.spots {
			view := s.SpotRequest
			view.Tags = slices.Clone(c.resources[s.ID].tags)
			wanted := len(in.IDs) == 0 || slices.Contains(in.IDs, s.ID)
			if wanted && !c.now().Before(s.visible) && matches(in.Filters, view.attribute) {
				all = append(all, view)
			}
		}
		list, next, err := paginate(all, in.MaxResults, in.NextToken)
		return page{list, next}, err
	})
	return out.list, out.next, err
}

func (s SpotRequest) attribute(name string) []string {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		return tagValues(s.Tags, key)
	}
	switch name {
	case "tag-key", "tag-value":
		return tagParts(s.Tags, name)
	case "instance-id":
		return []string{s.InstanceID}
	case "launched-availability-zone":
		return []string{s.Zone}
	case "spot-instance-request-id":
		return []string{s.ID}
	case "state":
		return []string{s.State}
	case "status-code":
		return []string{s.StatusCode}
	case "launch.instance-type":
		return []string{s.Type}
	case "launch.image-id":
		return []string{s.ImageID}
	default: // type
		return []string{"one-time"}
	}
}

// findSpots finds spot requests by id, all or none.
func (c *Cloud) findSpots(ids []string) ([]*spotRequest, error) {
	var found []*spotRequest
	for _, id := range ids {
		if !wellFormed(id, "sir-") {
			return nil, errorf("InvalidSpotInstanceRequestID.Malformed", "Invalid id: \"%s\"", id)
		}
		at := slices.IndexFunc(c.spots, func(s *spotRequest) bool { return s.ID == id && !c.now().Before(s.visible) })
		if at < 0 {
			return nil, errorf("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
		}
		found = append(found, c.spots[at])
	}
	return found, nil
}

// CancelSpotInstanceRequests cancels spot requests. The instances go on.
func (c *Cloud) CancelSpotInstanceRequests(ids []string, dryRun bool) ([]SpotRequest, error) {
	return serve(c, call{action: "CancelSpotInstanceRequests", dryRun: dryRun}, func(Fault) ([]SpotRequest, error) {
		if len(ids) == 0 {
			return nil, errorf("MissingParameter", "The request must contain the parameter SpotInstanceRequestIds")
		}
		found, err := c.findSpots(ids)
		if err != nil {
			return nil, err
		}
		var list []SpotRequest
		for _, s := range found {
			if s.State == "active" {
				s.State, s.StatusCode, s.StatusAt = SpotCancelled, "request-canceled-and-instance-running", c.now().UTC()
			}
			list = append(list, s.SpotRequest)
		}
		return list, nil
	})
}

// InterruptSpot gives a running spot instance its notice and takes it away when
// that has passed. Zero notice means the region's usual one, a negative one
// takes it away without any.
func (c *Cloud) InterruptSpot(id string, notice time.Duration) error {
	if notice == 0 {
		notice = c.timing.SpotNotice
	}
	var refused error
	err := c.onRunning(id, "interrupt", func(i *instance) {
		if i.Market != Spot {
			refused = fmt.Errorf("interrupt instance %s: it is %s, only spot instances are interrupted", id, i.Market)
			return
		}
		// With interruption behavior terminate EC2 closes the request when it gives
		// the notice, not when the instance ends, and never marks it for termination.
		const status = "instance-terminated-no-capacity"
		end := func() { c.shutDown(i, reasonSpot(), reasonSpot().Code, status) }
		if notice < 0 {
			end()
			return
		}
		i.notice.Action, i.notice.At = "terminate", c.now().Add(notice).UTC()
		c.closeSpot(i, status, "closed")
		c.after(i, notice, end)
	})
	if err != nil {
		return err
	}
	return refused
}

// RecommendRebalance tells a running instance that it is at elevated risk.
func (c *Cloud) RecommendRebalance(id string) error {
	return c.onRunning(id, "recommend rebalance of", func(i *instance) { i.notice.RebalanceAt = c.now().UTC() })
}

// Notice is what the metadata service of an instance says about its end.
func (c *Cloud) Notice(id string) (Notice, bool) {
	c.mu.Lock()
	defer c.unlock()
	i, ok := c.byID[id]
	if !ok {
		return Notice{}, false
	}
	return i.notice, true
}
