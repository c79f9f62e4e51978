package ask

import (
	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"
)

// proposal is an input with a text that nobody has chosen yet: what is typed or pasted
// first takes its place, as in a form whose text is selected. Any other key, such as
// an arrow, keeps the text for editing.
type proposal struct {
	*huh.Input

	chosen bool
}

// Update implements huh.Model.
func (p *proposal) Update(message tea.Msg) (huh.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.KeyPressMsg:
		p.take(message.Text != "")
	case tea.PasteMsg:
		p.take(message.Content != "")
	}
	_, command := p.Input.Update(message) // which is the same input
	return p, command
}

// take empties the input before its first text.
func (p *proposal) take(text bool) {
	if text && !p.chosen {
		_, _ = p.Input.Update(tea.KeyPressMsg{Code: 'u', Mod: tea.ModCtrl}) // deletes what is before the cursor, which is at the end
	}
	p.chosen = true
}
