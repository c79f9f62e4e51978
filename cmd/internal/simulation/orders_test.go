package simulation_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/messages"
)

// order is what an operator asks: its kind is the first argument.
func (s *script) order(d *datadriven.TestData) (string, error) {
	why, until, instance, force, resource := "", time.Duration(0), 0, false, ""
	kinds := map[string]*bool{"status": new(bool), "pause": new(bool), "resume": new(bool), "drain": new(bool), "drain-idle": new(bool)}
	known := map[string]any{"why": &why, "for": &until, "instance": &instance, "force": &force, "resource": &resource}
	for kind, chosen := range kinds {
		known[kind] = chosen
	}
	if err := args(d, known); err != nil {
		return "", err
	}
	var order messages.Order
	switch {
	case *kinds["pause"]:
		pause := messages.PauseLaunches{Why: why}
		if until != 0 {
			pause.Until = s.world.Now().Add(until)
		}
		order = pause
	case *kinds["resume"]:
		order = messages.ResumeLaunches{}
	case *kinds["drain"]:
		order = messages.DrainInstanceNow{Instance: s.launched(instance), Force: force}
	case *kinds["drain-idle"]:
		order = messages.DrainIdleNow{Resource: messages.ResourceName(resource)}
	default:
		order = messages.ReportStatus{}
	}
	answer := s.world.Order(order)
	if failure := answer.Failure; failure != nil { // the file says whether it is expected
		return s.named(failure.Error() + "\n"), nil
	}
	switch {
	case answer.Status != nil:
		return s.named(statusText(*answer.Status)), nil
	case len(answer.Instances) == 0:
		return "", nil
	}
	var ids []string
	for _, id := range answer.Instances {
		ids = append(ids, string(id))
	}
	return s.named(strings.Join(ids, " ") + "\n"), nil
}

// launched is the id of the n-th instance that EC2 launched; one that is none
// for a number that is too high.
func (s *script) launched(n int) messages.InstanceID {
	launches := s.world.Cloud().Ledger().Launches
	if n < 1 || n > len(launches) {
		return messages.InstanceID(fmt.Sprintf("i-%d", n))
	}
	return messages.InstanceID(launches[n-1].InstanceID)
}

func (s *script) named(text string) string {
	s.name()
	return s.readable(text)
}

func statusText(status messages.Status) string {
	var b strings.Builder
	if status.Pause != nil {
		fmt.Fprintf(&b, "paused by %s: %s\n", status.Pause.By, status.Pause.Why)
	}
	if status.Rival != nil {
		fmt.Fprintf(&b, "contested by owner %d on queue %s, holds %t\n", status.Rival.Epoch, status.Rival.Queue, status.Rival.Holds)
	}
	for _, q := range status.Queues {
		fmt.Fprintf(&b, "queue %s: %d waiting for %.0fs, unmet %d %v, served by %v\n", q.Queue, q.Waiting, q.WaitSeconds, q.Verdict.Unmet, codes(q.Verdict.Reasons), q.Resources)
	}
	for _, r := range status.Resources {
		fmt.Fprintf(&b, "resource %s: %d of %d alive, %d launching, known %t\n", r.Resource, r.Alive, r.Max, r.Launching, r.Known)
		for _, reason := range r.Held {
			fmt.Fprintf(&b, "  held: %s: %s\n", reason.Subject, reason.Detail)
		}
		for _, block := range r.Blocks {
			fmt.Fprintf(&b, "  blocked: %s %s until %s\n", block.Offering, block.Class, block.Until.UTC().Format(time.RFC3339))
		}
	}
	for _, i := range status.Instances {
		fmt.Fprintf(&b, "instance %s of %s: %s since %s %v\n", i.Instance, i.Resource, i.Condition, i.Since.UTC().Format(time.RFC3339), codes(i.Reasons))
	}
	if len(status.Silent) > 0 {
		fmt.Fprintf(&b, "silent: %v\n", status.Silent)
	}
	return b.String()
}

func codes(reasons []messages.Reason) []messages.ReasonCode {
	var all []messages.ReasonCode
	for _, r := range reasons {
		all = append(all, r.Code)
	}
	return all
}
