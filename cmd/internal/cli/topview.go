package cli

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/ebbscale/ebb/messages"
)

// topLines is how many events the view keeps.
const topLines = 200

// statusMessage and eventMessage are what the view is told.
type (
	statusMessage struct {
		status messages.Status
		err    error
	}
	eventMessage string
)

// top is the bubbletea model of `ebb top`.
type top struct {
	name          messages.AutoscalerName
	status        messages.Status
	err           error
	events        []string
	order         int // of the instances: an index in orders
	first         int // of the instances that are shown
	more          bool
	width, height int
}

// newTop is a view that has heard nothing yet, on a terminal of unknown size.
func newTop(name messages.AutoscalerName) top { return top{name: name, width: 80, height: 24} }

// order is something that instances may be sorted by.
type order struct {
	name string
	less func(a, b messages.InstanceStatus) int
}

func orders() []order {
	type instance = messages.InstanceStatus
	return []order{
		{"state", func(a, b instance) int {
			all := messages.Conditions()
			return slices.Index(all, a.Condition) - slices.Index(all, b.Condition)
		}},
		{"age", func(a, b instance) int { return a.LaunchedAt.Compare(b.LaunchedAt) }},
		{"time in state", func(a, b instance) int { return a.Since.Compare(b.Since) }},
		{"resource", func(a, b instance) int { return strings.Compare(string(a.Resource), string(b.Resource)) }},
		{"price", func(a, b instance) int { return cmp.Compare(b.HourlyUSD, a.HourlyUSD) }},
	}
}

// Init implements tea.Model.
func (t top) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (t top) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case tea.KeyPressMsg:
		return t.key(m.String())
	case tea.WindowSizeMsg:
		t.width, t.height = m.Width, m.Height
	case statusMessage:
		t.err = m.err
		if m.err == nil {
			t.status = m.status
		}
	case eventMessage:
		t.events = append(slices.Clip(t.events), string(m))
		t.events = t.events[max(0, len(t.events)-topLines):]
	}
	return t.bounded(), nil
}

func (t top) key(key string) (tea.Model, tea.Cmd) {
	room := t.layout().instances
	switch key {
	case "q", "esc", "ctrl+c":
		return t, tea.Quit
	case "up", "k":
		t.first--
	case "down", "j":
		t.first++
	case "pgup":
		t.first -= room
	case "pgdown", "space":
		t.first += room
	case "home", "g":
		t.first = 0
	case "end", "G":
		t.first = len(t.status.Instances)
	case "s":
		t.order, t.first = (t.order+1)%len(orders()), 0
	case "e":
		t.more = !t.more
	}
	return t.bounded(), nil
}

// bounded does not scroll past the last instance.
func (t top) bounded() top {
	t.first = max(0, min(t.first, len(t.status.Instances)-t.layout().instances))
	return t
}

// layout is how many rows each part of the view has.
type layout struct{ queues, resources, instances, events int }

// fixed are the lines that are always there: the heading of three tables, a line
// between them, and the line with the keys.
const fixed = 3 + 3 + 1

func (t top) layout() layout {
	room := t.height - fixed - len(t.head())
	var l layout
	l.events = min(len(t.events), 6, max(0, room/4))
	if t.more {
		l.events = min(len(t.events), max(0, room/2))
	}
	room -= l.events
	l.queues = min(len(t.status.Queues), max(1, room/4))
	l.resources = min(len(t.status.Resources), max(1, room/4))
	// What few instances leave goes to queues and resource types.
	spare := max(0, room-l.queues-l.resources-max(1, len(t.status.Instances)))
	more := min(spare-min(spare/2, len(t.status.Resources)-l.resources), len(t.status.Queues)-l.queues)
	l.queues += more
	l.resources += min(spare-more, len(t.status.Resources)-l.resources)
	l.instances = max(1, room-l.queues-l.resources)
	return l
}

// head are the first lines: what is wrong, and who acts.
func (t top) head() []string {
	if t.status.At.IsZero() {
		return nil
	}
	lines := statusHead(t.status)
	if t.err != nil {
		lines = append([]string{fmt.Sprintf("NO ANSWER, this is from %s UTC: %s", t.status.At.UTC().Format(time.TimeOnly), t.err)}, lines...)
	}
	return lines
}

// View implements tea.Model.
func (t top) View() tea.View {
	shown := tea.NewView(t.text())
	shown.AltScreen = true
	return shown
}

// text is what the view shows.
func (t top) text() string {
	if t.status.At.IsZero() {
		text := "asking " + string(t.name) + " …"
		if t.err != nil {
			text = t.err.Error() + "\n(asked again every second; q quits)"
		}
		return lipgloss.NewStyle().Width(t.width).Render(text) + "\n"
	}
	l := t.layout()
	var lines []string
	for _, line := range t.head() {
		lines = append(lines, headStyle(line).Render(clip(line, t.width)))
	}
	lines = append(lines, "")
	lines = append(lines, t.queues(l.queues)...)
	lines = append(lines, "")
	lines = append(lines, t.resources(l.resources)...)
	lines = append(lines, "")
	lines = append(lines, t.instances(l.instances)...)
	dim := lipgloss.NewStyle().Faint(true)
	for _, event := range t.events[len(t.events)-l.events:] {
		lines = append(lines, dim.Render(clip(brief(event), t.width)))
	}
	lines = append(lines, lipgloss.NewStyle().Reverse(true).Render(clip(t.help(), t.width)))
	return strings.Join(lines, "\n")
}

// brief is a line of an event without what the view says already: the day, and
// whose it is.
func brief(event string) string {
	at, rest, found := strings.Cut(event, "  ")
	when, err := time.Parse(time.RFC3339, at)
	_, rest, of := strings.Cut(rest, "  ")
	if err != nil || !found || !of {
		return event
	}
	return when.Format(time.TimeOnly) + "  " + rest
}

// help says what the keys do, and which instances are shown.
func (t top) help() string {
	all := len(t.status.Instances)
	where := "no instances"
	if last := min(all, t.first+t.layout().instances); all > 0 {
		where = fmt.Sprintf("%d-%d of %s by %s", t.first+1, last, counted(all, "instance"), orders()[t.order].name)
	}
	return " q quit  ↑↓ scroll  s sort  e events  " + where + " "
}

// queues are the rows that fit, those where something waits before the others.
func (t top) queues(room int) []string {
	sorted := slices.Clone(t.status.Queues)
	slices.SortStableFunc(sorted, func(a, b messages.QueueStatus) int {
		return cmp.Compare(min(1, b.Waiting), min(1, a.Waiting))
	})
	shown := sorted[:min(len(sorted), room)]
	lines := queueTable(t.status, shown, t.width)
	lines[0] = title(lines[0], len(sorted)-len(shown), t.width)
	for n, q := range shown {
		switch {
		case q.Waiting > 0 && q.Verdict.Unmet > 0:
			lines[n+1] = colored(lines[n+1], lipgloss.Color("214"))
		case q.Waiting > 0:
			lines[n+1] = colored(lines[n+1], lipgloss.Color("39"))
		}
	}
	return lines
}

// resources are the rows that fit, those with instances or trouble before the
// others.
func (t top) resources(room int) []string {
	sorted := slices.Clone(t.status.Resources)
	dull := func(r messages.ResourceStatus) int {
		if r.Alive > 0 || resourceNote(t.status, r) != "" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(sorted, func(a, b messages.ResourceStatus) int { return dull(a) - dull(b) })
	shown := sorted[:min(len(sorted), room)]
	lines := resourceTable(t.status, shown, t.width)
	lines[0] = title(lines[0], len(sorted)-len(shown), t.width)
	for n, r := range shown {
		if resourceNote(t.status, r) != "" {
			lines[n+1] = colored(lines[n+1], lipgloss.Color("214"))
		}
	}
	return lines
}

// instances are the rows that fit, under their heading.
func (t top) instances(room int) []string {
	sorted := slices.Clone(t.status.Instances)
	slices.SortStableFunc(sorted, orders()[t.order].less)
	first := min(t.first, len(sorted))
	shown := sorted[first:min(len(sorted), first+room)]
	lines := instanceTable(t.status, shown, t.width)
	lines[0] = title(lines[0], 0, t.width)
	for n, i := range shown {
		lines[n+1] = colored(lines[n+1], conditionColor(i.Condition))
	}
	for len(lines) < room+1 {
		lines = append(lines, "")
	}
	return lines
}

// title is a heading, with how many rows are left out.
func title(line string, hidden, width int) string {
	if hidden > 0 {
		note := fmt.Sprintf("  (%d more)", hidden)
		line = clip(line, width-len(note)) + note
	}
	return lipgloss.NewStyle().Bold(true).Render(line)
}

func colored(line string, color color.Color) string {
	return lipgloss.NewStyle().Foreground(color).Render(line)
}

// headStyle makes stand out what is written in capitals.
func headStyle(line string) lipgloss.Style {
	style := lipgloss.NewStyle()
	for _, word := range []string{"NO ANSWER", "FAILS", "STOPPING", "LOST"} {
		if strings.Contains(line, word) {
			return style.Foreground(lipgloss.Color("203"))
		}
	}
	if strings.HasPrefix(line, "PAUSED") {
		return style.Foreground(lipgloss.Color("214"))
	}
	return style
}

// conditionColor makes stand out what costs without working.
func conditionColor(condition messages.Condition) color.Color {
	switch condition {
	case messages.ConditionBooting:
		return lipgloss.Color("39")
	case messages.ConditionIdle:
		return lipgloss.Color("214")
	case messages.ConditionBusy:
		return lipgloss.Color("42")
	case messages.ConditionDraining:
		return lipgloss.Color("213")
	case messages.ConditionVanished, messages.ConditionTerminating:
		return lipgloss.Color("203")
	}
	return lipgloss.NoColor{}
}
