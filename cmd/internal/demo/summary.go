package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/messages"
)

// summary is what became of the day. It is read from the fakes, which know
// better than the program what really happened.
type summary struct {
	jobs, done           int
	launched, terminated int
	alive                int
	hours                float64
	usd                  float64
	waits                []time.Duration // sorted
	events               int
	whole                bool // the day was played to its end
	laws                 []law
}

// law is one of the laws with its breaches. One that speaks of how the day ends
// can not be judged in the middle of it.
type law struct {
	name     string
	breaches []string
	unjudged bool
}

// summarize reads what became of the day; whole says that it was played to its end.
func summarize(r *region, file config.File, jobs []job, b *board, whole bool) summary {
	ledger := r.cloud.Ledger()
	s := summary{whole: whole, jobs: len(jobs), done: r.completed(), launched: len(ledger.Launches), alive: r.alive()}
	for _, t := range ledger.Transitions {
		if t.To == fakeec2.ShuttingDown {
			s.terminated++
		}
	}
	for _, u := range ledger.Usage(r.clock.Now(), nil) {
		s.hours += u.Running.Hours()
		s.usd += u.USD
	}
	for _, id := range r.clearml.TaskIDs() {
		if task, err := r.clearml.Task(id); err == nil && !task.Started.IsZero() {
			s.waits = append(s.waits, task.Started.Sub(task.Created))
		}
	}
	slices.Sort(s.waits)
	b.mu.Lock()
	s.events = b.events
	b.mu.Unlock()
	s.laws = []law{
		neverOver(ledger, file), neverTwice(ledger), atTheEnd(whole, neverLose(r)), neverKill(r, ledger),
		atTheEnd(whole, neverLeak(r)), atTheEnd(whole, explainAll(ledger, b)),
	}
	return s
}

// atTheEnd judges what is so at the end of the day only there.
func atTheEnd(whole bool, l law) law {
	if !whole {
		return law{name: l.name, unjudged: true}
	}
	return l
}

// broken are the laws that were.
func (s summary) broken() []string {
	var names []string
	for _, l := range s.laws {
		if len(l.breaches) > 0 {
			names = append(names, l.name)
		}
	}
	return names
}

func (s summary) good() bool {
	return len(s.broken()) == 0 && s.whole && s.done == s.jobs && s.alive == 0
}

func (s summary) print(out io.Writer) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-28s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(out, "\nsummary")
	if !s.whole {
		line("the day", "was interrupted: jobs still wait or run, and instances are up")
	}
	line("jobs done", "%d of %d", s.done, s.jobs)
	line("instances", "%d launched, %d terminated, %d left running", s.launched, s.terminated, s.alive)
	line("instance-hours", "%.1f (about $%.2f at the fake's prices)", s.hours, s.usd)
	line("wait of a job", "mean %s, p95 %s", mean(s.waits).Round(time.Second), quantile(s.waits, 0.95).Round(time.Second))
	line("events published", "%d", s.events)
	for _, l := range s.laws {
		verdict := "held"
		switch {
		case l.unjudged:
			verdict = "not judged, the day was interrupted"
		case len(l.breaches) > 0:
			verdict = "BROKEN: " + strings.Join(l.breaches, "; ")
		}
		line("law: "+l.name, "%s", verdict)
	}
}

func mean(waits []time.Duration) time.Duration {
	if len(waits) == 0 {
		return 0
	}
	var sum time.Duration
	for _, w := range waits {
		sum += w
	}
	return sum / time.Duration(len(waits))
}

// quantile is the smallest wait that at least q of all do not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// neverOver: no resource type ever had more instances than its maximum.
func neverOver(ledger fakeec2.Ledger, file config.File) law {
	l := law{name: "never over"}
	for _, a := range file.Autoscalers {
		for _, r := range a.Resources {
			most, at := ledger.MaxAlive(fakeec2.Tagged("ebb:resource", r.Name))
			if most > r.MaxInstances {
				l.breaches = append(l.breaches, fmt.Sprintf("%d of %s alive at %s, max %d", most, r.Name, at.Format(time.TimeOnly), r.MaxInstances))
			}
		}
	}
	return l
}

// neverTwice: every launch belongs to an intent, and no intent was launched by
// two different tokens.
func neverTwice(ledger fakeec2.Ledger) law {
	l := law{name: "never twice"}
	tokens := make(map[string]string)
	for _, launch := range ledger.Launches {
		intent := ""
		for _, tag := range launch.Tags {
			if tag.Key == "ebb:intent" {
				intent = tag.Value
			}
		}
		if intent == "" || launch.ClientToken == "" {
			l.breaches = append(l.breaches, launch.InstanceID+" was launched without intent or token")
			continue
		}
		if other, seen := tokens[intent]; seen && other != launch.ClientToken {
			l.breaches = append(l.breaches, "intent "+intent+" was launched twice")
		}
		tokens[intent] = launch.ClientToken
	}
	return l
}

// neverLose: every job has run to its end.
func neverLose(r *region) law {
	l := law{name: "never lose a job"}
	for _, id := range r.clearml.TaskIDs() {
		if status := r.clearml.TaskStatus(id); status != fakeclearml.StatusCompleted {
			l.breaches = append(l.breaches, fmt.Sprintf("task %s is %s", id, status))
		}
	}
	return l
}

// neverKill: no instance began to shut down between the start and the end of a
// task that it ran.
func neverKill(r *region, ledger fakeec2.Ledger) law {
	l := law{name: "never kill a busy one"}
	ends := make(map[string]time.Time)
	for _, t := range ledger.Transitions {
		if t.To == fakeec2.ShuttingDown {
			ends[t.InstanceID] = t.At
		}
	}
	for _, id := range r.clearml.TaskIDs() {
		task, err := r.clearml.Task(id)
		if err != nil {
			continue
		}
		worker, _ := messages.ParseWorkerID(messages.WorkerID(task.LastWorker))
		end, ended := ends[string(worker.Instance)]
		over := task.Completed
		if ended && !task.Started.IsZero() && end.After(task.Started) && (over.IsZero() || end.Before(over)) {
			l.breaches = append(l.breaches, fmt.Sprintf("%s was ended while it ran task %s", worker.Instance, id))
		}
	}
	return l
}

// neverLeak: nothing is left running.
func neverLeak(r *region) law {
	l := law{name: "never leak"}
	for _, instance := range r.cloud.Instances() {
		if instance.State.Alive() {
			l.breaches = append(l.breaches, instance.ID+" is still "+string(instance.State))
		}
	}
	return l
}

// explainAll: the event of every instance's end carries a reason.
func explainAll(ledger fakeec2.Ledger, b *board) law {
	l := law{name: "explain everything"}
	for _, launch := range ledger.Launches {
		if b.reasonOf(messages.InstanceID(launch.InstanceID)).Code == "" {
			l.breaches = append(l.breaches, "no event says why "+launch.InstanceID+" ended")
		}
	}
	return l
}
