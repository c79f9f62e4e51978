package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// pendingFew events may wait whatever happens: a second of a busy start.
	pendingFew = 1000
	// growthSpan is over how long the outbox has to have grown.
	growthSpan = time.Minute
)

// The checks by which a process finds out that it is stuck.
const (
	// CheckServer is whether the embedded event server runs, CheckAutoscaler whether
	// an autoscaler answers, CheckParts whether its queues and resource types do.
	CheckServer     = "event server"
	CheckAutoscaler = "autoscaler"
	CheckParts      = "parts"
)

// CheckConfiguration is whether the configuration file is what runs.
const CheckConfiguration = "configuration"

// Facts are what is known of a process at one moment.
type Facts struct {
	At  time.Time
	Bus Bus
	// Autoscalers are those that the process is configured for.
	Autoscalers []Autoscaler
	// Configuration is how the configuration file is.
	Configuration Configuration
}

// Configuration is how far the configuration file is not what runs.
type Configuration struct {
	// Mistakes keep it from being taken over, since a time.
	Mistakes int
	Since    time.Time
	// Waiting is how many differences take effect at the next start.
	Waiting int
}

// Bus is how the event bus is.
type Bus struct {
	// Embedded says that the event server is part of the process, Running that it
	// runs.
	Embedded, Running bool
	// Connected says that the process is connected to the event server.
	Connected bool
	// Disk is how the disk of an embedded server is.
	Disk Disk
}

// Disk is how the disk of the embedded event server is.
type Disk struct {
	// Fault says in plain words why it cannot be written, and Cure what to do; both
	// are empty while it can.
	Fault, Cure string
	// Free is how many bytes are free; -1 when nobody knows. Low says that this is
	// little.
	Free int64
	Low  bool
}

// Autoscaler is one autoscaler of the process.
type Autoscaler struct {
	Name messages.AutoscalerName
	// Answered says that it answered within the time. It stands by when Status is
	// nil.
	Answered bool
	Status   *messages.Status
	// ClearMLWithin and EC2Within are how old the last good answer may be.
	ClearMLWithin, EC2Within time.Duration
	// PendingBefore is how many events waited about a minute ago; negative when
	// nobody looked then.
	PendingBefore int
}

// Check is one thing that was looked at.
type Check struct {
	// Name is the thing, Autoscaler whose it is; empty for the process'.
	Name       string                  `json:"name"`
	Autoscaler messages.AutoscalerName `json:"autoscaler,omitempty"`
	OK         bool                    `json:"ok"`
	// Notice says that somebody should see to it, although it is OK.
	Notice bool `json:"notice,omitempty"`
	// Found is what was found, Cure what to do about it; empty when it is well.
	Found string `json:"found"`
	Cure  string `json:"cure,omitempty"`
}

// Report is a judgment: OK is that all checks are.
type Report struct {
	OK     bool      `json:"ok"`
	At     time.Time `json:"at"`
	Checks []Check   `json:"checks"`
}

// with is the report with one more check.
func (r Report) with(check Check) Report {
	if check.OK && !check.Notice {
		check.Cure = ""
	}
	r.OK = r.OK && check.OK
	r.Checks = append(r.Checks, check)
	return r
}

// Judge says whether the process is alive, and whether it is ready.
func Judge(facts Facts) (live, ready Report) {
	live, ready = Report{OK: true, At: facts.At}, Report{OK: true, At: facts.At}
	if facts.Bus.Embedded {
		check := Check{
			Name: CheckServer, OK: facts.Bus.Running, Found: "runs",
			Cure: "see the log for why it ended, then restart ebb",
		}
		if !check.OK {
			check.Found = "the embedded event server has ended"
		}
		live = live.with(check)
		ready = ready.with(check)
	}
	for _, a := range facts.Autoscalers {
		check := a.answers()
		live = live.with(check)
		ready = ready.with(check)
	}
	ready = ready.with(facts.Bus.connected())
	if facts.Bus.Embedded {
		ready = ready.with(facts.Bus.Disk.writable())
	}
	ready = ready.with(facts.Configuration.inEffect())
	for _, a := range facts.Autoscalers {
		if a.Status == nil {
			continue // it is not told, or for the one that acts to say
		}
		ready = ready.with(a.alone())
		ready = ready.with(a.whole(facts.At))
		ready = ready.with(a.source("clearml", a.Status.ClearML, a.ClearMLWithin, facts.At))
		ready = ready.with(a.source("ec2", a.Status.EC2, a.EC2Within, facts.At))
		ready = ready.with(a.outbox())
	}
	return live, ready
}

func (b Bus) connected() Check {
	check := Check{Name: "event server connection", OK: b.Connected, Found: "connected", Cure: "see that the NATS server of nats.url runs and can be reached from here"}
	if b.Embedded {
		check.Cure = "see the log of the embedded event server; restart ebb if it does not come back"
	}
	if !b.Connected {
		check.Found = "not connected; events are kept, and nothing is launched before the ledger can be written"
	}
	return check
}

// writable is no part of being alive: a restart makes no room, and none is needed
// once there is some.
func (d Disk) writable() Check {
	check := Check{Name: "disk", OK: d.Fault == "", Found: "can be written", Cure: d.Cure}
	if d.Free >= 0 {
		check.Found = fmt.Sprintf("%d MiB are free", d.Free>>20)
	}
	if d.Low {
		check.Found += ", which is little"
		check.Notice, check.Cure = true, "make room on the disk of state_dir"
	}
	if d.Fault != "" {
		check.Found = d.Fault + ": nothing can be stored, so nothing is launched or ended"
		check.Notice, check.Cure = false, d.Cure
	}
	return check
}

// inEffect is always OK: what runs goes on, and a process that is not ready would not
// be made so by a new one with the same file.
func (c Configuration) inEffect() Check {
	check := Check{Name: CheckConfiguration, OK: true, Found: "in effect"}
	var found, cures []string
	if c.Mistakes > 0 {
		found = append(found, fmt.Sprintf("the file has not been taken over since %s (%s), what ran before goes on", c.Since.UTC().Format(time.RFC3339), counted(c.Mistakes, "mistake")))
		cures = append(cures, "correct the file, ebb config check names each mistake; it would not start again as it is")
	}
	if c.Waiting > 0 {
		found = append(found, counted(c.Waiting, "change")+" of the file will take effect at the next start")
		cures = append(cures, "restart ebb, which is safe: instances and launches are found again")
	}
	if len(found) > 0 {
		check.Notice, check.Found, check.Cure = true, strings.Join(found, "; "), strings.Join(cures, "; then ")
	}
	return check
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func (a Autoscaler) answers() Check {
	check := Check{Name: CheckAutoscaler, Autoscaler: a.Name, OK: a.Answered, Found: "acts", Cure: "see the log for failing actors; a restart is safe, instances and launches are found again"}
	switch {
	case !a.Answered:
		check.Found = "did not answer in time"
	case a.Status == nil:
		check.Found = "stands by: another process acts, or will in a moment"
	case a.Status.Pause != nil:
		check.Found = "acts; launching is paused"
	case a.Status.Stopping:
		check.Found = "is stopping"
	}
	return check
}

// whole is no part of being alive: an actor that failed is silent until it begins
// anew. One that stays silent is.
func (a Autoscaler) whole(now time.Time) Check {
	silent := slices.Clone(a.Status.Silent)
	if !a.Status.Stopping {
		if a.unasked(a.Status.ClearML, a.ClearMLWithin, now) {
			silent = append(silent, "what asks ClearML")
		}
		if a.unasked(a.Status.EC2, a.EC2Within, now) {
			silent = append(silent, "what asks EC2")
		}
	}
	check := Check{
		Name: CheckParts, Autoscaler: a.Name, OK: len(silent) == 0, Found: "all answer",
		Cure: "see the log for why it fails; if it stays silent, restart ebb: that is safe, instances and launches are found again",
	}
	if !check.OK {
		check.Found = "no answer from " + strings.Join(silent, ", ")
	}
	return check
}

// alone says that no other ebb acts for the same autoscaler.
func (a Autoscaler) alone() Check {
	check := Check{
		Name: "rival", Autoscaler: a.Name, OK: a.Status.Rival == nil, Found: "no other ebb acts for it",
		Cure: "stop one of the two, or let both use one event server (nats.url), or give them different names",
	}
	if r := a.Status.Rival; r != nil {
		check.Found = fmt.Sprintf("another ebb (owner %d on an event server of its own) gives signs of life for it on queue %s", r.Epoch, r.Queue)
		if r.Holds {
			check.Found += "; this one came later and launches nothing"
		}
	}
	return check
}

// unasked says that nobody has asked a source for long: neither an answer nor a failure
// is told.
func (a Autoscaler) unasked(status messages.SourceStatus, within time.Duration, now time.Time) bool {
	last := status.LastGood
	if last.IsZero() {
		last = a.Status.StartedAt
	}
	return status.DownSince.IsZero() && now.Sub(last) > 2*within
}

func (a Autoscaler) source(name string, status messages.SourceStatus, within time.Duration, now time.Time) Check {
	check := Check{Name: name, Autoscaler: a.Name, Cure: sourceCure(name, status.Class)}
	age := now.Sub(status.LastGood)
	switch {
	case status.LastGood.IsZero() && status.DownSince.IsZero():
		check.Found, check.Cure = "no answer yet", "wait for the first one, it takes seconds"
	case status.LastGood.IsZero():
		check.Found = fmt.Sprintf("no good answer yet, failing for %s (%s)", span(now.Sub(status.DownSince)), status.Class)
	case age <= within:
		check.OK, check.Found = true, "answered "+span(age)+" ago"
	default:
		check.Found = fmt.Sprintf("the last good answer is %s old, more than %s", span(age), span(within))
		if status.Class != "" {
			check.Found += fmt.Sprintf(" (%s)", status.Class)
		}
	}
	return check
}

func sourceCure(name string, class messages.FailureClass) string {
	see := fmt.Sprintf("; ebb events --kind observation.failed has the words of %s", name)
	switch {
	case class == messages.ClassUnauthorized && name == "clearml":
		return "check the ClearML credentials of the configuration" + see
	case class == messages.ClassUnauthorized:
		return "check the AWS credentials and their policy: ebb iam-policy" + see
	case class == messages.ClassThrottled:
		return "wait, calls are paced; find out what else calls so often" + see
	case class == messages.ClassInvalid || class == messages.ClassNotFound:
		return "check the address and the settings of " + name + see
	}
	return "see that " + name + " is up and can be reached from here" + see
}

func (a Autoscaler) outbox() Check {
	pending := a.Status.EventsPending
	growing := pending > pendingFew && a.PendingBefore >= 0 && pending > a.PendingBefore
	check := Check{
		Name: "events", Autoscaler: a.Name, OK: !growing, Found: fmt.Sprintf("%d wait for the event server", pending),
		Cure: "see that the event server is up and its disk has room; beyond 100000 events are lost",
	}
	if growing {
		check.Found += fmt.Sprintf(", %d a minute ago", a.PendingBefore)
	}
	return check
}

func span(d time.Duration) string { return max(0, d).Round(time.Second).String() }
