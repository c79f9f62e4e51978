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
	// Waiting, Covered, Launching and Unmet are those of the last evaluation.
	Waiting   int `json:"waiting"`
	Covered   int `json:"covered"`
	Launching int `json:"launching"`
	Unmet     int `json:"unmet"`
	// Summary is the answer in a sentence, Findings are its parts.
	Summary  string    `json:"summary"`
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is one part of the answer: what is so, with its numbers, and what can
// be done about it; Cure is empty when nothing has to be.
type Finding struct {
	// About is the resource type, or the part of the world.
	About string `json:"about"`
	Text  string `json:"text"`
	Cure  string `json:"cure,omitempty"`
}

// Explain says why the tasks of a queue wait. The error is a [messages.Failure]
// when there is no such queue.
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
	e.Findings = append(outside(status), e.Findings...)
	for _, reason := range q.Verdict.Reasons {
		e.Findings = append(e.Findings, finding(status, reason))
	}
	if len(q.Verdict.Reasons) == 0 {
		for _, resource := range q.Resources {
			e.Findings = append(e.Findings, serving(status, resource))
		}
	}
	e.Summary = summary(q, e)
	return e, nil
}

func unknownQueue(status messages.Status, name messages.QueueName) error {
	names := make([]string, 0, len(status.Queues))
	for _, q := range status.Queues {
		names = append(names, string(q.Queue))
	}
	text := fmt.Sprintf("autoscaler %s watches no queue %q", status.Autoscaler, name)
	if len(names) > 0 {
		text += "; it watches " + strings.Join(names, ", ")
	}
	return &messages.Failure{Class: messages.ClassNotFound, Message: text}
}

// summary is the answer in one sentence.
func summary(q messages.QueueStatus, e Explanation) string {
	if !q.Known {
		return fmt.Sprintf("Nobody knows yet what waits in queue %s: no poll of the ClearML server has shown it.", q.Queue)
	}
	if q.Waiting == 0 {
		return fmt.Sprintf("Nothing waits in queue %s.", q.Queue)
	}
	text := fmt.Sprintf("%s in queue %s, the first for %s", waits(q.Waiting), q.Queue, span(q.WaitSeconds))
	v := q.Verdict
	if v.Waiting != q.Waiting {
		return text + "; the next evaluation decides about them."
	}
	var parts []string
	if v.Covered > 0 {
		parts = append(parts, fmt.Sprintf("%d get an instance that is idle or coming", v.Covered))
	}
	if v.Launching > 0 {
		parts = append(parts, fmt.Sprintf("%s launched now", areCounted(v.Launching, "instance")))
	}
	if v.Unmet > 0 {
		parts = append(parts, fmt.Sprintf("%d get nothing", v.Unmet))
	}
	text += ": " + strings.Join(parts, ", ")
	var whys []string
	if v.Unmet > 0 {
		for _, f := range e.Findings {
			whys = append(whys, f.About+" "+f.Text)
		}
	}
	if len(whys) > 0 {
		text += ", because " + strings.Join(whys, "; and ")
	}
	return text + "."
}

// outside says which of the outside worlds does not answer.
func outside(status messages.Status) []Finding {
	var findings []Finding
	for _, s := range []struct {
		name, cure string
		status     messages.SourceStatus
	}{
		{"ClearML", "check that the server is up and the key is valid: ebb doctor", status.ClearML},
		{"EC2", "check the network and the credentials: ebb doctor", status.EC2},
	} {
		if s.status.DownSince.IsZero() {
			continue
		}
		findings = append(findings, Finding{
			About: s.name, Cure: s.cure,
			Text: fmt.Sprintf("has not answered well for %s (%s)", ago(status.At, s.status.DownSince), clip(s.status.Message)),
		})
	}
	return findings
}

// serving says how a resource type does that has nothing against it.
func serving(status messages.Status, name messages.ResourceName) Finding {
	r, ok := resourceOf(status, name)
	if !ok {
		return Finding{About: string(name), Text: "has not answered in time; ask again"}
	}
	return Finding{About: string(name), Text: "has " + r.have(status)}
}

type resource struct{ messages.ResourceStatus }

func resourceOf(status messages.Status, name messages.ResourceName) (resource, bool) {
	at := slices.IndexFunc(status.Resources, func(r messages.ResourceStatus) bool { return r.Resource == name })
	if at < 0 {
		return resource{}, false
	}
	return resource{status.Resources[at]}, true
}

// have counts its instances: "3 of at most 4 instances (2 busy, 1 booting)".
func (r resource) have(status messages.Status) string {
	counts := make(map[messages.Condition]int)
	for _, i := range status.Instances {
		if i.Resource == r.Resource {
			counts[i.Condition]++
		}
	}
	var parts []string
	if r.Launching > 0 {
		parts = append(parts, fmt.Sprintf("%d being launched", r.Launching))
	}
	for _, condition := range messages.Conditions() {
		if counts[condition] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[condition], condition))
		}
	}
	text := fmt.Sprintf("%d of at most %s", r.Alive, counted(r.Max, "instance"))
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// finding puts a reason of the verdict into words, with what can be done.
func finding(status messages.Status, reason messages.Reason) Finding {
	f := Finding{About: reason.Subject, Text: reason.Detail}
	r, known := resourceOf(status, messages.ResourceName(reason.Subject))
	switch reason.Code {
	case messages.ReasonPaused:
		f.About, f.Text, f.Cure = "launching", "is paused "+reason.Detail, "ebb resume "+string(status.Autoscaler)
	case messages.ReasonStale:
		f.About, f.Cure = "the ClearML server:", "nothing is launched on what is too old; check the server: ebb doctor"
	case messages.ReasonFleetUnknown:
		f.Text = "waits for two complete listings of EC2 before it launches"
		f.Cure = "seconds after a start; if it stays so, check ec2:DescribeInstances: ebb doctor"
	case messages.ReasonAtMax:
		f.Text = fmt.Sprintf("is at its max_instances: %d of at most %d", reason.Got, reason.Limit)
		if known {
			f.Text = "is at its max_instances: it has " + r.have(status)
		}
		f.Cure = "a task that ends makes room; else raise max_instances of " + reason.Subject + ", or add a resource type to the queue"
	case messages.ReasonBlocked:
		f.Text, f.Cure = blocked(status, r, reason)
	case messages.ReasonNoResource:
		f.About, f.Text, f.Cure = "the queue", "is served by no resource type", "add the queue to a resource type's queues"
	default:
		if f.Text == "" {
			f.Text = strings.ReplaceAll(string(reason.Code), "_", " ")
		}
	}
	if f.About == "" {
		f.About = "it"
	}
	return f
}

// blocked says which offerings are not asked, why, and until when.
func blocked(status messages.Status, r resource, reason messages.Reason) (text, cure string) {
	if len(r.Blocks) == 0 {
		return "is blocked: " + reason.Detail, cureOf("")
	}
	var parts []string
	for n, b := range r.Blocks {
		if n == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(r.Blocks)-n))
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %s, asked again in %s", b.Offering, classWords(b.Class), ahead(status.At, b.Until)))
	}
	return "may not ask EC2 now (" + strings.Join(parts, "; ") + ")", cureOf(r.Blocks[0].Class)
}

// classWords is a class of refusals in words.
func classWords(class messages.FailureClass) string {
	switch class {
	case messages.ClassNoCapacity:
		return "EC2 has no capacity"
	case messages.ClassNoAddresses:
		return "the subnet has no free address"
	case messages.ClassQuota:
		return "the account's quota is reached"
	case messages.ClassMarketClosed:
		return "the account may not use this market"
	case messages.ClassUnsupported:
		return "it is not sold there"
	case messages.ClassUnauthorized:
		return "a permission is missing"
	case messages.ClassInvalid, messages.ClassNotFound:
		return "EC2 says that the request is wrong"
	case "boot_failures":
		return "its last instances never got a worker"
	default:
	}
	return strings.ReplaceAll(string(class), "_", " ")
}

// cureOf is what can be done about a class of refusals.
func cureOf(class messages.FailureClass) string {
	switch class {
	case messages.ClassNoCapacity:
		return "list more zones or instance types, or turn on_demand_fallback on"
	case messages.ClassNoAddresses:
		return "list another subnet, or free addresses in this one"
	case messages.ClassQuota:
		return "ask AWS for a higher vCPU quota of this family, or use another family"
	case messages.ClassMarketClosed, messages.ClassUnsupported:
		return "choose another market, zone or instance type"
	case messages.ClassUnauthorized:
		return "compare the role with ebb iam-policy; ebb doctor names the missing action"
	case messages.ClassInvalid, messages.ClassNotFound:
		return "see instance.refused in ebb events; ebb doctor checks AMI, subnet, groups and key pair"
	case "boot_failures":
		return "read the console output in instance.unready (ebb events --kind instance.unready)"
	default:
	}
	return "it is asked again by itself; see instance.refused in ebb events"
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func areCounted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return fmt.Sprintf("%d %ss are", n, noun)
}

func waits(n int) string {
	if n == 1 {
		return "1 task waits"
	}
	return fmt.Sprintf("%d tasks wait", n)
}

func span(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func ago(now, since time.Time) string { return max(0, now.Sub(since)).Round(time.Second).String() }

func ahead(now, until time.Time) string { return max(0, until.Sub(now)).Round(time.Second).String() }

// clip shortens a vendor's text.
func clip(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 160 {
		return string(runes[:160]) + "…"
	}
	return text
}
