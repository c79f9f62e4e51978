package ask

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// entry is one line of the menu at the end.
type entry struct {
	text string
	do   func(context.Context) error
}

// review shows what was answered, changes it, and ends when it is to be written.
func (s *session) review(ctx context.Context) error {
	for {
		done := false
		problems := wizard.Check(s.answers)
		entries := []entry{{"Write " + s.o.Name, func(context.Context) error { done = true; return nil }}}
		text := "Everything is there. Choose a line to change it."
		if len(problems) > 0 {
			entries[0].text = fmt.Sprintf("Write %s as it is; ebb will refuse it until the rest is right", s.o.Name)
			text = described(problems)
		}
		for _, step := range s.steps() {
			entries = append(entries, entry{s.name(step) + ": " + s.summary(step), func(ctx context.Context) error { return s.step(ctx, step) }})
		}
		entries = append(entries, s.resourceEntries()...)
		entries = append(entries, entry{"Leave without writing", func(context.Context) error { return ErrAborted }})
		if len(problems) > 0 { // what is right comes first, but not as the first thing to press
			entries = append(entries[1:len(entries)-1], entries[0], entries[len(entries)-1])
		}
		options := make([]string, 0, len(entries))
		for _, e := range entries {
			options = append(options, e.text)
		}
		chosen, err := s.asker.choose(ctx, "Summary", text, options)
		if err != nil {
			return err
		}
		if err := entries[chosen].do(ctx); err != nil || done {
			return err
		}
	}
}

// resourceEntries add and remove resources.
func (s *session) resourceEntries() []entry {
	entries := []entry{{"Add a compute resource", func(ctx context.Context) error {
		s.add()
		steps := s.steps()
		i := slices.IndexFunc(steps, func(o wizard.Step) bool {
			return o.ID == fmt.Sprintf("resource-%d", s.answers.Elements(s.resources())-1)
		})
		return s.step(ctx, steps[i])
	}}}
	n := s.answers.Elements(s.resources())
	for i := 0; i < n && n > 1; i++ {
		name := s.answers.Text(fmt.Sprintf("%s[%d].name", s.resources(), i))
		entries = append(entries, entry{"Remove the compute resource " + name, func(context.Context) error {
			s.answers.Remove(s.resources(), i)
			return nil
		}})
	}
	return entries
}

// summaryMost is how long a line of the summary may be, in characters, so that it
// is one line of a terminal.
const summaryMost = 72

// summary is what was answered in a step, on one line, without secrets.
func (s *session) summary(step wizard.Step) string {
	var parts []string
	for i, f := range step.Fields {
		text := s.answers.Text(f.ID)
		if text == "" || f.Kind == wizard.Bool && text != "true" || isResource(step) && i == 0 || !wizard.Asked(f, step.Fields, s.answers) {
			continue
		}
		k, _ := config.KeyAt(f.ID)
		switch {
		case f.Kind == wizard.Bool:
			text = f.Label
		case k.Kind == config.KindScript:
			text = fmt.Sprintf("%s of %d lines", f.Label, strings.Count(strings.TrimRight(text, "\n"), "\n")+1)
		case k.Kind == config.KindSecret:
			continue
		}
		parts = append(parts, text)
	}
	line := []rune(strings.Join(parts, ", "))
	switch most := max(8, summaryMost-len([]rune(s.name(step)))); {
	case len(line) == 0:
		return "–"
	case len(line) > most:
		return string(line[:most]) + "…"
	}
	return string(line)
}
