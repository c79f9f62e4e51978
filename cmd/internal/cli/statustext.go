package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// statusText is a status for a terminal of some width, or 0 for any: a heading,
// and a table each of queues, resource types and instances.
func statusText(s messages.Status, width int) string {
	blocks := [][]string{statusHead(s), queueTable(s, s.Queues, width), resourceTable(s, s.Resources, width)}
	if len(s.Instances) > 0 {
		blocks = append(blocks, instanceTable(s, s.Instances, width))
	}
	texts := make([]string, 0, len(blocks))
	for _, lines := range blocks {
		texts = append(texts, strings.Join(lines, "\n")+"\n")
	}
	return strings.Join(texts, "\n")
}

// statusHead says who acts, and what is wrong with the world.
func statusHead(s messages.Status) []string {
	first := fmt.Sprintf("%s: ebb %s, %s has acted for %s", s.Autoscaler, s.Version, eventtext.Clean(s.Holder), since(s, s.StartedAt))
	if s.Stopping {
		first += ", and is STOPPING"
	}
	lines := []string{
		first,
		fmt.Sprintf("ClearML %s; EC2 %s; events %s", sourceText(s, s.ClearML), sourceText(s, s.EC2), outboxText(s)),
	}
	if usd, unknown := hourly(s); usd > 0 {
		line := fmt.Sprintf("%s, about $%.2f an hour", counted(len(s.Instances), "instance"), usd)
		if unknown > 0 {
			line += fmt.Sprintf(", without %d of unknown price", unknown)
		}
		lines = append(lines, line)
	}
	if p := s.Pause; p != nil {
		lines = append(lines, pauseText(s, *p))
	}
	if s.Rival != nil {
		lines = append(lines, "CONTESTED for "+since(s, s.Rival.Since)+": "+eventtext.Rival(*s.Rival))
	}
	if c := s.Configuration; c != nil {
		lines = append(lines, configurationText(s, *c)...)
	}
	if len(s.Silent) > 0 {
		lines = append(lines, fmt.Sprintf("NO ANSWER in time from %s: nothing is said of it here", eventtext.Clean(strings.Join(s.Silent, ", "))))
	}
	return lines
}

// configurationText says how far the configuration file is not what runs.
func configurationText(s messages.Status, c messages.ConfigurationStatus) []string {
	var lines []string
	if len(c.Unsound) > 0 {
		lines = append(lines, fmt.Sprintf("CONFIGURATION FILE NOT TAKEN OVER for %s, what ran before goes on: %s", since(s, c.UnsoundSince), eventtext.Clean(strings.Join(c.Unsound, "; "))))
	}
	if len(c.Restart) > 0 {
		lines = append(lines, "configuration file, AT THE NEXT START: "+eventtext.Clean(strings.Join(c.Restart, "; ")))
	}
	return lines
}

func pauseText(s messages.Status, p messages.Pause) string {
	text := "PAUSED for " + since(s, p.At)
	if p.By != "" {
		text += " by " + eventtext.Clean(p.By)
	}
	if !p.Until.IsZero() {
		text += fmt.Sprintf(", until %s (in %s)", p.Until.UTC().Format(time.RFC3339), span(p.Until.Sub(s.At)))
	}
	if p.Why != "" {
		text += ": " + eventtext.Clean(p.Why)
	}
	return text
}

func sourceText(s messages.Status, source messages.SourceStatus) string {
	switch {
	case !source.DownSince.IsZero():
		return fmt.Sprintf("FAILS for %s (%s)", since(s, source.DownSince), spaced(string(source.Class)))
	case source.LastGood.IsZero():
		return "has not answered yet"
	}
	return "answered " + since(s, source.LastGood) + " ago"
}

func outboxText(s messages.Status) string {
	text := "all published"
	if s.EventsPending > 0 {
		text = fmt.Sprintf("%d not published yet", s.EventsPending)
	}
	if s.EventsLost > 0 {
		text += fmt.Sprintf(", %d LOST", s.EventsLost)
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

func queueTable(s messages.Status, queues []messages.QueueStatus, width int) []string {
	rows := make([][]string, 0, len(queues))
	for _, q := range queues {
		waits, first := "?", "?"
		if q.Known {
			waits, first = fmt.Sprint(q.Waiting), "-"
		}
		if q.Waiting > 0 {
			first = span(time.Duration(q.WaitSeconds * float64(time.Second)))
		}
		rows = append(rows, []string{eventtext.Clean(string(q.Queue)), waits, first, served(q.Resources), eventtext.Verdict(q, s.Resources)})
	}
	heads := columns("QUEUE", "#WAITING", "#FIRST FOR", "SERVED BY", "WHY")
	if isNarrow(width) {
		heads, rows = without(heads, rows, "SERVED BY")
	}
	return tableLines(heads, rows, width)
}

func served(resources []messages.ResourceName) string {
	parts := make([]string, 0, len(resources))
	for _, name := range resources {
		parts = append(parts, string(name))
	}
	return strings.Join(parts, ", ")
}

func resourceTable(s messages.Status, resources []messages.ResourceStatus, width int) []string {
	counts := make(map[messages.ResourceName]map[messages.Condition]int)
	total := make(map[messages.Condition]int)
	for _, i := range s.Instances {
		if counts[i.Resource] == nil {
			counts[i.Resource] = make(map[messages.Condition]int)
		}
		counts[i.Resource][i.Condition]++
		total[i.Condition]++
	}
	// What is rare has a column only while there is any.
	shown := slices.DeleteFunc(messages.Conditions(), func(c messages.Condition) bool {
		return total[c] == 0 && c != messages.ConditionBooting && c != messages.ConditionIdle && c != messages.ConditionBusy
	})
	heads := columns("RESOURCE", "#ALIVE", "#MAX", "#LAUNCHING")
	for _, condition := range shown {
		heads = append(heads, column{strings.ToUpper(string(condition)), true})
	}
	heads = append(heads, column{name: "NOTE"})
	rows, launching := make([][]string, 0, len(resources)), 0
	for _, r := range resources {
		row := []string{eventtext.Clean(string(r.Resource)), fmt.Sprint(r.Alive), fmt.Sprint(r.Max), dash(r.Launching)}
		for _, condition := range shown {
			row = append(row, dash(counts[r.Resource][condition]))
		}
		rows = append(rows, append(row, resourceNote(s, r)))
		launching += r.Launching
	}
	if launching == 0 {
		heads, rows = without(heads, rows, "LAUNCHING")
	}
	return tableLines(heads, rows, width)
}

// dash is a number in which nothing catches no eye.
func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// resourceNote says what keeps a resource type from launching.
func resourceNote(s messages.Status, r messages.ResourceStatus) string {
	var notes []string
	if !r.Known {
		notes = append(notes, "waits for EC2's listing")
	}
	if r.Retired {
		notes = append(notes, "not configured any more")
	}
	if len(r.Blocks) > 0 {
		soonest := slices.MinFunc(r.Blocks, func(a, b messages.Blocked) int { return a.Until.Compare(b.Until) })
		notes = append(notes, fmt.Sprintf("%d of %d choices refused (%s), asked again in %s",
			len(r.Blocks), len(r.Offerings), spaced(string(soonest.Class)), span(soonest.Until.Sub(s.At))))
	}
	for _, reason := range r.Held {
		note := "somebody has to act: " + spaced(eventtext.Clean(reason.Subject))
		if reason.Detail != "" {
			note += " (" + eventtext.Clean(reason.Detail) + ")"
		}
		notes = append(notes, note)
	}
	return strings.Join(notes, "; ")
}

func instanceTable(s messages.Status, instances []messages.InstanceStatus, width int) []string {
	rows := make([][]string, 0, len(instances))
	for _, i := range instances {
		price := "?"
		if i.HourlyUSD > 0 {
			price = fmt.Sprintf("%.2f", i.HourlyUSD)
		}
		state := string(i.Condition)
		if i.Notice != "" {
			state += " (" + string(i.Notice) + ")"
		}
		rows = append(rows, []string{
			string(i.Instance), eventtext.Clean(string(i.Resource)), i.Offering.InstanceType, string(i.Offering.Market), i.Offering.Zone,
			state, since(s, i.Since), since(s, i.LaunchedAt), price, taskText(i),
		})
	}
	heads := columns("INSTANCE", "RESOURCE", "TYPE", "MARKET", "ZONE", "STATE", "#FOR", "#UP", "#$/H", "TASK, OR WHY IT GOES")
	if isNarrow(width) {
		for _, name := range []string{"TYPE", "MARKET", "ZONE"} {
			heads, rows = without(heads, rows, name)
		}
	}
	return tableLines(heads, rows, width)
}

// taskText names a task, by what its user called it or else its id; of an
// instance that goes it says why.
func taskText(i messages.InstanceStatus) string {
	text := string(i.Task)
	if i.TaskName != "" {
		text = i.TaskName
	}
	if text == "" && len(i.Reasons) > 0 {
		return clip(eventtext.Reason(i.Reasons[0]), 60)
	}
	return clip(eventtext.Clean(text), 40)
}

func since(s messages.Status, at time.Time) string { return span(s.At.Sub(at)) }

func spaced(code string) string { return strings.ReplaceAll(code, "_", " ") }
