package simulation_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/cmd/internal/simulation"
	"github.com/ebbscale/ebb/messages"
)

// TestScenarios plays the files of testdata. Each begins a world and lets things
// happen to it; what the autoscaler says and does about that is written below
// each step. `go test ./cmd/internal/simulation -run TestScenarios -rewrite`
// writes the files anew. testdata/README.md explains the steps.
func TestScenarios(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		t.Helper()
		s := &script{t: t, names: map[string]string{}}
		defer func() {
			if s.world != nil {
				s.world.Close()
			}
		}()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			answer, err := s.step(d)
			if err != nil {
				d.Fatalf(t, "%s: %v", d.Cmd, err)
			}
			return answer
		})
		if s.world != nil {
			for _, breach := range s.world.Breaches() {
				t.Errorf("%s: %s", path, breach)
			}
		}
	})
}

// script plays one file.
type script struct {
	t     *testing.T
	world *simulation.World
	start time.Time
	// options are those that the world began with.
	options simulation.Options
	// names of ids: i1 for the first instance, t1 for the first task told of.
	names      map[string]string
	tasksNamed int
}

func (s *script) step(d *datadriven.TestData) (string, error) {
	if d.Cmd == "world" {
		return "", s.begin(d)
	}
	if s.world == nil {
		return "", fmt.Errorf("the first step is not world")
	}
	step, known := s.steps()[d.Cmd]
	if !known {
		return "", fmt.Errorf("there is no such step")
	}
	answer, err := step(d)
	if answer == "" && err == nil {
		answer = "ok\n"
	}
	return answer, err
}

func (s *script) steps() map[string]func(*datadriven.TestData) (string, error) {
	return map[string]func(*datadriven.TestData) (string, error){
		"enqueue": s.enqueue, "abort": s.abort, "advance": s.advance, "converge": s.converge,
		"events": s.events, "fleet": s.fleet, "tasks": s.tasks, "calls": s.calls, "launches": s.launches, "queues": s.queues,
		"outage": s.outage, "latency": s.latency, "empty": s.empty, "clearml": s.clearml, "report": s.report, "zombie": s.zombie,
		"fault": s.fault, "capacity": s.capacity, "quota": s.quota, "deny": s.deny, "throttle": s.throttle, "protect": s.protect,
		"interrupt": s.interrupt, "rebalance": s.rebalance, "end": s.end, "vanish": s.vanish,
		"crash": s.crash, "kill": s.kill, "restart": s.restart, "start": s.startProcess, "stop": s.stop, "reload": s.reload,
		"pause": s.pause, "resume": s.resume, "cut": s.cut, "clock": s.clock, "lose": s.lose, "delay": s.delay, "rival": s.rival, "order": s.order,
		"rename": s.rename, "delete": s.remove,
	}
}

// arg reads one argument into the value; it stays as it is without one.
func arg[T int | string | bool | time.Duration](d *datadriven.TestData, key string, value *T) error {
	for _, a := range d.CmdArgs {
		if a.Key != key {
			continue
		}
		text := strings.Join(a.Vals, ",")
		var err error
		switch v := any(value).(type) {
		case *int:
			*v, err = strconv.Atoi(text)
		case *string:
			*v = text
		case *bool:
			*v = text == "" || text == "true"
		case *time.Duration:
			*v, err = time.ParseDuration(text)
		}
		if err != nil {
			return fmt.Errorf("read %s=%s: %w", key, text, err)
		}
	}
	return nil
}

// args reads several arguments.
func args(d *datadriven.TestData, into map[string]any) error {
	for _, a := range d.CmdArgs {
		if _, known := into[a.Key]; !known {
			return fmt.Errorf("there is no argument %q", a.Key)
		}
	}
	for key, value := range into {
		var err error
		switch v := value.(type) {
		case *int:
			err = arg(d, key, v)
		case *string:
			err = arg(d, key, v)
		case *bool:
			err = arg(d, key, v)
		case *time.Duration:
			err = arg(d, key, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin makes the world of a file: an argument for itself, a line for each queue
// and each resource type.
func (s *script) begin(d *datadriven.TestData) error {
	options := simulation.Options{
		Region: fakeec2.Timing{
			Pending: fakeec2.Dist{Median: 10 * time.Second}, ShuttingDown: fakeec2.Dist{Median: 30 * time.Second},
			Visible: fakeec2.Dist{Median: time.Second}, Stale: fakeec2.Dist{Median: time.Second},
		},
		InOrder: true, Install: fakeec2.Dist{Median: time.Minute}, Network: fakeec2.Dist{Median: 20 * time.Millisecond},
	}
	seed, visible, wire, agents := 1, time.Second, false, ""
	if err := args(d, map[string]any{
		"processes": &options.Processes, "requeue": &options.Requeue, "unsupervised": &options.Unsupervised, "wire": &wire,
		"polling": &options.Polling, "seed": &seed, "throttle": &options.Throttle, "no-queues": &options.NoQueues,
		"install": &options.Install.Median, "visible": &visible, "agents": &agents, "network": &options.Network.Median,
	}); err != nil {
		return err
	}
	var err error
	if options.AgentFaults, err = readAgents(agents); err != nil {
		return err
	}
	options.Region.Visible.Median, options.Wire = visible, wire
	for line := range strings.Lines(d.Input) {
		kind, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch kind {
		case "queue":
			name, served, _ := strings.Cut(text, ": ")
			options.Queues = append(options.Queues, simulation.Queue{Name: name, Resources: strings.Fields(served)})
		case "resource":
			r, err := readResource(text)
			if err != nil {
				return err
			}
			options.Resources = append(options.Resources, r)
		default:
			return fmt.Errorf("line %q begins neither with queue nor with resource", line)
		}
	}
	world, err := simulation.New(uint64(seed), options)
	if err != nil {
		return err
	}
	s.world, s.start, s.options = world, world.Now(), options
	return nil
}

// readAgents reads what goes wrong with agents: a kind of fault, the share of
// them that it befalls in percent, and after what time, such as dies_idle:50:2m.
func readAgents(text string) ([]fake.Share, error) {
	if text == "" {
		return nil, nil
	}
	fields := strings.Split(text, ":")
	share := fake.Share{Fault: fakeagent.Fault{Kind: fakeagent.FaultKind(fields[0])}, Probability: 1}
	known := []fakeagent.FaultKind{
		fakeagent.NeverUp, fakeagent.DiesIdle, fakeagent.DiesMidTask, fakeagent.DiesBeforeRun, fakeagent.SupervisorDead, fakeagent.SupervisorSlow,
	}
	if !slices.Contains(known, share.Fault.Kind) {
		return nil, fmt.Errorf("read agents=%s: there is no fault %q of agents; there are %q", text, fields[0], known)
	}
	if len(fields) > 1 {
		percent, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("read share of agents=%s: %w", text, err)
		}
		share.Probability = float64(percent) / 100
	}
	if len(fields) > 2 {
		after, err := time.ParseDuration(fields[2])
		if err != nil {
			return nil, fmt.Errorf("read time of agents=%s: %w", text, err)
		}
		share.Fault.After = after
	}
	return []fake.Share{share}, nil
}

func readResource(text string) (simulation.Resource, error) {
	fields := strings.Fields(text)
	r := simulation.Resource{Name: fields[0]}
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(field, "=")
		var err error
		switch key {
		case "max":
			r.Max, err = strconv.Atoi(value)
		case "idle":
			r.MaxIdle, err = time.ParseDuration(value)
		case "spin-up":
			r.MaxSpinUp, err = time.ParseDuration(value)
		case "lifetime":
			r.MaxLifetime, err = time.ParseDuration(value)
		case "fallback":
			r.Fallback = true
		case "market":
			r.Market = messages.Market(value)
		case "types":
			r.Types = strings.Split(value, ",")
		case "zones":
			r.Zones = strings.Split(value, ",")
		default:
			err = fmt.Errorf("there is no such setting")
		}
		if err != nil {
			return r, fmt.Errorf("read %s of resource %s: %w", field, r.Name, err)
		}
	}
	return r, nil
}

// text puts events into lines: when, what, about what, in words.
func (s *script) text(events []messages.Recorded, kinds string) string {
	s.name()
	var b strings.Builder
	wanted := regexp.MustCompile(`^(` + kinds + `)$`)
	for _, e := range s.ordered(events) {
		if kind := e.Event.Kind(); wanted.MatchString(kind) {
			fmt.Fprintf(&b, "%-7s %-21s %s  %s\n", s.since(e.At), kind, e.Event.About(), eventtext.Words(e.Event))
		}
	}
	return s.readable(b.String())
}

func (s *script) since(at time.Time) time.Duration { return at.Sub(s.start).Truncate(time.Second) }

// ordered puts what happens to instances within the same second, one event after
// the other, into an order that does not depend on who was drawn to speak first.
func (s *script) ordered(events []messages.Recorded) []messages.Recorded {
	events = slices.Clone(events)
	loose := func(e messages.Recorded) bool { return strings.HasPrefix(e.Event.About(), "i-") }
	for from := 0; from < len(events); {
		to := from + 1
		for loose(events[from]) && to < len(events) && loose(events[to]) && s.since(events[to].At) == s.since(events[from].At) {
			to++
		}
		slices.SortStableFunc(events[from:to], func(a, b messages.Recorded) int {
			return cmp.Or(rank(a.Event)-rank(b.Event), s.number(a.Event)-s.number(b.Event))
		})
		from = to
	}
	return events
}

// number is that of the instance that an event is about.
func (s *script) number(e messages.Event) int {
	n, err := strconv.Atoi(strings.TrimPrefix(s.names[e.About()], "i"))
	if err != nil {
		return 0 // of an instance that nobody launched
	}
	return n
}

// rank is where in the life of an instance an event has its place.
func rank(e messages.Event) int {
	return slices.Index([]string{
		"instance.launched", "instance.adopted", "instance.stray", "instance.registered", "instance.busy", "instance.idle",
		"instance.noticed", "instance.draining", "instance.recalled", "instance.kept", "instance.unready", "instance.unended",
		"instance.terminating", "instance.gone",
	}, e.Kind())
}

// name numbers the instances in the order in which EC2 launched them.
func (s *script) name() {
	for n, launch := range s.world.Cloud().Ledger().Launches {
		s.names[launch.InstanceID] = fmt.Sprintf("i%d", n+1)
	}
}

// readable gives ids and times names that people can follow.
func (s *script) readable(text string) string {
	text = regexp.MustCompile(`/subnet-0f[0-9a-f]+`).ReplaceAllString(text, "")
	ids := regexp.MustCompile(`\bi-0[0-9a-f]{16}\b|\b[0-9a-f]{32}\b|\b2026-11-2\dT[0-9:]{8}Z`)
	return ids.ReplaceAllStringFunc(text, func(id string) string {
		if at, err := time.Parse(time.RFC3339, id); err == nil {
			return at.Sub(s.start).String()
		}
		if s.names[id] == "" {
			s.tasksNamed++
			s.names[id] = fmt.Sprintf("t%d", s.tasksNamed)
		}
		return s.names[id]
	})
}
