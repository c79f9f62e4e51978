package config

// unheeded is what is said of an option that nothing acts on.
const unheeded = "accepted, but this version does not act on it yet"

// Unheeded are the options of f that ask for something which this version does
// not do: they are read and checked, so that a file need not change later, and
// change nothing. Each note has the path of its key.
func (f File) Unheeded() []Note {
	var notes []Note
	note := func(asked bool, path string) {
		if asked {
			notes = append(notes, Note{Path: path, Message: unheeded})
		}
	}
	for i, a := range f.Autoscalers {
		at := item("autoscalers", i)
		note(a.MaxLifetime > 0, child(at, "max_lifetime"))
		note(a.RequeueLostTasks, child(at, "requeue_lost_tasks"))
		note(a.WarnDuplicateTasks, child(at, "warn_duplicate_tasks"))
		for j, r := range a.Resources {
			note(r.OnDemandFallback.Enabled, child(item(child(at, "resources"), j), "on_demand_fallback.enabled"))
		}
	}
	return notes
}
