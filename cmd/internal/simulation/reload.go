package simulation

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/ebbscale/ebb/actors"
)

// Clone is a copy whose lists are its own.
func (o Options) Clone() Options {
	o.Resources, o.Queues = slices.Clone(o.Resources), slices.Clone(o.Queues)
	return o
}

// allServed says whether each queue is served by a resource type and each
// resource type serves a queue.
func (o Options) allServed() bool {
	for _, q := range o.Queues {
		if len(q.Resources) == 0 {
			return false
		}
	}
	return !slices.ContainsFunc(o.Resources, func(r Resource) bool { return len(o.queuesOf(r.Name)) == 0 })
}

// Reload gives every process a configuration with other queues and resource
// types, as SIGHUP does.
func (w *World) Reload(options Options) error {
	options, err := options.filled()
	if err != nil {
		return err
	}
	if !options.allServed() {
		return errors.New("reload: a queue or a resource type is left without the other")
	}
	changed := !reflect.DeepEqual(options.Resources, w.options.Resources) || !reflect.DeepEqual(options.Queues, w.options.Queues)
	if !changed {
		return nil
	}
	w.laws.disturbed() // the autoscaler begins anew
	w.tell("RELOAD: %v", options.Resources)
	w.options.Queues, w.options.Resources = options.Queues, options.Resources
	w.laws.configured()
	for _, p := range w.seats {
		if p == nil {
			continue
		}
		ports, err := w.ports(p)
		if err != nil {
			return err
		}
		cfg := w.config(p, ports)
		w.loop.enqueue(func() { p.run(func() { p.node.Reconfigure([]actors.Change{{Config: cfg}}) }) })
	}
	return nil
}

// configuration is what was configured since a time, until the next one.
type configuration struct {
	since   time.Time
	options Options
}

// configured notes the configuration that begins.
func (l *laws) configured() {
	l.configurations = append(l.configurations, configuration{since: l.world.Now(), options: l.world.options})
}

// limitSince is the largest maximum that a resource type had since a time: an
// intent that was written under an earlier configuration is still carried out.
func (l *laws) limitSince(resource string, since time.Time) (most Resource, found bool) {
	for n, c := range l.configurations {
		if n+1 < len(l.configurations) && l.configurations[n+1].since.Before(since) {
			continue // it was over by then
		}
		for _, r := range c.options.Resources {
			if r.Name == resource && r.Max > most.Max {
				most, found = r, true
			}
		}
	}
	return most, found
}

// servedBy are the queues that a resource type has ever served.
func (l *laws) servedBy(resource string) []string {
	var names []string
	for _, c := range l.configurations {
		names = append(names, c.options.queuesOf(resource)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// EmptyLists makes ClearML answer empty lists, with status 200, to what the
// autoscaler asks again and again; not with [Options.Wire].
func (w *World) EmptyLists(on bool) {
	if on != w.emptied {
		w.tell("EMPTY LISTS from ClearML: %t", on)
	}
	if w.emptied && !on {
		w.laws.emptied = w.Now()
	}
	w.emptied = on
}
