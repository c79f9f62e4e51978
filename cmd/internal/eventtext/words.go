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
	case messages.AutoscalerStarted, messages.AutoscalerStopped,
		messages.ObservationFailed, messages.ObservationRecovered:
		return autoscalerWords(e)
	case messages.QueueCreated, messages.QueueObserved, messages.QueuePlanned:
		return queueWords(e)
	case messages.InstanceRequested, messages.InstanceRefused, messages.InstanceLaunched,
		messages.InstanceAdopted, messages.InstanceStray:
		return launchWords(e)
	case messages.InstanceRegistered, messages.InstanceBusy, messages.InstanceIdle, messages.InstanceDraining,
		messages.InstanceKept, messages.InstanceUnready, messages.InstanceTerminating, messages.InstanceGone:
		return instanceWords(e)
	}
	return ""
}

func autoscalerWords(event any) string {
	switch e := event.(type) {
	case messages.AutoscalerStarted:
		return fmt.Sprintf("ebb %s serves queues %s with %s", clean(e.Version), joined(e.Queues), joined(e.Resources))
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
		text := fmt.Sprintf("%s waiting: %d covered, %d launching, %d unmet", counted(e.Waiting, "task"), e.Covered, e.Launching, e.Unmet)
		return text + because(e.Reasons)
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
	case messages.InstanceDraining:
		return clean(string(e.Resource)) + ": picked to go" + because(e.Reasons)
	case messages.InstanceKept:
		return clean(string(e.Resource)) + ": kept after all" + because(e.Reasons)
	case messages.InstanceUnready:
		text := clean(string(e.Resource)) + ": has no live worker" + because(e.Reasons)
		if last := lastLine(e.Console); last != "" {
			text += fmt.Sprintf("; its console ends with %q", last)
		}
		return text
	case messages.InstanceTerminating:
		return clean(string(e.Resource)) + ": EC2 is ending it" + because(e.Reasons)
	case messages.InstanceGone:
		text := fmt.Sprintf("%s: %s is gone after %s", clean(string(e.Resource)), clean(e.Offering.String()), seconds(e.UpSeconds))
		if e.Task != "" {
			text += " with task " + clean(string(e.Task)) + " on it"
		}
		return text + because(e.Reasons)
	}
	return ""
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
