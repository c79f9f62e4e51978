package cli

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// statusText is a status for a terminal: a heading, and a table each of queues,
// resource types and instances.
func statusText(s messages.Status) string {
	var b strings.Builder
	b.WriteString(statusHead(s))
	b.WriteString("\n" + queueTable(s))
	b.WriteString("\n" + resourceTable(s))
	if len(s.Instances) > 0 {
		b.WriteString("\n" + instanceTable(s, s.Instances))
	}
	return b.String()
}

// statusHead says who acts, and what is wrong with the world.
func statusHead(s messages.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ebb %s, %s is owner %d for %s", s.Autoscaler, s.Version, s.Holder, s.Epoch, since(s, s.StartedAt))
	if s.Stopping {
		b.WriteString(", and is stopping")
	}
	fmt.Fprintf(&b, "\nClearML %s; EC2 %s; events %s\n", sourceText(s, s.ClearML), sourceText(s, s.EC2), outboxText(s))
	if usd, unknown := hourly(s); usd > 0 {
		fmt.Fprintf(&b, "about $%.2f an hour", usd)
		if unknown > 0 {
			fmt.Fprintf(&b, ", without %d of unknown price", unknown)
		}
		b.WriteString("\n")
	}
	if p := s.Pause; p != nil {
		fmt.Fprintf(&b, "PAUSED for %s", since(s, p.At))
		if p.By != "" {
			fmt.Fprintf(&b, " by %s", p.By)
		}
		if !p.Until.IsZero() {
			fmt.Fprintf(&b, ", until %s", p.Until.UTC().Format(time.RFC3339))
		}
		if p.Why != "" {
			fmt.Fprintf(&b, ": %s", p.Why)
		}
		b.WriteString("\n")
	}
	if len(s.Silent) > 0 {
		fmt.Fprintf(&b, "no answer in time from %s: nothing is said of it below\n", strings.Join(s.Silent, ", "))
	}
	return b.String()
}

func sourceText(s messages.Status, source messages.SourceStatus) string {
	switch {
	case !source.DownSince.IsZero():
		return fmt.Sprintf("FAILS for %s (%s)", since(s, source.DownSince), source.Class)
	case source.LastGood.IsZero():
		return "not asked yet"
	}
	return "ok " + since(s, source.LastGood) + " ago"
}

func outboxText(s messages.Status) string {
	text := "all published"
	if s.EventsPending > 0 {
		text = fmt.Sprintf("%d not published yet", s.EventsPending)
	}
	if s.EventsLost > 0 {
		text += fmt.Sprintf(", %d lost", s.EventsLost)
	}
	return text
}

// hourly adds up prices; unknown counts the instances that have none.
func hourly(s messages.Status) (usd float64, unknown int) {
	for _, i := range s.Instances {
		usd += i.HourlyUSD
		if i.HourlyUSD == 0 {
			unknown++
		}
	}
	return usd, unknown
}

func table(rows func(w *tabwriter.Writer)) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	rows(w)
	_ = w.Flush() // into memory
	lines := strings.Split(b.String(), "\n")
	for n, line := range lines {
		lines[n] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func queueTable(s messages.Status) string {
	return table(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "QUEUE\tWAITING\tFIRST FOR\tSERVED BY\tWHY")
		for _, q := range s.Queues {
			waits, first := "?", "?"
			if q.Known {
				waits, first = fmt.Sprint(q.Waiting), "-"
			}
			if q.Waiting > 0 {
				first = span(time.Duration(q.WaitSeconds * float64(time.Second)))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", q.Queue, waits, first, served(q.Resources), whyText(q.Verdict))
		}
	})
}

func served(resources []messages.ResourceName) string {
	parts := make([]string, 0, len(resources))
	for _, name := range resources {
		parts = append(parts, string(name))
	}
	return strings.Join(parts, ", ")
}

// whyText is a verdict in few words.
func whyText(v messages.QueuePlanned) string {
	if v.Waiting == 0 {
		return "nothing waits"
	}
	parts := []string{fmt.Sprintf("%d covered, %d launching, %d unmet", v.Covered, v.Launching, v.Unmet)}
	for _, reason := range v.Reasons {
		parts = append(parts, eventtext.Reason(reason))
	}
	return strings.Join(parts, "; ")
}

func resourceTable(s messages.Status) string {
	conditions := messages.Conditions()
	return table(func(w *tabwriter.Writer) {
		fmt.Fprint(w, "RESOURCE\tALIVE\tMAX\tLAUNCHING")
		for _, condition := range conditions {
			fmt.Fprintf(w, "\t%s", strings.ToUpper(string(condition)))
		}
		fmt.Fprintln(w, "\tNOTE")
		for _, r := range s.Resources {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d", r.Resource, r.Alive, r.Max, r.Launching)
			for _, condition := range conditions {
				fmt.Fprintf(w, "\t%d", count(s, r.Resource, condition))
			}
			fmt.Fprintf(w, "\t%s\n", resourceNote(s, r))
		}
	})
}

func count(s messages.Status, resource messages.ResourceName, condition messages.Condition) int {
	n := 0
	for _, i := range s.Instances {
		if i.Resource == resource && i.Condition == condition {
			n++
		}
	}
	return n
}

// resourceNote says what keeps a resource type from launching.
func resourceNote(s messages.Status, r messages.ResourceStatus) string {
	var notes []string
	if !r.Known {
		notes = append(notes, "not known yet")
	}
	if r.Retired {
		notes = append(notes, "not configured any more")
	}
	for _, reason := range r.Held {
		notes = append(notes, "held: "+eventtext.Reason(reason))
	}
	if len(r.Blocks) > 0 {
		soonest := slices.MinFunc(r.Blocks, func(a, b messages.Blocked) int { return a.Until.Compare(b.Until) })
		notes = append(notes, fmt.Sprintf("%d of %d offerings blocked (%s; next in %s)",
			len(r.Blocks), len(r.Offerings), soonest.Class, span(max(0, soonest.Until.Sub(s.At)))))
	}
	return strings.Join(notes, "; ")
}

func instanceTable(s messages.Status, instances []messages.InstanceStatus) string {
	return table(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "INSTANCE\tRESOURCE\tTYPE\tMARKET\tZONE\tSTATE\tFOR\tUP\t$/H\tTASK")
		for _, i := range instances {
			price := "?"
			if i.HourlyUSD > 0 {
				price = fmt.Sprintf("%.2f", i.HourlyUSD)
			}
			state := string(i.Condition)
			if i.Notice != "" {
				state += " (" + string(i.Notice) + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Instance, i.Resource, i.Offering.InstanceType, i.Offering.Market,
				i.Offering.Zone, state, since(s, i.Since), since(s, i.LaunchedAt), price, taskText(i))
		}
	})
}

// taskText names a task: what its user called it, or its id.
func taskText(i messages.InstanceStatus) string {
	text := string(i.Task)
	if i.TaskName != "" {
		text = i.TaskName
	}
	return clip(eventtext.Clean(text), 40)
}

func clip(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

func since(s messages.Status, at time.Time) string { return span(max(0, s.At.Sub(at))) }

// span is a duration in its two largest units: 45s, 12m, 3h12m, 2d4h.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
