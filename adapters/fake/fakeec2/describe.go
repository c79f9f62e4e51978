package fakeec2

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// DescribeInstancesInput selects instances, by id or by filter. MaxResults is
// instances per page, 5 to 1000, 0 for everything at once.
type DescribeInstancesInput struct {
	InstanceIDs []string
	Filters     []Filter
	MaxResults  int
	NextToken   string
	DryRun      bool
}

// DescribeInstancesOutput is one page. NextToken is empty on the last one.
type DescribeInstancesOutput struct {
	Reservations []Reservation
	NextToken    string
}

// instanceFilters are the filter names that DescribeInstances knows.
func instanceFilters() []string {
	return []string{
		"architecture", "availability-zone", "client-token", "iam-instance-profile.arn", "image-id", "instance-id", "instance-lifecycle",
		"instance-state-code", "instance-state-name", "instance-type", "instance.group-id", "ip-address", "key-name", "launch-time",
		"metadata-options.http-tokens", "network-interface.network-interface-id", "owner-id", "private-ip-address", "reservation-id",
		"spot-instance-request-id", "state-reason-code", "subnet-id", "tag-key", "tag-value", "tag:", "vpc-id",
	}
}

// DescribeInstances lists instances in launch order, as far as they are visible
// yet and in the states that are known yet.
func (c *Cloud) DescribeInstances(in DescribeInstancesInput) (DescribeInstancesOutput, error) {
	gate := call{
		action: "DescribeInstances", page: pageOf(in.NextToken), dryRun: in.DryRun,
		broad: len(in.InstanceIDs) == 0 && len(in.Filters) == 0 && in.MaxResults == 0,
	}
	return serve(c, gate, func(f Fault) (DescribeInstancesOutput, error) {
		if len(in.InstanceIDs) > 0 && in.MaxResults > 0 {
			return DescribeInstancesOutput{}, errorf("InvalidParameterCombination",
				"The parameter instancesSet cannot be used with the parameter maxResults")
		}
		if err := checkPageSize(in.MaxResults, 5, 1000); err != nil {
			return DescribeInstancesOutput{}, err
		}
		if err := checkFilters(in.Filters, instanceFilters()); err != nil {
			return DescribeInstancesOutput{}, err
		}
		c.forget()
		found, err := c.findShown(in.InstanceIDs)
		if err != nil {
			return DescribeInstancesOutput{}, err
		}
		found = slices.DeleteFunc(found, func(i seen) bool {
			return !matches(in.Filters, func(name string) []string { return c.attribute(i.Instance, name) })
		})
		if f.Kind == FaultOmit {
			found = c.omit(found, f.Fraction)
		}
		return pageOfInstances(found, in.MaxResults, in.NextToken)
	})
}

// seen is an instance as shown, with its launch order.
type seen struct {
	Instance
	seq int
}

// pageOfInstances cuts a page after the instance that the last page ended with,
// so that instances which go or come in between shift nothing.
func pageOfInstances(found []seen, size int, token string) (DescribeInstancesOutput, error) {
	page := 1
	if token != "" {
		last, number, err := readPageToken(token)
		if err != nil {
			return DescribeInstancesOutput{}, err
		}
		page = number
		found = slices.DeleteFunc(found, func(i seen) bool { return i.seq <= last })
	}
	var out DescribeInstancesOutput
	if size > 0 && len(found) > size {
		found = found[:size]
		out.NextToken = pageToken(found[size-1].seq, page+1)
	}
	for _, i := range found {
		n := len(out.Reservations)
		if n == 0 || out.Reservations[n-1].ID != i.ReservationID {
			out.Reservations = append(out.Reservations, Reservation{ID: i.ReservationID})
			n++
		}
		out.Reservations[n-1].Instances = append(out.Reservations[n-1].Instances, i.Instance)
	}
	return out, nil
}

// findShown lists the visible instances with the given ids, all of them without
// ids. One id that is not visible fails the whole call.
func (c *Cloud) findShown(ids []string) ([]seen, error) {
	if err := checkInstanceIDs(ids); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		var found []seen
		for _, i := range c.instances {
			if view, ok := c.shown(i); ok {
				found = append(found, seen{view, i.seq})
			}
		}
		return found, nil
	}
	var found []seen
	var missing []string
	for _, id := range unique(ids) {
		i, ok := c.byID[id]
		if ok {
			var view Instance
			if view, ok = c.shown(i); ok {
				found = append(found, seen{view, i.seq})
			}
		}
		if !ok {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		return nil, errNotFound(missing)
	}
	slices.SortFunc(found, func(a, b seen) int { return a.seq - b.seq })
	return found, nil
}

func errNotFound(ids []string) *APIError {
	if len(ids) == 1 {
		return errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", ids[0])
	}
	return errorf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(ids, ", "))
}

func unique(ids []string) []string {
	list := slices.Clone(ids)
	slices.Sort(list)
	return slices.Compact(list)
}

func checkInstanceIDs(ids []string) error {
	for _, id := range ids {
		if !wellFormed(id, "i-") {
			return errorf("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
	}
	return nil
}

// wellFormed tells whether an id is its prefix with 8 or 17 hexadecimal digits.
func wellFormed(id, prefix string) bool {
	digits, ok := strings.CutPrefix(id, prefix)
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

func checkPageSize(size, least, most int) error {
	if size != 0 && (size < least || size > most) {
		return errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", size, least, most)
	}
	return nil
}

// omit leaves out a drawn part of a listing; fraction 0 leaves out all of it.
func (c *Cloud) omit(found []seen, fraction float64) []seen {
	if fraction == 0 {
		return nil
	}
	return slices.DeleteFunc(found, func(seen) bool { return c.rng.Float64() < fraction })
}

// attribute gives the values that an instance has for a filter name.
func (c *Cloud) attribute(i Instance, name string) []string {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		return tagValues(i.Tags, key)
	}
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	switch name {
	case "tag-key", "tag-value":
		return tagParts(i.Tags, name)
	case "instance-id":
		return one(i.ID)
	case "instance-type":
		return one(i.Type)
	case "instance-state-name":
		return one(string(i.State))
	case "instance-state-code":
		return one(strconv.Itoa(i.State.Code()))
	case "state-reason-code":
		return one(i.StateReason.Code)
	default:
		return c.launchAttribute(i, name, one)
	}
}

// launchAttribute is the part of attribute about how it was launched.
func (c *Cloud) launchAttribute(i Instance, name string, one func(string) []string) []string {
	switch name {
	case "client-token":
		return one(i.ClientToken)
	case "instance-lifecycle":
		if i.Market == Spot {
			return one("spot")
		}
		return nil
	case "spot-instance-request-id":
		return one(i.SpotRequestID)
	case "reservation-id":
		return one(i.ReservationID)
	case "launch-time":
		return one(stamp(i.LaunchTime))
	case "key-name":
		return one(i.KeyName)
	case "iam-instance-profile.arn":
		return one(i.IAMProfileARN)
	case "metadata-options.http-tokens":
		return one(i.Metadata.HTTPTokens)
	default:
		return c.placeAttribute(i, name, one)
	}
}

// placeAttribute is the part of attribute about where and with what it runs.
func (c *Cloud) placeAttribute(i Instance, name string, one func(string) []string) []string {
	switch name {
	case "availability-zone":
		return one(i.Zone)
	case "subnet-id":
		return one(i.SubnetID)
	case "vpc-id":
		return one(i.VPCID)
	case "image-id":
		return one(i.ImageID)
	case "architecture":
		return one(i.Architecture)
	case "private-ip-address":
		return one(i.PrivateIP)
	case "ip-address":
		return one(i.PublicIP)
	case "instance.group-id":
		return i.SecurityGroupIDs
	case "network-interface.network-interface-id":
		return one(i.NetworkInterfaceID)
	case "owner-id":
		return one(c.cat.AccountID)
	default:
		return nil
	}
}

func tagValues(tags []Tag, key string) []string {
	for _, t := range tags {
		if t.Key == key {
			return []string{t.Value}
		}
	}
	return nil
}

func tagParts(tags []Tag, name string) []string {
	var list []string
	for _, t := range tags {
		if name == "tag-key" {
			list = append(list, t.Key)
		} else {
			list = append(list, t.Value)
		}
	}
	return list
}

// DescribeInstanceStatusInput selects instances, at most 100 by id.
type DescribeInstanceStatusInput struct {
	InstanceIDs []string
	Filters     []Filter
	MaxResults  int
	NextToken   string
	IncludeAll  bool // also those that are not running
	DryRun      bool
}

// InstanceStatus is the health of an instance. Status is ok, initializing,
// impaired or not-applicable.
type InstanceStatus struct {
	InstanceID string
	Zone       string
	State      State
	Status     string
}

// DescribeInstanceStatus lists the status checks of instances.
func (c *Cloud) DescribeInstanceStatus(in DescribeInstanceStatusInput) ([]InstanceStatus, string, error) {
	type page struct {
		list []InstanceStatus
		next string
	}
	gate := call{
		action: "DescribeInstanceStatus", page: pageOf(in.NextToken), dryRun: in.DryRun,
		broad: len(in.InstanceIDs) == 0 && len(in.Filters) == 0 && in.MaxResults == 0,
	}
	out, err := serve(c, gate, func(Fault) (page, error) {
		if len(in.InstanceIDs) > 0 && in.MaxResults > 0 {
			return page{}, errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
		}
		if len(in.InstanceIDs) > 100 {
			return page{}, errorf("InvalidParameterValue", "At most 100 instance ids can be specified, not %d.", len(in.InstanceIDs))
		}
		known := []string{"availability-zone", "instance-state-name", "instance-state-code", "instance-status.status", "system-status.status"}
		if err := checkFilters(in.Filters, known); err != nil {
			return page{}, err
		}
		found, err := c.findShown(in.InstanceIDs)
		if err != nil {
			return page{}, err
		}
		var all []InstanceStatus
		for _, i := range found {
			s := InstanceStatus{InstanceID: i.ID, Zone: i.Zone, State: i.State, Status: c.health(c.byID[i.ID], i.State)}
			if (in.IncludeAll || s.State == Running) && matches(in.Filters, s.attribute) {
				all = append(all, s)
			}
		}
		list, next, err := paginate(all, in.MaxResults, in.NextToken)
		return page{list, next}, err
	})
	return out.list, out.next, err
}

func (c *Cloud) health(i *instance, shown State) string {
	switch {
	case shown != Running:
		return "not-applicable"
	case i.impaired:
		return "impaired"
	case c.now().Before(i.checksOK):
		return "initializing"
	default:
		return "ok"
	}
}

func (s InstanceStatus) attribute(name string) []string {
	switch name {
	case "availability-zone":
		return []string{s.Zone}
	case "instance-state-name":
		return []string{string(s.State)}
	case "instance-state-code":
		return []string{strconv.Itoa(s.State.Code())}
	default:
		return []string{s.Status}
	}
}

// maxConsole is how much console text EC2 keeps, in bytes.
const maxConsole = 64 * 1024

type consoleText struct {
	at   time.Time
	text string
}

// AppendConsole adds text to the serial console of an instance.
func (c *Cloud) AppendConsole(id, text string) {
	c.mu.Lock()
	defer c.unlock()
	if i, ok := c.byID[id]; ok {
		i.console = append(i.console, consoleText{c.now(), text})
	}
}

// GetConsoleOutput is the last 64 KiB of an instance's console, and when it was
// written. latest skips the lag of the region.
func (c *Cloud) GetConsoleOutput(id string, latest, dryRun bool) (string, time.Time, error) {
	type console struct {
		text string
		at   time.Time
	}
	out, err := serve(c, call{action: "GetConsoleOutput"}, func(Fault) (console, error) {
		if err := c.mayTouch("GetConsoleOutput", id); err != nil {
			return console{}, err
		}
		if _, err := c.findShown([]string{id}); err != nil {
			return console{}, err
		}
		if dryRun {
			return console{}, errDryRun()
		}
		i := c.byID[id]
		var b strings.Builder
		at := i.LaunchTime
		for _, line := range i.console {
			if latest || c.now().Sub(line.at) >= c.timing.ConsoleLag {
				b.WriteString(line.text)
				at = line.at
			}
		}
		text := b.String()
		return console{text[max(0, len(text)-maxConsole):], at}, nil
	})
	return out.text, out.at, err
}
