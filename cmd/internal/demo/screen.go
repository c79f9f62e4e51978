package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
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
	program := tea.NewProgram(view{board: s.board}, tea.WithOutput(s.out), tea.WithContext(ctx), tea.WithAltScreen())
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

// view is the bubbletea model of the board.
type view struct {
	board  *board
	width  int
	height int
}

type frame struct{}

func nextFrame() tea.Cmd { return tea.Tick(frames, func(time.Time) tea.Msg { return frame{} }) }

// Init implements tea.Model.
func (v view) Init() tea.Cmd { return nextFrame() }

// Update implements tea.Model.
func (v view) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case tea.KeyMsg:
		if key := m.String(); key == "q" || key == "ctrl+c" || key == "esc" {
			return v, tea.Quit
		}
	case tea.WindowSizeMsg:
		v.width, v.height = m.Width, m.Height
	case frame:
		return v, nextFrame()
	}
	return v, nil
}

// View implements tea.Model.
func (v view) View() string {
	v.board.mu.Lock()
	defer v.board.mu.Unlock()
	return v.board.draw(max(60, v.width), max(24, v.height))
}

// colors of the phases: what costs without working stands out.
func paint(phase string) lipgloss.Style {
	color := map[string]string{
		"booting": "39", "idle": "214", "busy": "42", "draining": "213", "terminating": "203",
	}[phase]
	return lipgloss.NewStyle().Foreground(lipgloss.Color(color))
}

// draw renders the board, with as many of the last events as fit; the caller
// holds the lock.
func (b *board) draw(width, height int) string {
	bold, dim := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %s   %d jobs   %d events   %s\n\n", bold.Render("ebb demo"),
		b.clock.Now().Format("Mon 15:04:05"), b.jobs, b.events, dim.Render("q quits"))
	fmt.Fprintf(&text, "%s\n", bold.Render("QUEUE          WAITING  WHY"))
	for _, q := range b.queues {
		fmt.Fprintf(&text, "%-14s %7d  %s\n", q.name, q.waiting, dim.Render(clip(why(q), width-26)))
	}
	fmt.Fprintf(&text, "\n%s\n", bold.Render("RESOURCE TYPE                       INSTANCES"))
	for _, r := range b.resources {
		fmt.Fprintf(&text, "%-14s %-20s %s\n", r.name, dim.Render(fmt.Sprintf("%-20s", r.kind)), b.bar(r))
	}
	fmt.Fprintf(&text, "\n%s\n", bold.Render("INSTANCE             TYPE          STATE        FOR       TASK"))
	for _, i := range b.sorted() {
		fmt.Fprintf(&text, "%-20s %-13s %s %-9s %s\n", i.id, i.offering.InstanceType,
			paint(i.phase).Render(fmt.Sprintf("%-12s", i.phase)), b.clock.Now().Sub(i.since).Round(time.Second), clip(i.task, width-58))
	}
	fmt.Fprintf(&text, "\n%s\n", bold.Render("EVENTS"))
	fitting := max(0, height-strings.Count(text.String(), "\n")-1)
	for _, line := range b.lines[max(0, len(b.lines)-fitting):] {
		fmt.Fprintf(&text, "%s\n", dim.Render(clip(line, width-1)))
	}
	return text.String()
}

// why is the verdict on a queue in a few words.
func why(q *queueRow) string {
	v := q.verdict
	if v.Waiting == 0 {
		return "nothing waits"
	}
	parts := []string{fmt.Sprintf("%d covered, %d launching, %d unmet", v.Covered, v.Launching, v.Unmet)}
	for _, reason := range v.Reasons {
		parts = append(parts, fmt.Sprintf("%s %s", reason.Subject, reason.Code))
	}
	return strings.Join(parts, "; ")
}

// bar draws one block for each instance, in the color of its phase, and a dot
// for each that there may still be.
func (b *board) bar(r *resourceRow) string {
	var text strings.Builder
	alive := 0
	for _, i := range b.sorted() {
		if i.resource == r.name {
			alive++
			text.WriteString(paint(i.phase).Render("■ "))
		}
	}
	text.WriteString(strings.Repeat("· ", max(0, r.max-alive)))
	return fmt.Sprintf("%s %d/%d", text.String(), alive, r.max)
}

func (b *board) sorted() []*instanceRow {
	rows := make([]*instanceRow, 0, len(b.instances))
	for _, row := range b.instances {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(x, y *instanceRow) int {
		return strings.Compare(string(x.resource)+string(x.id), string(y.resource)+string(y.id))
	})
	return rows
}

// clip cuts a text to a width in runes.
func clip(text string, width int) string {
	runes := []rune(text)
	if width < 2 || len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}
