package control

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ebbscale/ebb/messages"
)

// classBoots is the class of an offering that is not asked for because its
// instances got no worker.
const classBoots messages.FailureClass = "boot_failures"

// finding puts a reason of the verdict into words, with what can be done. It is
// not fresh when what is wrong with the whole autoscaler is said already.
func finding(status messages.Status, reason messages.Reason) (f Finding, fresh bool) {
	f = Finding{About: reason.Subject, Text: reason.Detail}
	r, known := resourceOf(status, messages.ResourceName(reason.Subject))
	switch reason.Code {
	case messages.ReasonPaused:
		if status.Pause != nil {
			return f, false
		}
		f.About, f.Text, f.Cure = "launching", "was paused at the last decision", "the next one is about to come"
		if reason.Detail == messages.PauseUnread {
			f.Text = "is held back until ebb has read whether somebody paused it"
			f.Cure = "this takes seconds after a start; if it lasts, the event server does not answer: see the log of ebb"
		}
	case messages.ReasonContested:
		f.About, f.Text = "launching", "is held back, because another ebb with another event server acts for an autoscaler of this name ("+reason.Detail+")"
		f.Cure = "stop one of the two, or give them one event server (nats.url), or different names: docs/runbooks/EbbTwoAct.md"
		if reason.Limit > 0 {
			f.Text = "is held back, because another ebb may act for an autoscaler of this name (" + reason.Detail + ")"
			f.Cure = "wait; if it lives, " + f.Cure
		}
	case messages.ReasonStale:
		if !status.ClearML.DownSince.IsZero() {
			return f, false
		}
		f = stale(reason)
	case messages.ReasonFleetUnknown:
		f.Text = "launches nothing until EC2 has listed its instances twice, so that there are never too many"
		f.Cure = "this takes seconds after a start; if it lasts, ec2:DescribeInstances may be missing: ebb doctor"
	case messages.ReasonAtMax:
		f = atMax(status, r, known, reason)
	case messages.ReasonBlocked:
		f.Text, f.Cure = blocked(status, r, reason)
	case messages.ReasonNoResource:
		f.About, f.Text = "the queue", "is in the queues of no resource type"
		f.Cure = "add it to the queues of a resource type in the configuration"
	default:
		if f.Text == "" {
			f.Text = "is held: " + spaced(string(reason.Code))
		}
	}
	if f.About == "" {
		f.About = "it"
	}
	return f, true
}

func stale(reason messages.Reason) Finding {
	f := Finding{About: "ClearML", Text: "has not answered yet, so nobody knows what is needed", Cure: "this takes seconds after a start; if it lasts: ebb doctor"}
	switch {
	case reason.Got > 0:
		f.Text = fmt.Sprintf("answered last %s ago, and on what is older than %s nothing is launched", span(float64(reason.Got)), span(float64(reason.Limit)))
		f.Cure = "check that the server is up and fast enough; ebb doctor does"
	case reason.Got < 0:
		f.Text = fmt.Sprintf("answered last at a time that is %s ahead of this machine's clock, so nobody knows how old that is", span(float64(-reason.Got)))
		f.Cure = "set the clock of the machine that ebb runs on; it is right again with the next answer"
	}
	return f
}

func atMax(status messages.Status, r resource, known bool, reason messages.Reason) Finding {
	f := Finding{
		About: reason.Subject, Text: fmt.Sprintf("has all %d of its max_instances", reason.Limit),
		Cure: "a task that ends makes room; for more at once raise max_instances of " + reason.Subject + ", or let another resource type serve the queue",
	}
	switch {
	case reason.Limit == 0:
		f.Text, f.Cure = "has a max_instances of 0 and launches nothing", "raise max_instances of "+reason.Subject
	case reason.Got > reason.Limit:
		f.Text = fmt.Sprintf("has %s, more than its max_instances of %d", counted(int(reason.Got), "instance"), reason.Limit)
	}
	if !known {
		return f
	}
	if parts := r.parts(status); parts != "" {
		f.Text += " (" + parts + ")"
	}
	return f
}

// blocked says what is not asked for, why, and until when.
func blocked(status messages.Status, r resource, reason messages.Reason) (text, cure string) {
	if len(r.Blocks) == 0 {
		return careful(reason)
	}
	var classes []messages.FailureClass
	by := make(map[messages.FailureClass][]messages.Blocked)
	for _, b := range r.Blocks {
		if by[b.Class] == nil {
			classes = append(classes, b.Class)
		}
		by[b.Class] = append(by[b.Class], b)
	}
	var texts, cures []string
	for _, class := range classes {
		words, cure := refused(class)
		of := " for "
		if class == classBoots {
			of = " of "
		}
		text := words + of + whereAndWhen(status, by[class])
		if said := by[class][0].Message; said != "" {
			text += fmt.Sprintf(", EC2 says %q", said)
		}
		texts, cures = append(texts, text), append(cures, cure)
	}
	return "can launch nothing now: " + strings.Join(texts, "; "), strings.Join(slices.Compact(cures), "; ")
}

// whereAndWhen names offerings and when they are asked for again: "spot g5.xlarge in
// us-east-1a (asked again in 2m)".
func whereAndWhen(status messages.Status, blocks []messages.Blocked) string {
	names := make([]string, 0, len(blocks))
	soonest := blocks[0].Until
	for _, b := range blocks {
		names = append(names, b.Offering.String())
		if b.Until.Before(soonest) {
			soonest = b.Until
		}
	}
	again := "asked again in " + ahead(status.At, soonest)
	if !soonest.After(status.At) {
		again = "asked again now"
	}
	return fmt.Sprintf("%s (%s)", firstOf(names, 3), again)
}

// careful is a resource type that could not launch at the last decision, or only
// one instance to see whether it works again; its reason begins with the class of
// the last refusal.
func careful(reason messages.Reason) (text, cure string) {
	class, rest, found := strings.Cut(reason.Detail, "; ")
	if !found {
		class, rest = "", reason.Detail
	}
	words, cure := refused(messages.FailureClass(class))
	text = "launches little: "
	if class != "" {
		text = "was refused: " + words + "; "
	}
	if rest == "" {
		rest = "it is asked again by itself"
	}
	return text + rest, cure
}

// refused is a class of refusals in words that "for" and an offering may follow, and
// what can be done about it.
func refused(class messages.FailureClass) (words, cure string) {
	const itself = "it is asked again by itself; ebb events --kind instance.refused has the words of EC2"
	switch class {
	case messages.ClassNoCapacity:
		return "EC2 has no capacity", "list more zones or instance types, or turn on_demand_fallback on"
	case messages.ClassNoAddresses:
		return "the subnet has no free address", "list another subnet, or free addresses in this one"
	case messages.ClassQuota:
		return "the quota of the AWS account is used up", "ask AWS for a higher vCPU quota of this family, or list instance types of another"
	case messages.ClassMarketClosed:
		return "the AWS account may not use this market", "choose another market, zone or instance type"
	case messages.ClassUnsupported:
		return "AWS has no offer", "choose another market, zone or instance type"
	case messages.ClassUnauthorized:
		return "the credentials lack a permission",
			"compare the role with ebb iam-policy; ebb doctor names the missing action; then ebb reload has it asked at once"
	case messages.ClassInvalid, messages.ClassNotFound:
		return "EC2 says that the request is wrong",
			"ebb doctor checks AMI, subnet, groups and key pair; ebb events --kind instance.refused has the words of EC2; then ebb reload has it asked at once"
	case messages.ClassThrottled:
		return "EC2 is asked too often", itself
	case classBoots:
		return "no worker appeared on the last instances", "ebb events --kind instance.unready has the end of their console output"
	default:
		return spaced(string(class)), itself
	}
}

func spaced(code string) string { return strings.ReplaceAll(code, "_", " ") }

// firstOf joins the first names, and counts the rest.
func firstOf(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func waits(n int) string {
	if n == 1 {
		return "1 task waits"
	}
	return fmt.Sprintf("%d tasks wait", n)
}

// span is a number of seconds without units that are zero: 45s, 2m, 1h30m.
func span(seconds float64) string { return short(time.Duration(seconds * float64(time.Second))) }

func short(d time.Duration) string {
	text := max(0, d).Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func ago(now, since time.Time) string { return short(now.Sub(since)) }

func ahead(now, until time.Time) string { return short(until.Sub(now)) }

// clip shortens what somebody else wrote, and keeps it on one line.
func clip(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(text); len(runes) > 160 {
		return string(runes[:160]) + "…"
	}
	return text
}
