package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

func (s *script) outage(d *datadriven.TestData) (string, error) {
	server, over := "clearml", false
	if err := args(d, map[string]any{"of": &server, "over": &over}); err != nil {
		return "", err
	}
	return "", s.world.Outage(server, !over)
}

// latency is how long a message takes in one direction, for everybody.
func (s *script) latency(d *datadriven.TestData) (string, error) {
	of := 20 * time.Millisecond
	if err := args(d, map[string]any{"of": &of}); err != nil {
		return "", err
	}
	s.world.SetLatency(of)
	return "", nil
}

// lose loses the next requests to the ledger and the bus whose names begin with a text.
func (s *script) lose(d *datadriven.TestData) (string, error) {
	request, times := "", 1
	if err := args(d, map[string]any{"request": &request, "times": &times}); err != nil {
		return "", err
	}
	s.world.Lose(request, times)
	return "", nil
}

// rival lets another ebb act for the same autoscaler.
func (s *script) rival(d *datadriven.TestData) (string, error) {
	queue, older, lives := "default", false, 10*time.Minute
	if err := args(d, map[string]any{"queue": &queue, "older": &older, "for": &lives}); err != nil {
		return "", err
	}
	return "", s.world.Rival(queue, older, lives)
}

// delay has the next request to the ledger and the bus arrive later.
func (s *script) delay(d *datadriven.TestData) (string, error) {
	request, by := "", time.Duration(0)
	if err := args(d, map[string]any{"request": &request, "by": &by}); err != nil {
		return "", err
	}
	s.world.Delay(request, by)
	return "", nil
}

// clearml makes calls to ClearML go wrong, of everybody who makes them.
func (s *script) clearml(d *datadriven.TestData) (string, error) {
	var f fakeclearml.Fault
	all := false
	if err := args(d, map[string]any{
		"endpoint": &f.Endpoint, "status": &f.Status, "subcode": &f.Subcode, "message": &f.Message, "times": &f.Times, "skip": &f.Skip,
		"drop": &f.Drop, "empty": &f.EmptyList, "clear": &all, "done": &f.Execute, "body": &f.RawBody, "cut": &f.Truncate,
	}); err != nil {
		return "", err
	}
	if all {
		s.world.ClearML().ClearFaults()
		return "", nil
	}
	_, err := s.world.ClearML().AddFault(f)
	return "", err
}

// report is a status report that nobody expects: of a worker of the n-th
// instance, with the n-th task, or under another name.
func (s *script) report(d *datadriven.TestData) (string, error) {
	number, task, kind := 1, 0, "g4dn.xlarge"
	if err := args(d, map[string]any{"instance": &number, "task": &task, "type": &kind}); err != nil {
		return "", err
	}
	id, err := s.numbered(number)
	if err != nil {
		return "", err
	}
	found, _ := s.world.Cloud().Instance(id)
	report := fakeclearml.Report{Worker: fmt.Sprintf("ebb:%s:%s:%s", found.Tag("ebb:resource"), kind, id)}
	if ids := s.world.ClearML().TaskIDs(); task > 0 && task <= len(ids) {
		report.Task = ids[task-1]
	}
	return "", s.world.ClearML().ReportStatus(report)
}

// zombie puts a worker on the list that has no instance: one that died.
func (s *script) zombie(d *datadriven.TestData) (string, error) {
	resource := "A"
	if err := args(d, map[string]any{"resource": &resource}); err != nil {
		return "", err
	}
	return "", s.world.ClearML().ReportStatus(fakeclearml.Report{
		Worker: "ebb:" + resource + ":g4dn.xlarge:i-0ffffffffffffffff",
	})
}

// queues shows whether agents may pull from the queues, what waits there, and
// which keys are written on them.
func (s *script) queues(*datadriven.TestData) (string, error) {
	s.name()
	var b strings.Builder
	for _, q := range s.world.ClearML().Queues() {
		state := "open"
		if slices.Contains(q.Tags, messages.BarrierTag) {
			state = "closed"
		}
		fmt.Fprintf(&b, "%s: %s, %d waiting", q.Name, state, len(q.Entries))
		var keys []string
		for key := range q.Metadata {
			keys = append(keys, s.readable(key))
		}
		slices.Sort(keys)
		for _, key := range keys {
			fmt.Fprintf(&b, ", %s", key)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// launches are the requests that EC2 carried out, by their client tokens.
func (s *script) launches(*datadriven.TestData) (string, error) {
	var tokens []string
	counts, offerings := map[string]int{}, map[string]string{}
	for _, l := range s.world.Cloud().Ledger().Launches {
		if counts[l.ClientToken] == 0 {
			tokens = append(tokens, l.ClientToken)
			offerings[l.ClientToken] = fmt.Sprintf("%s %s in %s", l.Market, l.Type, l.Zone)
		}
		counts[l.ClientToken]++
	}
	var b strings.Builder
	for n, token := range tokens {
		fmt.Fprintf(&b, "token %d: %d × %s\n", n+1, counts[token], offerings[token])
	}
	return b.String(), nil
}

func (s *script) fault(d *datadriven.TestData) (string, error) {
	var f fakeec2.Fault
	var kind string
	f.Times = 1
	part, all := 0, false
	if err := args(d, map[string]any{
		"action": &f.Action, "kind": &kind, "code": &f.Code, "times": &f.Times, "skip": &f.Skip, "page": &f.Page, "part": &part, "clear": &all,
	}); err != nil {
		return "", err
	}
	if all {
		s.world.Cloud().ClearFaults()
		return "", nil
	}
	f.Kind, f.Fraction = fakeec2.FaultKind(kind), float64(part)/100
	return "", s.world.Cloud().Inject(f)
}

// capacity bounds what EC2 has of a type in a zone.
func (s *script) capacity(d *datadriven.TestData) (string, error) {
	instanceType, zone, market, n := "g4dn.xlarge", "", "on-demand", 0
	if err := args(d, map[string]any{"type": &instanceType, "zone": &zone, "market": &market, "n": &n}); err != nil {
		return "", err
	}
	for _, z := range s.world.Cloud().Catalog().Zones {
		if zone == "" || zone == z {
			s.world.Cloud().SetCapacity(fakeec2.Offering{Type: instanceType, Zone: z, Market: fakeec2.Market(market)}, n)
		}
	}
	return "", nil
}

// quota bounds the virtual CPUs of the instances of a family.
func (s *script) quota(d *datadriven.TestData) (string, error) {
	instanceType, market, n := "g4dn.xlarge", "on-demand", -1
	if err := args(d, map[string]any{"type": &instanceType, "market": &market, "vcpus": &n}); err != nil {
		return "", err
	}
	s.world.Cloud().SetQuota(fakeec2.Family(instanceType), fakeec2.Market(market), n)
	return "", nil
}

func (s *script) deny(d *datadriven.TestData) (string, error) {
	var actions []string
	for _, a := range d.CmdArgs {
		actions = append(actions, a.Key)
	}
	s.world.Cloud().SetDenied(actions...)
	return "", nil
}

func (s *script) throttle(d *datadriven.TestData) (string, error) {
	on := true
	if err := args(d, map[string]any{"on": &on}); err != nil {
		return "", err
	}
	s.world.Cloud().SetThrottle(on)
	return "", nil
}

// numbered is the id of the n-th instance that EC2 launched.
func (s *script) numbered(n int) (string, error) {
	launches := s.world.Cloud().Ledger().Launches
	if n < 1 || n > len(launches) {
		return "", fmt.Errorf("there is no instance i%d, EC2 launched %d", n, len(launches))
	}
	return launches[n-1].InstanceID, nil
}

// protect turns the termination protection of an instance on, or off.
func (s *script) protect(d *datadriven.TestData) (string, error) {
	number, over := 1, false
	if err := args(d, map[string]any{"instance": &number, "over": &over}); err != nil {
		return "", err
	}
	id, err := s.numbered(number)
	if err != nil {
		return "", err
	}
	return "", s.world.Cloud().SetProtection(id, !over, false)
}

// interrupt takes spot instances back, the first that run.
func (s *script) interrupt(d *datadriven.TestData) (string, error) {
	left := 1
	if err := args(d, map[string]any{"n": &left}); err != nil {
		return "", err
	}
	for _, i := range s.world.Cloud().Instances() {
		if left == 0 {
			break
		}
		if i.Market != fakeec2.Spot || i.State != fakeec2.Running {
			continue
		}
		if err := s.world.Cloud().InterruptSpot(i.ID, 0); err != nil {
			return "", err
		}
		left--
	}
	if left > 0 {
		return "", fmt.Errorf("%d spot instances too few run", left)
	}
	return "", nil
}

// rebalance recommends to leave a spot instance.
func (s *script) rebalance(d *datadriven.TestData) (string, error) {
	number := 1
	if err := args(d, map[string]any{"instance": &number}); err != nil {
		return "", err
	}
	id, err := s.numbered(number)
	if err != nil {
		return "", err
	}
	return "", s.world.Cloud().RecommendRebalance(id)
}

// end lets an instance end all of a sudden, as broken hardware does, or power itself off.
func (s *script) end(d *datadriven.TestData) (string, error) {
	number, itself := 1, false
	if err := args(d, map[string]any{"instance": &number, "itself": &itself}); err != nil {
		return "", err
	}
	id, err := s.numbered(number)
	if err != nil {
		return "", err
	}
	if itself {
		return "", s.world.Cloud().GuestShutdown(id)
	}
	return "", s.world.Cloud().Kill(id)
}

// vanish freezes agents and supervisors, of the first instances that have one.
func (s *script) vanish(d *datadriven.TestData) (string, error) {
	resource, n := "A", 1
	if err := args(d, map[string]any{"resource": &resource, "n": &n}); err != nil {
		return "", err
	}
	for range n {
		if err := s.world.Vanish(resource); err != nil {
			return "", err
		}
	}
	return "", nil
}
