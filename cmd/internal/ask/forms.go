package ask

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"

	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// Limits of what a form shows well: fields on one screen, lines in a text box, and
// rows of a menu.
const (
	fieldsMost = 4
	linesMost  = 90
	boxRows    = 6
)

// forms draws each page as a form.
type forms struct {
	in  io.Reader
	out io.Writer
}

// page makes one group of fields out of questions with the same conditions, because
// groups are what a form can hide.
func (f *forms) page(ctx context.Context, p page) error {
	var groups []*huh.Group
	var kept []func()
	for start := 0; start < len(p.questions); {
		end := start + 1
		for end < len(p.questions) && end-start < fieldsMost && reflect.DeepEqual(p.questions[end].When, p.questions[start].When) {
			end++
		}
		var fields []huh.Field
		for i := start; i < end; i++ {
			field, keep := fieldOf(p.questions[i])
			fields = append(fields, field)
			kept = append(kept, keep)
		}
		group := huh.NewGroup(fields...).Title(p.title).WithHideFunc(p.questions[start].hidden)
		if p.wrong != "" {
			group.Description(p.wrong) // in place of the help: screens are small
		} else if p.help != "" {
			group.Description(p.help)
		}
		groups = append(groups, group)
		start = end
	}
	err := f.run(ctx, huh.NewForm(groups...))
	for _, keep := range kept {
		keep()
	}
	return err
}

func (f *forms) run(ctx context.Context, form *huh.Form) error {
	form.WithKeyMap(keys())
	// Not form.Run: it ends an abandoned form as if the program was killed, and then
	// nobody waits for what still reads the keyboard.
	form.SubmitCmd, form.CancelCmd = tea.Quit, tea.Quit
	shown := &whole{form: form, dark: true}
	form.WithTheme(huh.ThemeFunc(func(bool) *huh.Styles { return huh.ThemeCharm(shown.dark) }))
	_, err := tea.NewProgram(shown, tea.WithContext(ctx), tea.WithInput(f.in), tea.WithOutput(f.out), tea.WithoutSignalHandler()).Run()
	switch {
	case ctx.Err() != nil, form.State == huh.StateAborted:
		return ErrAborted
	case err != nil:
		return fmt.Errorf("ask in the terminal: %w", err)
	}
	return nil
}

// whole is a form that has the screen for itself, in colors that suit the terminal:
// one that does not say what its background is has a dark one.
type whole struct {
	form *huh.Form
	dark bool
}

// Init implements tea.Model.
func (w *whole) Init() tea.Cmd { return tea.Batch(w.form.Init(), tea.RequestBackgroundColor) }

// Update implements tea.Model.
func (w *whole) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	if background, told := message.(tea.BackgroundColorMsg); told {
		w.dark = background.IsDark()
	}
	_, command := w.form.Update(message) // which is the same form
	return w, command
}

// View implements tea.Model.
func (w *whole) View() tea.View {
	shown := tea.NewView(w.form.View())
	shown.AltScreen = true
	return shown
}

// keys are the library's, in words that fit: what ends a page does not end the
// questions, and menus are too short to be searched.
func keys() *huh.KeyMap {
	m := huh.NewDefaultKeyMap()
	m.Input.Submit.SetHelp("enter", "next page • ctrl+u clear • ctrl+c leave without writing")
	m.Input.Next.SetHelp("enter", "next • ctrl+u clear • ctrl+c leave without writing")
	m.Text.Submit.SetHelp("enter", "next page")
	m.Text.NewLine.SetHelp("ctrl+j", "new line")
	m.Confirm.Submit.SetHelp("enter", "next page")
	m.Note.Submit.SetHelp("enter", "next page")
	m.Select.Submit.SetHelp("enter", "choose")
	m.Select.Filter.SetEnabled(false)
	return m
}

// fieldOf is the control for a question. keep is called when the form is over: it
// undoes what a control does to a text that nobody changed.
func fieldOf(q question) (field huh.Field, keep func()) {
	keep = func() {}
	label := q.title()
	switch q.Kind {
	case wizard.Bool:
		return huh.NewConfirm().Title(label).Description(q.Help).Affirmative("Yes").Negative("No").
			Accessor(flagText{q.value}).Validate(func(b bool) error { return q.check(fmt.Sprint(b)) }), keep
	case wizard.Choice:
		options := make([]huh.Option[string], 0, len(q.Choices))
		for _, c := range q.Choices {
			options = append(options, huh.NewOption(c.Label, c.Value))
		}
		return huh.NewSelect[string]().Title(label).Description(q.Help).Options(options...).Value(q.value).Validate(q.check), keep
	case wizard.Multiline:
		return textOf(q, label)
	case wizard.Text, wizard.Secret, wizard.Number, wizard.Duration, wizard.List, wizard.Tags:
	}
	input := huh.NewInput().Title(label).Description(q.Help).Value(q.value).Validate(q.check)
	if q.Example != "" {
		input.Placeholder("such as " + q.Example)
	}
	if q.masked {
		input.EchoMode(huh.EchoModePassword)
	}
	if *q.value != "" && (*q.value == q.Default || *q.value == q.Suggest) {
		return &proposal{Input: input}, keep
	}
	return input, keep
}

// textOf is a box for several lines. A box turns tabs into spaces and ends at a
// number of lines, which a script must not suffer for having been looked at.
func textOf(q question, label string) (huh.Field, func()) {
	original := *q.value
	if strings.Count(original, "\n") >= linesMost {
		return huh.NewNote().Title(label).Description(fmt.Sprintf("%d lines, too many for this box. They are kept; change them in the file.", strings.Count(original, "\n")+1)).Next(true), func() {}
	}
	shown := strings.NewReplacer("\t", "    ", "\r", "").Replace(original)
	*q.value = shown
	box := huh.NewText().Title(label).Description(q.Help + " New line: ctrl+j; an editor: ctrl+e.").Lines(boxRows).ShowLineNumbers(false).
		EditorExtension("sh").Value(q.value).Validate(q.check)
	return box, func() {
		if *q.value == shown {
			*q.value = original
		}
	}
}

// flagText is a yes or no that is kept as text.
type flagText struct{ text *string }

// Get implements huh.Accessor.
func (f flagText) Get() bool { return *f.text == "true" }

// Set implements huh.Accessor.
func (f flagText) Set(value bool) { *f.text = fmt.Sprint(value) }

// choose is a menu.
func (f *forms) choose(ctx context.Context, title, text string, options []string) (int, error) {
	chosen := 0
	list := make([]huh.Option[int], 0, len(options))
	for i, o := range options {
		list = append(list, huh.NewOption(o, i))
	}
	menu := huh.NewSelect[int]().Title(title).Description(text).Options(list...).Value(&chosen)
	err := f.run(ctx, huh.NewForm(huh.NewGroup(menu)))
	return chosen, err
}
