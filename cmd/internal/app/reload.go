package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// byFile is who has the configuration read again when its file has changed.
const byFile = "a change of its file"

// Reload reads the configuration again and takes it over. One that is not sound
// changes nothing: that is logged, recorded as an event, and answered.
func (p *Process) Reload(ctx context.Context, by string) (control.Reloaded, error) {
	if p.options.Load == nil {
		return control.Reloaded{}, &messages.Failure{Class: messages.ClassInvalid, Message: "this process has no configuration file to read again"}
	}
	p.reading.Lock() // what was read first is not taken over last
	defer p.reading.Unlock()
	file, err := p.options.Load()
	if p.isStopping() {
		return control.Reloaded{}, stopping()
	}
	if err == nil {
		var done control.Reloaded
		var told bool
		if done, told, err = p.apply(ctx, file, by != byFile); err == nil {
			p.monitoring.reloaded(p.running(), true)
			p.sound(done.Restart, told)
			p.log.Info().Str("by", by).Strs("changes", done.Changes).Strs("at_the_next_start", done.Restart).Msg("configuration read again")
			return done, nil
		}
	}
	if p.isStopping() {
		return control.Reloaded{}, stopping()
	}
	p.log.Error().Err(err).Str("by", by).Msg("new configuration not taken over; the old one stays")
	p.monitoring.reloaded(p.running(), false)
	mistakes := problems(err)
	p.standing.unsound(mistakes, p.options.Clock.Now())
	for name := range p.running() {
		p.node.Note(name, messages.AutoscalerMisconfigured{Problems: mistakes})
	}
	return control.Reloaded{}, &messages.Failure{Class: messages.ClassInvalid, Message: err.Error()}
}

func (p *Process) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// stopping is the answer to who wants a process changed that ends.
func stopping() error {
	return &messages.Failure{Class: messages.ClassInvalid, Message: "the process is stopping; the next one reads the configuration anew"}
}

// sound tells that a configuration is sound again after one that was not, when
// nothing else has told.
func (p *Process) sound(restart []string, told bool) {
	if p.standing.sound(restart) && !told {
		for name := range p.running() {
			p.node.Note(name, messages.AutoscalerReconfigured{Changes: []string{}})
		}
	}
}

// problems are the lines of an error of the configuration.
func problems(err error) []string {
	var all config.Errors
	if !errors.As(err, &all) {
		return []string{err.Error()}
	}
	lines := make([]string, 0, len(all))
	for _, problem := range all {
		lines = append(lines, problem.String())
	}
	return lines
}

// running are the autoscalers of this process with what becomes of their
// instances when it stops.
func (p *Process) running() map[messages.AutoscalerName]messages.OnShutdown {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.modes)
}

// Apply gives the autoscalers that run a new configuration, as far as it differs
// from the one they have. What needs a restart (another set of autoscalers, the
// event server, leases, the dashboard) is named and stays as it is. With anew those
// without a difference begin anew too: what EC2 refused for good is asked again,
// since a person may have seen to it. On an error nothing has changed.
func (p *Process) Apply(ctx context.Context, file config.File, anew bool) (control.Reloaded, error) {
	done, _, err := p.apply(ctx, file, anew)
	return done, err
}

// apply is Apply; told says that an event tells what it has changed, or will.
func (p *Process) apply(ctx context.Context, file config.File, anew bool) (done control.Reloaded, told bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return control.Reloaded{}, false, stopping()
	}
	done = control.Reloaded{Changes: []string{}, Restart: p.needRestart(file)}
	// What differs from what runs until the next start is told once.
	fresh := len(done.Restart) > 0 && !slices.Equal(done.Restart, p.restart)
	var changes []actors.Change
	modes := make(map[messages.AutoscalerName]messages.OnShutdown)
	clients := make(map[messages.AutoscalerName]*clearml.Client)
	for _, autoscaler := range file.Autoscalers {
		t, err := Translate(autoscaler)
		if err != nil {
			return control.Reloaded{}, false, err
		}
		if _, runs := p.modes[t.Name]; !runs {
			continue
		}
		lines := config.Diff(p.known(autoscaler.Name), autoscaler)
		if len(lines) == 0 && !anew {
			continue
		}
		cfg, tracker, err := p.assemble(ctx, p.options, t)
		if err != nil {
			return control.Reloaded{}, false, fmt.Errorf("autoscaler %q: %w", t.Name, err)
		}
		change := actors.Change{Config: cfg, Lines: append([]string{}, lines...)}
		if fresh || len(lines) > 0 {
			change.Restart = done.Restart
		}
		changes, modes[t.Name] = append(changes, change), t.OnShutdown
		clients[t.Name] = tracker
		done.Changes = append(done.Changes, changesOf(autoscaler.Name, lines)...)
	}
	p.take(file, modes)
	p.node.Reconfigure(changes)
	p.renew(clients)
	if fresh {
		p.noteRestart(modes, done.Restart)
	}
	p.restart = done.Restart
	return done, fresh || len(done.Changes) > 0, nil
}

// noteRestart has the autoscalers that do not begin anew, and tell it then, tell what
// needs a restart.
func (p *Process) noteRestart(anew map[messages.AutoscalerName]messages.OnShutdown, lines []string) {
	for name := range p.modes {
		if _, tells := anew[name]; !tells {
			p.node.Note(name, messages.AutoscalerReconfigured{Changes: []string{}, Restart: lines})
		}
	}
}

// preview says what [Process.Apply] would answer.
func (p *Process) preview(file config.File) (control.Reloaded, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	would := control.Reloaded{Changes: []string{}, Restart: p.needRestart(file)}
	for _, autoscaler := range file.Autoscalers {
		t, err := Translate(autoscaler)
		if err != nil {
			return control.Reloaded{}, err
		}
		if _, runs := p.modes[t.Name]; runs {
			would.Changes = append(would.Changes, changesOf(autoscaler.Name, config.Diff(p.known(autoscaler.Name), autoscaler))...)
		}
	}
	return would, nil
}

// changesOf are lines about an autoscaler, which they name.
func changesOf(name string, lines []string) []string {
	all := make([]string, 0, len(lines))
	for _, line := range lines {
		all = append(all, name+": "+line)
	}
	return all
}

// renew takes new ClearML clients over. The old ones may still be used, by actors
// that have not ended: what they do works, and its connections are closed after it.
func (p *Process) renew(clients map[messages.AutoscalerName]*clearml.Client) {
	for name, client := range clients {
		p.clients[name].Close()
		p.clients[name] = client
	}
}

// known is the configuration that an autoscaler has now.
func (p *Process) known(name string) config.Autoscaler {
	for _, autoscaler := range p.options.File.Autoscalers {
		if autoscaler.Name == name {
			return autoscaler
		}
	}
	return config.Autoscaler{}
}

// needRestart are the differences that can not be taken over, a line each.
func (p *Process) needRestart(file config.File) []string {
	old, now := p.options.File, file
	old.Autoscalers, now.Autoscalers = nil, nil
	var lines []string
	lines = append(lines, config.Diff(old, now)...)
	there := make(map[messages.AutoscalerName]bool)
	for _, autoscaler := range file.Autoscalers {
		name := messages.AutoscalerName(autoscaler.Name)
		there[name] = true
		if _, runs := p.modes[name]; !runs {
			lines = append(lines, fmt.Sprintf("autoscalers[%s]: added; it begins at the next start", name))
		}
	}
	for _, autoscaler := range p.options.File.Autoscalers {
		if !there[messages.AutoscalerName(autoscaler.Name)] {
			lines = append(lines, fmt.Sprintf("autoscalers[%s]: removed; it goes on with what it has until the next start", autoscaler.Name))
		}
	}
	return lines
}

// take remembers what is in effect now.
func (p *Process) take(file config.File, modes map[messages.AutoscalerName]messages.OnShutdown) {
	maps.Copy(p.modes, modes)
	kept := make([]config.Autoscaler, 0, len(p.options.File.Autoscalers))
	for _, old := range p.options.File.Autoscalers {
		for _, autoscaler := range file.Autoscalers {
			if autoscaler.Name == old.Name {
				old = autoscaler
				break
			}
		}
		kept = append(kept, old)
	}
	p.options.File.Autoscalers = kept
}
