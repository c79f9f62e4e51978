package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"golang.org/x/term"

	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

// frames is how often the live view is drawn.
const frames = 150 * time.Millisecond

// screen shows the demo: as lines, or as a live view on a terminal.
type screen struct {
	out   io.Writer
	board *board
	live  bool
}

func (p plan) screen(b *board) *screen {
	file, ok := p.Out.(*os.File)
	return &screen{out: p.Out, board: b, live: !p.Headless && ok && term.IsTerminal(int(file.Fd()))}
}

// event shows one event as a line; the live view draws the board by itself.
func (s *screen) event(line string) {
	if !s.live {
		fmt.Fprintln(s.out, line)
	}
}

// during runs work, with the live view around it if there is one. Leaving the
// view ends the work.
func (s *screen) during(ctx context.Context, work func(context.Context) error) error {
	if !s.live {
		return work(ctx)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	program := tea.NewProgram(picture{board: s.board}, tea.WithOutput(s.out), tea.WithContext(ctx))
	done := make(chan error, 1)
	go func() {
		done <- work(ctx)
		program.Quit()
	}()
	if _, err := program.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("draw the demo: %w", err)
	}
	stop()
	return <-done
}

// picture is the bubbletea model of the board.
type picture struct {
	board  *board
	width  int
	height int
}

type frame struct{}

func nextFrame() tea.Cmd { return tea.Tick(frames, func(time.Time) tea.Msg { return frame{} }) }

// Init implements tea.Model.
func (p picture) Init() tea.Cmd { return nextFrame() }

// Update implements tea.Model.
func (p picture) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case tea.KeyPressMsg:
		if key := m.String(); key == "q" || key == "ctrl+c" || key == "esc" {
			return p, tea.Quit
		}
	case tea.WindowSizeMsg:
		p.width, p.height = m.Width, m.Height
	case frame:
		return p, nextFrame()
	}
	return p, nil
}

// View implements tea.Model.
func (p picture) View() tea.View {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	shown := tea.NewView(p.board.draw(max(60, p.width), max(24, p.height)))
	shown.AltScreen = true
	return shown
}

// paint has a color for each condition: what costs without working stands out.
func paint(condition messages.Condition) lipgloss.Style {
	color := map[messages.Condition]string{
		messages.ConditionBooting: "39", messages.ConditionIdle: "214", messages.ConditionBusy: "42",
		messages.ConditionVanished: "203", messages.ConditionDraining: "213", messages.ConditionTerminating: "203",
	}[condition]
	return lipgloss.NewStyle().Foreground(lipgloss.Color(color))
}

// draw renders the board, with as many of the last events as fit; the caller
// holds the lock.
func (b *board) draw(width, height int) string {
	bold, dim := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	state := b.view.State()
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %s   %d jobs   %d events   %s\n", bold.Render("ebb demo"),
		b.clock.Now().Format("Mon 15:04:05"), b.jobs, b.events, dim.Render("q quits"))
	for _, door := range b.doors {
		fmt.Fprintf(&text, "%s\n", dim.Render(clip(door, width-1)))
	}
	text.WriteString("\n")
	fmt.Fprintf(&text, "%s\n", bold.Render("QUEUE          WAITING  WHY"))
	resources := make([]messages.ResourceStatus, 0, len(state.ResourceOrder))
	for _, name := range state.ResourceOrder {
		resources = append(resources, state.Resources[name])
	}
	for _, name := range state.QueueOrder {
		q, waiting := state.Queues[name], "?"
		if q.Known {
			waiting = strconv.Itoa(q.Waiting)
		}
		fmt.Fprintf(&text, "%-14s %7s  %s\n", name, waiting, dim.Render(clip(eventtext.Verdict(q.QueueStatus, resources), width-26)))
	}
	fmt.Fprintf(&text, "\n%s\n", bold.Render("RESOURCE TYPE                       INSTANCES"))
	instances := sorted(state)
	for _, r := range resources {
		kind := ""
		if len(r.Offerings) > 0 { // what is not configured has none
			kind = strings.ReplaceAll(string(r.Offerings[0].Market), "_", "-") + " " + r.Offerings[0].InstanceType
		}
		fmt.Fprintf(&text, "%-14s %s %s\n", r.Resource, dim.Render(fmt.Sprintf("%-20s", kind)), bar(r, instances))
	}
	fmt.Fprintf(&text, "\n%s\n", bold.Render("INSTANCE             TYPE          STATE        FOR       TASK"))
	for _, i := range instances {
		fmt.Fprintf(&text, "%-20s %-13s %s %-9s %s\n", i.Instance, i.Offering.InstanceType,
			paint(i.Condition).Render(fmt.Sprintf("%-12s", i.Condition)), b.clock.Now().Sub(i.Since).Round(time.Second), clip(i.TaskName, width-58))
	}
	fmt.Fprintf(&text, "\n%s\n", bold.Render("EVENTS"))
	fitting := max(0, height-strings.Count(text.String(), "\n")-1)
	for _, line := range b.lines[max(0, len(b.lines)-fitting):] {
		fmt.Fprintf(&text, "%s\n", dim.Render(clip(line, width-1)))
	}
	return text.String()
}

// bar draws one block for each instance, in the color of its condition, and a dot
// for each that there may still be.
func bar(r messages.ResourceStatus, instances []messages.InstanceStatus) string {
	var text strings.Builder
	alive := 0
	for _, i := range instances {
		if i.Resource == r.Resource {
			alive++
			text.WriteString(paint(i.Condition).Render("■ "))
		}
	}
	text.WriteString(strings.Repeat("· ", max(0, r.Max-alive)))
	return fmt.Sprintf("%s %d/%d", text.String(), alive, r.Max)
}

// sorted are the instances by resource type and id.
func sorted(state *view.State) []messages.InstanceStatus {
	return slices.SortedFunc(maps.Values(state.Instances), func(x, y messages.InstanceStatus) int {
		return cmp.Or(cmp.Compare(x.Resource, y.Resource), cmp.Compare(x.Instance, y.Instance))
	})
}

// clip cuts a text to a width in runes.
func clip(text string, width int) string {
	runes := []rune(text)
	if width < 2 || len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}
