package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

const (
	// topEvery is how often the view asks for the status.
	topEvery = time.Second
	// topLines is how many events it keeps.
	topLines = 200
)

func (i *invocation) topCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "top", Short: "Watch a running ebb live in the terminal", Args: flagsOnly,
		Long: "Watch queues, resource types, instances and events of a running ebb. Up and down\n" +
			"scroll the instances, s sorts them by another column, e shows more events, q quits.",
	}
	return i.control(c, func(ctx context.Context, _ controlOptions, client control.Client, name messages.AutoscalerName, _ []string) error {
		out, ok := i.terminal()
		if !ok {
			return usagef("top needs a terminal; `ebb status` and `ebb events --follow` print lines")
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		program := tea.NewProgram(top{name: name}, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithOutput(out))
		go pollStatus(ctx, client, name, program)
		go followEvents(ctx, client, name, i.Now(), program)
		_, err := program.Run()
		if err != nil && (ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted)) {
			return nil // it was told to end
		}
		return err
	})
}

// terminal is the output, if it is one.
func (i *invocation) terminal() (*os.File, bool) {
	kept, ok := i.Stdout.(*keptError)
	if !ok {
		return nil, false
	}
	file, ok := kept.w.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// statusMessage and eventMessage are what the view is told.
type (
	statusMessage struct {
		status messages.Status
		err    error
	}
	eventMessage string
)

func pollStatus(ctx context.Context, client control.Client, name messages.AutoscalerName, program *tea.Program) {
	ticker := time.NewTicker(topEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		status, err := client.Status(ctx, name)
		program.Send(statusMessage{status: status, err: err})
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func followEvents(ctx context.Context, client control.Client, name messages.AutoscalerName, now time.Time, program *tea.Program) {
	query := bus.EventQuery{Autoscaler: name, Since: now.Add(-10 * time.Minute), Follow: true}
	err := client.Bus.Events(ctx, query, func(stored bus.StoredEvent) error {
		program.Send(eventMessage(eventLine(stored)))
		return nil
	})
	if err != nil && ctx.Err() == nil {
		program.Send(eventMessage("events can not be read: " + err.Error()))
	}
}

// top is the bubbletea model.
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

// orders are what instances may be sorted by.
func orders() []struct {
	name string
	less func(a, b messages.InstanceStatus) int
} {
	type instance = messages.InstanceStatus
	return []struct {
		name string
		less func(a, b instance) int
	}{
		{"state", func(a, b instance) int {
			all := messages.Conditions()
			return slices.Index(all, a.Condition) - slices.Index(all, b.Condition)
		}},
		{"age", func(a, b instance) int { return a.LaunchedAt.Compare(b.LaunchedAt) }},
		{"time in state", func(a, b instance) int { return a.Since.Compare(b.Since) }},
		{"resource", func(a, b instance) int { return strings.Compare(string(a.Resource), string(b.Resource)) }},
		{"price", func(a, b instance) int { return int(1000 * (b.HourlyUSD - a.HourlyUSD)) }},
	}
}

// Init implements tea.Model.
func (t top) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (t top) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case tea.KeyMsg:
		return t.key(m.String())
	case tea.WindowSizeMsg:
		t.width, t.height = m.Width, m.Height
	case statusMessage:
		t.err = m.err
		if m.err == nil {
			t.status = m.status
		}
	case eventMessage:
		t.events = append(t.events, string(m))
		t.events = t.events[max(0, len(t.events)-topLines):]
	}
	t.first = max(0, min(t.first, len(t.status.Instances)-1))
	return t, nil
}

func (t top) key(key string) (tea.Model, tea.Cmd) {
	switch key {
	case "q", "esc", "ctrl+c":
		return t, tea.Quit
	case "up", "k":
		t.first--
	case "down", "j":
		t.first++
	case "pgup":
		t.first -= 20
	case "pgdown", " ":
		t.first += 20
	case "home", "g":
		t.first = 0
	case "s":
		t.order = (t.order + 1) % len(orders())
	case "e":
		t.more = !t.more
	}
	t.first = max(0, min(t.first, len(t.status.Instances)-1))
	return t, nil
}

// View implements tea.Model.
func (t top) View() string {
	width, height := max(40, t.width), max(12, t.height)
	dim := lipgloss.NewStyle().Faint(true)
	if t.status.At.IsZero() {
		text := "asking " + string(t.name) + " …"
		if t.err != nil {
			text = t.err.Error()
		}
		return clip(text, width) + "\n"
	}
	head := statusHead(t.status)
	if t.err != nil {
		bad := lipgloss.NewStyle().Foreground(lipgloss.Color("203"))
		head = bad.Render(clip(fmt.Sprintf("no answer, what is shown is from %s: %s", t.status.At.Format(time.TimeOnly), t.err), width)) + "\n" + head
	}
	head += "\n" + queueTable(t.status) + "\n" + resourceTable(t.status) + "\n"
	lines := clipped(head, width)

	events := min(len(t.events), 6)
	if t.more {
		events = min(len(t.events), height/2)
	}
	room := max(3, height-len(lines)-events-3)
	lines = append(lines, t.instances(room, width)...)
	lines = append(lines, dim.Render(clip("↑↓ scroll   s sort by "+orders()[(t.order+1)%len(orders())].name+"   e events   q quit", width)))
	for _, event := range t.events[len(t.events)-events:] {
		lines = append(lines, dim.Render(clip(event, width)))
	}
	return strings.Join(lines, "\n")
}

// instances are the rows that fit, under their heading.
func (t top) instances(room, width int) []string {
	sorted := slices.Clone(t.status.Instances)
	slices.SortStableFunc(sorted, orders()[t.order].less)
	shown := sorted[t.first:min(len(sorted), t.first+room-1)]
	rows := clipped(instanceTable(t.status, shown), width)
	for n, i := range shown {
		rows[n+1] = lipgloss.NewStyle().Foreground(conditionColor(i.Condition)).Render(rows[n+1])
	}
	if hidden := len(sorted) - len(shown); hidden > 0 {
		rows[0] += fmt.Sprintf("   (%d more)", hidden)
	}
	return rows
}

// conditionColor makes stand out what costs without working.
func conditionColor(condition messages.Condition) lipgloss.Color {
	switch condition {
	case messages.ConditionBooting:
		return "39"
	case messages.ConditionIdle:
		return "214"
	case messages.ConditionBusy:
		return "42"
	case messages.ConditionDraining:
		return "213"
	case messages.ConditionVanished, messages.ConditionTerminating:
		return "203"
	}
	return ""
}

func clipped(text string, width int) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for n, line := range lines {
		lines[n] = clip(line, width)
	}
	return lines
}
