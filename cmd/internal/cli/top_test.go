package cli_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/messages"
)

// told is a live view after some messages.
func told(messages ...tea.Msg) tea.Model {
	model := cli.NewTop("prod")
	for _, message := range messages {
		model, _ = model.Update(message)
	}
	return model
}

// keys are key strokes by their names.
func keys(names ...string) []tea.Msg {
	special := map[string]tea.KeyPressMsg{
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown},
		"home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "esc": {Code: tea.KeyEsc}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl},
		" ": {Code: tea.KeySpace, Text: " "},
	}
	strokes := make([]tea.Msg, 0, len(names))
	for _, name := range names {
		if kind, ok := special[name]; ok {
			strokes = append(strokes, kind)
			continue
		}
		strokes = append(strokes, tea.KeyPressMsg{Code: []rune(name)[0], Text: name})
	}
	return strokes
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07`)

// shown is what a view shows, without its colors.
func shown(model tea.Model) string { return escapes.ReplaceAllString(model.View().Content, "") }

func size(width, height int) tea.Msg { return tea.WindowSizeMsg{Width: width, Height: height} }

// fits says that a view is no larger than its terminal.
func fits(t *testing.T, name, view string, width, height int) {
	t.Helper()
	lines := strings.Split(view, "\n")
	if len(lines) > height {
		t.Errorf("%s: %d lines in a terminal of %d:\n%s", name, len(lines), height, view)
	}
	for _, line := range lines {
		if lipgloss.Width(line) > width {
			t.Errorf("%s: %d columns in a terminal of %d: %q", name, lipgloss.Width(line), width, line)
		}
	}
}

// TestTopView holds what the live view shows, on wide and narrow terminals.
func TestTopView(t *testing.T) {
	t.Parallel()
	status := busyStatus()
	events := []tea.Msg{}
	for n := range 30 {
		events = append(events, cli.TopEvent(fmt.Sprintf("2026-11-23T12:00:%02dZ  prod  queue.observed            training  %d tasks waiting, the first for 12s", n, n)))
	}
	healthy := append([]tea.Msg{cli.TopStatus(status, nil)}, events...)
	trouble := busyStatus()
	trouble.Pause = &messages.Pause{At: noon.Add(-12 * time.Minute), By: "ana@host", Why: "moving the data set"}
	trouble.ClearML = messages.SourceStatus{DownSince: noon.Add(-time.Minute), Class: messages.ClassUnauthorized}
	trouble.EventsLost, trouble.EventsPending, trouble.Stopping = 2, 7, true
	trouble.Silent = []string{"resource cpu"}
	for _, c := range []struct {
		name          string
		width, height int
		messages      []tea.Msg
	}{
		{"wide", 140, 40, healthy},
		{"narrow", 60, 24, healthy},
		{"tiny", 30, 14, healthy},
		{"more_events", 100, 40, append(append([]tea.Msg{}, healthy...), keys("e")...)},
		{"by_age", 140, 40, append(append([]tea.Msg{}, healthy...), keys("s")...)},
		{"trouble", 120, 30, []tea.Msg{cli.TopStatus(trouble, nil)}},
		{"nobody_yet", 80, 24, nil},
		{"nobody", 60, 24, []tea.Msg{cli.TopStatus(messages.Status{}, errors.New("no ebb that is connected to this event server acts for an autoscaler \"prod\"; there is dev"))}},
		{"no_answer", 100, 30, []tea.Msg{cli.TopStatus(status, nil), cli.TopStatus(messages.Status{}, errors.New("no answer from ebb: context deadline exceeded"))}},
		{"answers_again", 100, 30, []tea.Msg{cli.TopStatus(messages.Status{}, errors.New("away")), cli.TopStatus(status, nil)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			view := shown(told(append([]tea.Msg{size(c.width, c.height)}, c.messages...)...))
			fits(t, c.name, view, c.width, c.height)
			golden(t, "top_"+c.name, trimmed(view))
		})
	}
}

func trimmed(view string) string {
	lines := strings.Split(strings.TrimRight(view, "\n"), "\n")
	for n, line := range lines {
		lines[n] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestTopScrolls goes through 1,000 instances, sorted every way: the view always
// fits, and each instance is shown once from top to bottom.
func TestTopScrolls(t *testing.T) {
	t.Parallel()
	status := busyStatus()
	status.Instances = nil
	conditions := messages.Conditions()
	for n := range 1000 {
		status.Instances = append(status.Instances, messages.InstanceStatus{
			Instance: messages.InstanceID(fmt.Sprintf("i-%04d", n)), Resource: messages.ResourceName(fmt.Sprintf("r%d", n%7)),
			Offering:  messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a"},
			Condition: conditions[n%len(conditions)], Since: noon.Add(-time.Duration(n*7%1000) * time.Second),
			LaunchedAt: noon.Add(-time.Duration(n*13%1000) * time.Minute), HourlyUSD: float64(n*17%1000) / 100_000,
			TaskName: "训练任务 " + strings.Repeat("名", n%50),
		})
	}
	model := told(size(90, 33), cli.TopStatus(status, nil))
	for sort := range 5 {
		seen := make(map[string]bool)
		model = press(model, "home")
		for range 1000 {
			view := shown(model)
			fits(t, "scrolling", view, 90, 33)
			before := len(seen)
			for line := range strings.SplitSeq(view, "\n") {
				if strings.HasPrefix(line, "i-") {
					seen[strings.Fields(line)[0]] = true
				}
			}
			if len(seen) == before {
				break
			}
			model = press(model, "pgdown")
		}
		if len(seen) != 1000 || !strings.Contains(shown(model), "-1000 of 1000 instances by ") {
			t.Errorf("sorted the %d. way, %d of 1000 instances were seen:\n%s", sort, len(seen), shown(model))
		}
		last := shown(model)
		if shown(press(model, "down")) != last || shown(press(model, "end")) != last || shown(press(model, "G")) != last {
			t.Error("it scrolls past the end")
		}
		if shown(press(press(model, "up"), "down")) != last {
			t.Error("up and down do not come back")
		}
		model = press(model, "s")
	}
	first := shown(press(model, "home"))
	if !strings.Contains(first, " 1-") || shown(press(press(model, "home"), "up")) != first || shown(press(press(model, "home"), "pgup")) != first {
		t.Errorf("it scrolls before the beginning:\n%s", first)
	}
	few := status
	few.Instances = status.Instances[:2]
	model = press(model, "end")
	model, _ = model.Update(cli.TopStatus(few, nil))
	if view := shown(model); !strings.Contains(view, "1-2 of 2 instances") || !strings.Contains(view, "i-0000") {
		t.Errorf("after most instances ended:\n%s", view)
	}
}

func press(model tea.Model, names ...string) tea.Model {
	for _, stroke := range keys(names...) {
		model, _ = model.Update(stroke)
	}
	return model
}

// TestTopManyQueues shows those first where something waits.
func TestTopManyQueues(t *testing.T) {
	t.Parallel()
	status := busyStatus()
	for n := range 500 {
		queue := messages.QueueStatus{Queue: messages.QueueName(fmt.Sprintf("q%03d", n)), Known: true}
		if n == 321 {
			queue.Waiting, queue.Verdict.Waiting, queue.Verdict.Unmet = 1, 1, 1
		}
		status.Queues = append(status.Queues, queue)
		status.Resources = append(status.Resources, messages.ResourceStatus{Resource: messages.ResourceName(fmt.Sprintf("r%03d", n)), Known: true, Max: 3})
	}
	status.Resources[400].Alive = 1
	for _, height := range []int{1, 8, 14, 24, 50, 200} {
		view := shown(told(size(100, height), cli.TopStatus(status, nil)))
		if height >= 14 {
			fits(t, "many queues", view, 100, height)
		}
		if height >= 24 && (!strings.Contains(view, "q321") || !strings.Contains(view, " more)") || !strings.Contains(view, string(status.Resources[400].Resource))) {
			t.Errorf("in %d lines:\n%s", height, view)
		}
	}
}

func TestTopQuits(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"q", "esc", "ctrl+c"} {
		_, command := told().Update(keys(key)[0])
		if command == nil {
			t.Errorf("%s does not quit", key)
			continue
		}
		if _, quits := command().(tea.QuitMsg); !quits {
			t.Errorf("%s does something else", key)
		}
	}
	if _, command := told().Update(keys("x")[0]); command != nil || told().Init() != nil {
		t.Error("another key does something")
	}
}
