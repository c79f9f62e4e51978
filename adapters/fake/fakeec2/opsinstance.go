package fakeec2

import (
	"encoding/base64"
)

func opRunInstances(c *Cloud, q *query) (any, error) {
	in, err := q.runInput()
	if err != nil {
		return nil, err
	}
	res, err := c.RunInstances(in)
	return c.reservationXML(res), err
}

func opDescribeInstances(c *Cloud, q *query) (any, error) {
	in := DescribeInstancesInput{
		InstanceIDs: q.list("InstanceId"), Filters: q.filters(), MaxResults: q.number("MaxResults"),
		NextToken: q.text("NextToken"), DryRun: q.flag("DryRun", false),
	}
	if q.err != nil {
		return nil, q.err
	}
	out, err := c.DescribeInstances(in)
	return struct {
		Reservations set[reservationXML] `xml:"reservationSet"`
		NextToken    string              `xml:"nextToken,omitempty"`
	}{setOf(out.Reservations, c.reservationXML), out.NextToken}, err
}

func opTerminateInstances(c *Cloud, q *query) (any, error) {
	ids, dry := q.list("InstanceId"), q.flag("DryRun", false)
	if q.err != nil {
		return nil, q.err
	}
	changes, err := c.TerminateInstances(ids, dry)
	type change struct {
		ID       string   `xml:"instanceId"`
		Current  stateXML `xml:"currentState"`
		Previous stateXML `xml:"previousState"`
	}
	return struct {
		Instances set[change] `xml:"instancesSet"`
	}{setOf(changes, func(s StateChange) change {
		return change{s.InstanceID, stateToXML(s.Current), stateToXML(s.Previous)}
	})}, err
}

func opDescribeInstanceStatus(c *Cloud, q *query) (any, error) {
	in := DescribeInstanceStatusInput{
		InstanceIDs: q.list("InstanceId"), Filters: q.filters(), MaxResults: q.number("MaxResults"), NextToken: q.text("NextToken"),
		IncludeAll: q.flag("IncludeAllInstances", false), DryRun: q.flag("DryRun", false),
	}
	if q.err != nil {
		return nil, q.err
	}
	list, next, err := c.DescribeInstanceStatus(in)
	type detail struct {
		Name   string `xml:"name"`
		Status string `xml:"status"`
	}
	type summary struct {
		Status  string      `xml:"status"`
		Details set[detail] `xml:"details"`
	}
	type status struct {
		ID       string   `xml:"instanceId"`
		Zone     string   `xml:"availabilityZone"`
		State    stateXML `xml:"instanceState"`
		System   summary  `xml:"systemStatus"`
		Instance summary  `xml:"instanceStatus"`
	}
	return struct {
		Set       set[status] `xml:"instanceStatusSet"`
		NextToken string      `xml:"nextToken,omitempty"`
	}{setOf(list, func(s InstanceStatus) status {
		sum := summary{Status: s.Status}
		if check := map[string]string{"ok": "passed", "impaired": "failed", "initializing": "initializing"}[s.Status]; check != "" {
			sum.Details.Item = []detail{{"reachability", check}}
		}
		return status{s.InstanceID, s.Zone, stateToXML(s.State), sum, sum}
	}), next}, err
}

func opGetConsoleOutput(c *Cloud, q *query) (any, error) {
	id, latest, dry := q.text("InstanceId"), q.flag("Latest", false), q.flag("DryRun", false)
	if q.err != nil {
		return nil, q.err
	}
	text, at, err := c.GetConsoleOutput(id, latest, dry)
	return struct {
		ID     string `xml:"instanceId"`
		At     string `xml:"timestamp"`
		Output string `xml:"output,omitempty"`
	}{id, stamp(at), base64.StdEncoding.EncodeToString([]byte(text))}, err
}

func opModifyInstanceAttribute(c *Cloud, q *query) (any, error) {
	const attribute = "DisableApiTermination.Value"
	id, on, dry := q.text("InstanceId"), q.flag(attribute, false), q.flag("DryRun", false)
	if q.err != nil {
		return nil, q.err
	}
	if q.text(attribute) == "" {
		return nil, errorf("Unsupported", "This fake region can only change the attribute disableApiTermination.")
	}
	return returned{true}, c.SetProtection(id, on, dry)
}

// returned is the whole answer of actions that have nothing to tell.
type returned struct {
	Return bool `xml:"return"`
}

func opCreateTags(c *Cloud, q *query) (any, error) {
	ids, tags, dry := q.list("ResourceId"), q.tags("Tag"), q.flag("DryRun", false)
	if q.err != nil {
		return nil, q.err
	}
	return returned{true}, c.CreateTags(ids, tags, dry)
}

func opDeleteTags(c *Cloud, q *query) (any, error) {
	ids, tags, dry := q.list("ResourceId"), q.tags("Tag"), q.flag("DryRun", false)
	if q.err != nil {
		return nil, q.err
	}
	return returned{true}, c.DeleteTags(ids, tags, dry)
}

func opDescribeTags(c *Cloud, q *query) (any, error) {
	in := DescribeTagsInput{Filters: q.filters(), MaxResults: q.number("MaxResults"), NextToken: q.text("NextToken"), DryRun: q.flag("DryRun", false)}
	if q.err != nil {
		return nil, q.err
	}
	tags, next, err := c.DescribeTags(in)
	type tag struct {
		ID    string `xml:"resourceId"`
		Kind  string `xml:"resourceType"`
		Key   string `xml:"key"`
		Value string `xml:"value"`
	}
	return struct {
		Tags      set[tag] `xml:"tagSet"`
		NextToken string   `xml:"nextToken,omitempty"`
	}{setOf(tags, func(t TagDescription) tag { return tag{t.ResourceID, t.ResourceType, t.Key, t.Value} }), next}, err
}

func opDescribeSpotInstanceRequests(c *Cloud, q *query) (any, error) {
	in := DescribeSpotInstanceRequestsInput{
		IDs: q.list("SpotInstanceRequestId"), Filters: q.filters(), MaxResults: q.number("MaxResults"),
		NextToken: q.text("NextToken"), DryRun: q.flag("DryRun", false),
	}
	if q.err != nil {
		return nil, q.err
	}
	list, next, err := c.DescribeSpotInstanceRequests(in)
	return struct {
		Set       set[spotXML] `xml:"spotInstanceRequestSet"`
		NextToken string       `xml:"nextToken,omitempty"`
	}{setOf(list, c.spotXML), next}, err
}

type spotStatusXML struct {
	Code    string `xml:"code"`
	At      string `xml:"updateTime"`
	Message string `xml:"message"`
}

type launchXML struct {
	ImageID    string        `xml:"imageId"`
	Type       string        `xml:"instanceType"`
	KeyName    string        `xml:"keyName,omitempty"`
	SubnetID   string        `xml:"subnetId"`
	Groups     set[groupXML] `xml:"groupSet"`
	Monitoring struct {
		Enabled bool `xml:"enabled"`
	} `xml:"monitoring"`
}

type spotXML struct {
	ID         string        `xml:"spotInstanceRequestId"`
	Price      string        `xml:"spotPrice"`
	Kind       string        `xml:"type"`
	State      string        `xml:"state"`
	Status     spotStatusXML `xml:"status"`
	Launch     launchXML     `xml:"launchSpecification"`
	InstanceID string        `xml:"instanceId,omitempty"`
	Created    string        `xml:"createTime"`
	Product    string        `xml:"productDescription"`
	Tags       set[tagXML]   `xml:"tagSet"`
	Zone       string        `xml:"launchedAvailabilityZone"`
	Behavior   string        `xml:"instanceInterruptionBehavior"`
}

func (c *Cloud) spotXML(s SpotRequest) spotXML {
	return spotXML{
		ID: s.ID, Price: s.MaxPrice, Kind: "one-time", State: s.State,
		Status: spotStatusXML{s.StatusCode, stamp(s.StatusAt), "Your Spot request is " + s.State + "."},
		Launch: launchXML{ImageID: s.ImageID, Type: s.Type, KeyName: s.KeyName, SubnetID: s.SubnetID, Groups: setOf(s.SecurityGroup, c.groupXML)},

		InstanceID: s.InstanceID, Created: stamp(s.CreatedAt), Product: "Linux/UNIX", Tags: setOf(s.Tags, tagToXML), Zone: s.Zone, Behavior: "terminate",
	}
}

func opCancelSpotInstanceRequests(c *Cloud, q *query) (any, error) {
	ids, dry := q.list("SpotInstanceRequestId"), q.flag("DryRun", false)
	if q.err != nil {
		return nil, q.err
	}
	list, err := c.CancelSpotInstanceRequests(ids, dry)
	type ended struct {
		ID    string `xml:"spotInstanceRequestId"`
		State string `xml:"state"`
	}
	return struct {
		Set set[ended] `xml:"spotInstanceRequestSet"`
	}{setOf(list, func(s SpotRequest) ended { return ended{s.ID, s.State} })}, err
}
