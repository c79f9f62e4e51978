package eventtext

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// Words says what happened, without time, autoscaler, kind and subject. It is
// exhaustive over the sealed set; the parts below only know theirs.
func Words(event messages.Event) string {
	switch e := event.(type) {
	case messages.AutoscalerStarted, messages.AutoscalerStopped, messages.AutoscalerReconfigured, messages.AutoscalerMisconfigured,
		messages.AutoscalerContested, messages.AutoscalerUncontested,
		messages.AutoscalerPaused, messages.AutoscalerResumed,
		messages.ObservationFailed, messages.ObservationRecovered:
		return autoscalerWords(e)
	case messages.QueueCreated, messages.QueueObserved, messages.QueuePlanned, messages.QueueClosed, messages.QueueOpened:
		return queueWords(e)
	case messages.InstanceRequested, messages.InstanceRefused, messages.InstanceLaunched,
		messages.InstanceAdopted, messages.InstanceStray:
		return launchWords(e)
	case messages.InstanceRegistered, messages.InstanceBusy, messages.InstanceIdle, messages.InstanceUnready, messages.InstanceNoticed:
		return instanceWords(e)
	case messages.InstanceDraining, messages.InstanceKept, messages.InstanceRecalled,
		messages.InstanceTerminating, messages.InstanceUnended, messages.InstanceGone:
		return endWords(e)
	case messages.ResourceHeld, messages.ResourceReleased, messages.FleetGuarded:
		return holdWords(e)
	case messages.TaskRequeued, messages.TaskLost, messages.TaskDuplicated:
		return taskWords(e)
	}
	return ""
}

func autoscalerWords(event any) string {
	switch e := event.(type) {
	case messages.AutoscalerStarted:
		text := fmt.Sprintf("ebb %s serves queues %s with %s", clean(e.Version), joined(e.Queues), joined(e.Resources))
		if e.Holder != "" {
			text += fmt.Sprintf("; %s is owner %d", clean(e.Holder), e.Epoch)
		}
		return text
	case messages.AutoscalerReconfigured:
		switch {
		case len(e.Restart) == 0:
			return "new configuration: " + listed(e.Changes)
		case len(e.Changes) == 0:
			return "new configuration, which needs a restart: " + listed(e.Restart)
		}
		return "new configuration: " + listed(e.Changes) + "; this needs a restart: " + listed(e.Restart)
	case messages.AutoscalerMisconfigured:
		return "the new configuration is not sound and the old one stays: " + listed(e.Problems)
	case messages.AutoscalerContested, messages.AutoscalerUncontested, messages.AutoscalerPaused, messages.AutoscalerResumed:
		return pauseWords(e)
	case messages.AutoscalerStopped:
		return fmt.Sprintf("stopped (on_shutdown: %s), %s left running", clean(e.OnShutdown), counted(e.Left, "instance"))
	case messages.ObservationFailed:
		last := "no good answer so far"
		if !e.LastGood.IsZero() {
			last = "last good answer " + clock(e.LastGood)
		}
		return failure(e.Class, e.Code, e.Message) + "; " + last
	case messages.ObservationRecovered:
		return "answers again after " + seconds(e.DownSeconds)
	}
	return ""
}

// pauseWords is about what keeps the whole autoscaler from launching.
func pauseWords(event any) string {
	switch e := event.(type) {
	case messages.AutoscalerContested:
		return Rival(messages.Rival(e))
	case messages.AutoscalerUncontested:
		return "no other ebb shows to act for this autoscaler any more, after " + seconds(e.ContestedSeconds)
	case messages.AutoscalerPaused:
		text := "nothing is launched" + by(e.By)
		if !e.Until.IsZero() {
			text += ", until " + clock(e.Until)
		}
		if e.Why != "" {
			text += ": " + clean(e.Why)
		}
		return text
	case messages.AutoscalerResumed:
		if e.By == "" {
			return "the pause of " + seconds(e.PausedSeconds) + " is over"
		}
		return "launches again after " + seconds(e.PausedSeconds) + by(e.By)
	}
	return ""
}

// by names who asked for something.
func by(who string) string {
	if who == "" {
		return ""
	}
	return ", asked by " + clean(who)
}

func listed(lines []string) string {
	cleaned := make([]string, 0, len(lines))
	for _, l := range lines {
		cleaned = append(cleaned, clean(l))
	}
	if len(cleaned) == 0 {
		return "nothing changes"
	}
	return strings.Join(cleaned, "; ")
}

func queueWords(event any) string {
	switch e := event.(type) {
	case messages.QueueCreated:
		return "was missing and was created"
	case messages.QueueObserved:
		if e.Waiting == 0 {
			return "nothing waits"
		}
		return fmt.Sprintf("%s waiting, the first for %s", counted(e.Waiting, "task"), seconds(e.OldestWaitSeconds))
	case messages.QueuePlanned:
		if e.Waiting == 0 {
			return "nothing waits" + because(e.Reasons)
		}
		text := counted(e.Waiting, "task") + " waiting"
		if all := shares(e); all != "" {
			text += ": " + all
		}
		return text + because(e.Reasons)
	case messages.QueueClosed:
		if e.Instance == "" {
			return "closed to all agents"
		}
		return "closed to all agents for a moment, to end " + clean(string(e.Instance))
	case messages.QueueOpened:
		return "open again"
	}
	return ""
}

func launchWords(event any) string {
	switch e := event.(type) {
	case messages.InstanceRequested:
		return fmt.Sprintf("asks for %d × %s, with %d of at most %d there", e.Count, clean(e.Offering.String()), e.Alive, e.Max) + because(e.Reasons)
	case messages.InstanceRefused:
		text := fmt.Sprintf("refused %d × %s: %s", e.Count, clean(e.Offering.String()), failure(e.Class, e.Code, e.Message))
		if !e.RetryAt.IsZero() {
			text += "; asked again at " + clock(e.RetryAt)
		}
		return text
	case messages.InstanceLaunched:
		return fmt.Sprintf("%s: %s (launch %s)", clean(string(e.Resource)), clean(e.Offering.String()), clean(string(e.Launch)))
	case messages.InstanceAdopted:
		return fmt.Sprintf("%s: %s, found %s and taken over", clean(string(e.Resource)), clean(e.Offering.String()), clean(string(e.State)))
	case messages.InstanceStray:
		return fmt.Sprintf("is tagged as ours and %s, but no resource type %q is configured", clean(string(e.State)), clean(string(e.Resource)))
	}
	return ""
}

func instanceWords(event any) string {
	switch e := event.(type) {
	case messages.InstanceRegistered:
		return fmt.Sprintf("%s: worker %s came %s after the launch", clean(string(e.Resource)), clean(string(e.Worker)), seconds(e.BootSeconds))
	case messages.InstanceBusy:
		text := fmt.Sprintf("%s: runs task %s", clean(string(e.Resource)), clean(string(e.Task)))
		if e.TaskName != "" {
			text += " (" + clean(e.TaskName) + ")"
		}
		return text
	case messages.InstanceIdle:
		return fmt.Sprintf("%s: idle since %s", clean(string(e.Resource)), clock(e.Since))
	case messages.InstanceUnready:
		text := clean(string(e.Resource)) + ": has no live worker" + because(e.Reasons)
		if last := lastLine(e.Console); last != "" {
			text += fmt.Sprintf("; its console ends with %q", last)
		}
		return text
	case messages.InstanceNoticed:
		text := fmt.Sprintf("%s: EC2 announced %s", clean(string(e.Resource)), notice(e.Notice))
		if !e.When.IsZero() {
			text += " at " + clock(e.When)
		}
		if e.Task != "" {
			text += ", with task " + clean(string(e.Task)) + " on it"
		}
		return text
	}
	return ""
}

// notice is an announcement in words; one that this version does not know stands
// for itself.
func notice(kind messages.NoticeKind) string {
	switch kind {
	case messages.NoticeInterruption:
		return "to take it back"
	case messages.NoticeRebalance:
		return "that it may have to take it back (rebalance)"
	}
	return clean(string(kind))
}

// endWords are about an instance that goes, or does not after all.
func endWords(event any) string {
	switch e := event.(type) {
	case messages.InstanceDraining:
		return clean(string(e.Resource)) + ": picked to go" + because(e.Reasons)
	case messages.InstanceKept:
		return clean(string(e.Resource)) + ": kept after all" + because(e.Reasons)
	case messages.InstanceRecalled:
		return clean(string(e.Resource)) + ": taken back into service" + because(e.Reasons)
	case messages.InstanceTerminating:
		return clean(string(e.Resource)) + ": EC2 is ending it" + method(e.Method) + because(e.Reasons)
	case messages.InstanceUnended:
		return clean(string(e.Resource)) + ": EC2 will not end it, and it goes on costing money: " + failure(e.Class, e.Code, e.Message)
	case messages.InstanceGone:
		text := fmt.Sprintf("%s: %s is gone after %s", clean(string(e.Resource)), clean(e.Offering.String()), seconds(e.UpSeconds))
		if e.Task != "" {
			text += " with task " + clean(string(e.Task)) + " on it"
		}
		return text + because(e.Reasons)
	}
	return ""
}

// method is how it was made certain that an instance has no work.
func method(m messages.DrainMethod) string {
	words := clean(string(m))
	switch m {
	case messages.DrainAcknowledged:
		words = "its supervisor says that it has no work"
	case messages.DrainVanished:
		words = "its worker is gone for good"
	case messages.DrainBarrier:
		words = "it had no work while its queues were closed"
	case messages.DrainNeverRegistered:
		words = "it never had a worker"
	case messages.DrainForced:
		words = "whatever it runs"
	case "":
		return "" // an event of an earlier version
	}
	return " (" + words + ")"
}

// holdWords are about what is not done for a while.
func holdWords(event any) string {
	switch e := event.(type) {
	case messages.ResourceHeld:
		text := held(e.InstanceType) + "launches nothing, or one at a time"
		if !e.Until.IsZero() {
			text += "; one is tried at " + clock(e.Until)
		}
		return text + because(e.Reasons)
	case messages.ResourceReleased:
		return held(e.InstanceType) + "launches as before"
	case messages.FleetGuarded:
		return fmt.Sprintf("%d of %s look unhealthy at once: at most %d may go, the others stay", e.Suspects, counted(e.Alive, "instance"), e.Allowed)
	}
	return ""
}

// held is the instance type in front of a sentence, if it is about one.
func held(instanceType string) string {
	if instanceType == "" {
		return ""
	}
	return clean(instanceType) + " "
}

func taskWords(event any) string {
	switch e := event.(type) {
	case messages.TaskRequeued:
		return fmt.Sprintf("%swas lost and is back in queue %s", named(e.Name), clean(string(e.Queue))) + because(e.Reasons)
	case messages.TaskLost:
		return named(e.Name) + "is lost and stays so" + because(e.Reasons)
	case messages.TaskDuplicated:
		return named(e.Name) + "runs on several workers: " + joined(e.Workers)
	}
	return ""
}

// named is the name of a task in front of a sentence, if it has one.
func named(task string) string {
	if task == "" {
		return ""
	}
	return "(" + clean(task) + ") "
}

// lastLine is the last line of a console that says anything.
func lastLine(console string) string {
	lines := strings.Split(console, "\n")
	for _, line := range slices.Backward(lines) {
		if shown := clean(line); shown != "" {
			return shown
		}
	}
	return ""
}

// failure is a class with the vendor's code and message, as far as there are any.
func failure(class messages.FailureClass, code, message string) string {
	f := messages.Failure{Class: class, Code: clean(code), Message: clean(message)}
	return f.Error()
}

// Rival says that another ebb acts for the same autoscaler, and what to do.
func Rival(r messages.Rival) string {
	text := fmt.Sprintf("another ebb (owner %d on an event server of its own) gives signs of life for this autoscaler on queue %s; ", r.Epoch, clean(string(r.Queue)))
	if r.Holds {
		text += "this one came later and launches nothing: "
	} else {
		text += "that one came later and should launch nothing: "
	}
	return text + "stop one of the two, or let both use one event server, or give them different names"
}
