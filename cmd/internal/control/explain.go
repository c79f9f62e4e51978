package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Explanation says why the tasks of a queue wait, or that none does.
type Explanation struct {
	Queue messages.QueueName `json:"queue"`
	At    time.Time          `json:"at"`
	// Waiting is how many tasks wait. Covered, Launching and Unmet are those of
	// the last evaluation, which may have been about fewer or more.
	Waiting   int `json:"waiting"`
	Covered   int `json:"covered"`
	Launching int `json:"launching"`
	Unmet     int `json:"unmet"`
	// Outcome says what becomes of the tasks, Summary that and why, in a sentence
	// or two. Findings are its parts.
	Outcome  string    `json:"outcome"`
	Summary  string    `json:"summary"`
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is one part of the answer: what is so, with its numbers, and what can
// be done about it; Cure is empty when nothing has to be.
type Finding struct {
	// About is the resource type, or the part of the world; with Text behind it,
	// it is a sentence.
	About string `json:"about"`
	Text  string `json:"text"`
	Cure  string `json:"cure,omitempty"`
}

// nothing is what a task gets that is not met.
const nothing = "no instance"

// Explain says why the tasks of a queue wait. The error is a [messages.Failure]
// when there is no such queue, or it did not answer.
func Explain(status messages.Status, name messages.QueueName) (Explanation, error) {
	at := slices.IndexFunc(status.Queues, func(q messages.QueueStatus) bool { return q.Queue == name })
	if at < 0 {
		return Explanation{}, unknownQueue(status, name)
	}
	q := status.Queues[at]
	e := Explanation{
		Queue: name, At: status.At, Waiting: q.Waiting,
		Covered: q.Verdict.Covered, Launching: q.Verdict.Launching, Unmet: q.Verdict.Unmet,
	}
	e.Findings = outside(status)
	before := len(e.Findings)
	if q.Waiting > 0 {
		for _, reason := range q.Verdict.Reasons {
			if f, fresh := finding(status, reason); fresh {
				e.Findings = append(e.Findings, f)
			}
		}
	}
	e.Outcome = outcome(q)
	e.Summary = e.Outcome
	if q.Waiting > 0 && q.Waiting == q.Verdict.Waiting && q.Verdict.Unmet > 0 {
		e.Summary = because(e.Outcome, e.Findings)
	}
	if len(e.Findings) == before {
		for _, resource := range q.Resources {
			e.Findings = append(e.Findings, serving(status, resource))
		}
	}
	return e, nil
}

func unknownQueue(status messages.Status, name messages.QueueName) error {
	if slices.Contains(status.Silent, "queue "+string(name)) {
		return &messages.Failure{Class: messages.ClassTransient, Message: fmt.Sprintf("queue %s did not answer in time; ask again", name)}
	}
	names := make([]string, 0, len(status.Queues))
	for _, q := range status.Queues {
		names = append(names, string(q.Queue))
	}
	text := fmt.Sprintf("autoscaler %s watches no queue %q", status.Autoscaler, name)
	if len(names) > 0 {
		text += "; it watches " + firstOf(names, 20)
	}
	return &messages.Failure{Class: messages.ClassNotFound, Message: text}
}

// because adds causes to a sentence.
func because(outcome string, causes []Finding) string {
	whys := make([]string, 0, len(causes))
	for _, f := range causes {
		whys = append(whys, f.About+" "+f.Text)
	}
	if len(whys) == 0 {
		return outcome
	}
	return strings.TrimSuffix(outcome, ".") + ", because " + strings.Join(whys, "; and ") + "."
}

// outcome is what becomes of the tasks that wait.
func outcome(q messages.QueueStatus) string {
	switch {
	case !q.Known:
		return fmt.Sprintf("Nobody knows yet what waits in queue %s: no answer of the ClearML server has shown it.", q.Queue)
	case q.Waiting == 0:
		return fmt.Sprintf("Nothing waits in queue %s.", q.Queue)
	}
	text := fmt.Sprintf("%s in queue %s, the first for %s", waits(q.Waiting), q.Queue, span(q.WaitSeconds))
	if q.Waiting == 1 {
		text = fmt.Sprintf("1 task waits in queue %s, for %s", q.Queue, span(q.WaitSeconds))
	}
	v := q.Verdict
	if v.Waiting != q.Waiting {
		return fmt.Sprintf("%s. The last decision was made when %d waited; the next one comes with the next look at the queues.", text, v.Waiting)
	}
	var parts []string
	if v.Covered > 0 {
		parts = append(parts, gets(v.Covered, q.Waiting, "an instance that is idle or starting"))
	}
	if v.Launching > 0 {
		parts = append(parts, gets(v.Launching, q.Waiting, "an instance that is being launched"))
	}
	if v.Unmet > 0 {
		parts = append(parts, gets(v.Unmet, q.Waiting, nothing))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text + "."
}

// gets says what becomes of some of the tasks: "2 get no instance", "it gets no
// instance", "each of them gets an instance that is idle or starting".
func gets(n, all int, what string) string {
	switch {
	case all == 1:
		return "it gets " + what
	case n == all && what == nothing:
		return "none of them gets an instance"
	case n == all:
		return "each of them gets " + what
	case n == 1:
		return "1 gets " + what
	}
	return fmt.Sprintf("%d get %s", n, what)
}

// outside says what keeps the whole autoscaler from launching.
func outside(status messages.Status) []Finding {
	var findings []Finding
	if status.Stopping {
		findings = append(findings, Finding{
			About: "this ebb", Text: "is stopping and launches nothing more", Cure: "the next ebb that runs with this configuration goes on",
		})
	}
	if p := status.Pause; p != nil {
		findings = append(findings, Finding{
			About: "launching", Text: "has been paused" + pauseText(status, *p), Cure: "ebb resume --autoscaler " + string(status.Autoscaler),
		})
	}
	for _, s := range []struct {
		name, cure string
		status     messages.SourceStatus
	}{
		{"ClearML", "check that the server is up and its keys are valid; ebb doctor does", status.ClearML},
		{"EC2", "check the network, the credentials and their permissions; ebb doctor does", status.EC2},
	} {
		if s.status.DownSince.IsZero() {
			continue
		}
		text := "has failed for " + ago(status.At, s.status.DownSince)
		if s.status.Message != "" {
			text += " (" + clip(s.status.Message) + ")"
		}
		findings = append(findings, Finding{About: s.name, Cure: s.cure, Text: text})
	}
	return findings
}

// pauseText is who paused, for how long, and why, as far as that is known.
func pauseText(status messages.Status, p messages.Pause) string {
	text := " for " + ago(status.At, p.At)
	if p.By != "" {
		text += " by " + clip(p.By)
	}
	if p.Why != "" {
		text += " (" + clip(p.Why) + ")"
	}
	if !p.Until.IsZero() {
		text += " and goes on by itself in " + ahead(status.At, p.Until)
	}
	return text
}

// serving says how a resource type does that has nothing against it.
func serving(status messages.Status, name messages.ResourceName) Finding {
	r, ok := resourceOf(status, name)
	if !ok {
		return Finding{About: string(name), Text: "has not answered in time", Cure: "ask again"}
	}
	text := "has " + r.have(status)
	if booting := r.count(status)[messages.ConditionBooting] + r.Launching; booting > 0 && r.BootSeconds > 0 {
		text += "; a start takes up to " + span(r.BootSeconds)
	}
	return Finding{About: string(name), Text: text}
}

type resource struct{ messages.ResourceStatus }

func resourceOf(status messages.Status, name messages.ResourceName) (resource, bool) {
	at := slices.IndexFunc(status.Resources, func(r messages.ResourceStatus) bool { return r.Resource == name })
	if at < 0 {
		return resource{}, false
	}
	return resource{status.Resources[at]}, true
}

func (r resource) count(status messages.Status) map[messages.Condition]int {
	counts := make(map[messages.Condition]int)
	for _, i := range status.Instances {
		if i.Resource == r.Resource {
			counts[i.Condition]++
		}
	}
	return counts
}

// parts are what its instances do: "2 busy, 1 booting".
func (r resource) parts(status messages.Status) string {
	counts := r.count(status)
	var parts []string
	if r.Launching > 0 {
		parts = append(parts, fmt.Sprintf("%d being launched", r.Launching))
	}
	for _, condition := range messages.Conditions() {
		if counts[condition] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[condition], condition))
		}
	}
	return strings.Join(parts, ", ")
}

// have counts its instances: "3 of at most 4 instances (2 busy, 1 booting)".
func (r resource) have(status messages.Status) string {
	text := fmt.Sprintf("%d of at most %s", r.Alive, counted(r.Max, "instance"))
	if parts := r.parts(status); parts != "" {
		text += " (" + parts + ")"
	}
	return text
}
