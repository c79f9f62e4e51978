package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

func (s *script) enqueue(d *datadriven.TestData) (string, error) {
	queue, n, takes, every := "default", 1, 10*time.Minute, time.Duration(0)
	if err := args(d, map[string]any{"queue": &queue, "n": &n, "takes": &takes, "every": &every}); err != nil {
		return "", err
	}
	if every == 0 {
		return "", s.world.Enqueue(queue, n, takes)
	}
	for range n {
		if err := s.world.Enqueue(queue, 1, takes); err != nil {
			return "", err
		}
		s.world.Advance(every)
	}
	return "", nil
}

// clock sets the clock of a process's host.
func (s *script) clock(d *datadriven.TestData) (string, error) {
	off := time.Duration(0)
	seat, err := s.process(d, map[string]any{"off": &off})
	if err == nil {
		s.world.SetClock(seat, off)
	}
	return "", err
}

// usual are the events that are told unless a step asks for others.
const usual = `(instance|observation|autoscaler|task|resource|fleet)\..*|queue\.(created|closed|opened)`

// advance lets time pass and tells the events.
func (s *script) advance(d *datadriven.TestData) (string, error) {
	passes, kinds := time.Minute, usual
	if err := args(d, map[string]any{"by": &passes, "events": &kinds}); err != nil {
		return "", err
	}
	s.world.Advance(passes)
	if answer := s.text(s.world.EventsSince(), kinds); answer != "" {
		return answer, nil
	}
	return "nothing happens\n", nil
}

// events tells those since the last step that told any.
func (s *script) events(d *datadriven.TestData) (string, error) {
	kinds := ".*"
	if err := args(d, map[string]any{"kinds": &kinds}); err != nil {
		return "", err
	}
	return s.text(s.world.EventsSince(), kinds), nil
}

// fleet is what EC2 really has: instances by resource type and state.
func (s *script) fleet(*datadriven.TestData) (string, error) {
	counts := map[string]int{}
	var keys []string
	for _, i := range s.world.Cloud().Instances() {
		key := i.Tag("ebb:resource") + " " + string(i.State)
		if counts[key] == 0 {
			keys = append(keys, key)
		}
		counts[key]++
	}
	slices.Sort(keys)
	if len(keys) == 0 {
		return "empty\n", nil
	}
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, "%s: %d\n", key, counts[key])
	}
	return b.String(), nil
}

// tasks counts the tasks by what became of them.
func (s *script) tasks(*datadriven.TestData) (string, error) {
	counts := map[fakeclearml.Status]int{}
	for _, id := range s.world.ClearML().TaskIDs() {
		counts[s.world.ClearML().TaskStatus(id)]++
	}
	var b strings.Builder
	for _, status := range []fakeclearml.Status{"queued", "in_progress", "completed", "stopped", "failed"} {
		if n := counts[status]; n > 0 {
			fmt.Fprintf(&b, "%s: %d\n", status, n)
		}
	}
	return b.String(), nil
}

// calls tells how often EC2 was called, and how often it refused.
func (s *script) calls(d *datadriven.TestData) (string, error) {
	var action string
	if err := args(d, map[string]any{"action": &action}); err != nil {
		return "", err
	}
	for _, c := range s.world.Cloud().Calls() {
		if c.Action == action {
			return fmt.Sprintf("%s: %d calls, %d errors\n", c.Action, c.Calls, c.Errors), nil
		}
	}
	return action + ": 0 calls\n", nil
}

func (s *script) crash(d *datadriven.TestData) (string, error) {
	kind, after, before := "", 0, false
	if err := args(d, map[string]any{"actor": &kind, "after": &after, "before": &before}); err != nil {
		return "", err
	}
	s.world.Crash(kind, after, before)
	return "", nil
}

// kill ends all processes, or one.
func (s *script) kill(d *datadriven.TestData) (string, error) {
	process := 0
	if err := args(d, map[string]any{"process": &process}); err != nil {
		return "", err
	}
	if process == 0 {
		s.world.Kill()
	} else {
		s.world.KillProcess(process - 1)
	}
	return "", nil
}

func (s *script) restart(d *datadriven.TestData) (string, error) {
	var without string
	if err := args(d, map[string]any{"without": &without}); err != nil {
		return "", err
	}
	if without == "" {
		return "", s.world.Restart()
	}
	return "", s.world.Restart(strings.Split(without, ",")...)
}

func (s *script) stop(d *datadriven.TestData) (string, error) {
	mode, patience := "keep", time.Minute
	if err := args(d, map[string]any{"mode": &mode, "patience": &patience}); err != nil {
		return "", err
	}
	left, err := s.world.Stop(messages.OnShutdown(mode), patience)
	if err != nil {
		return "", err
	}
	return s.text(s.world.EventsSince(), `instance\..*|autoscaler\..*`) + fmt.Sprintf("left running: %d\n", left), nil
}

// converge lets time pass until all tasks are done and no instance is left.
func (s *script) converge(d *datadriven.TestData) (string, error) {
	within := 3 * time.Hour
	if err := args(d, map[string]any{"within": &within}); err != nil {
		return "", err
	}
	if wrong := s.world.Converged(within); len(wrong) > 0 {
		return s.readable(strings.Join(wrong, "\n") + "\n"), nil
	}
	s.world.EventsSince()
	return fmt.Sprintf("all %d tasks are done, nothing runs\n", s.world.Finished()), nil
}
