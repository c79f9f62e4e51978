package simulation

import (
	"errors"
	"fmt"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Kill ends the program as a power cut does, in every process. What is in the
// ledger stays.
func (w *World) Kill() {
	for seat := range w.seats {
		w.kill(seat)
	}
}

func (w *World) kill(seat int) {
	p := w.seats[seat]
	if p == nil {
		return
	}
	w.laws.disturbed()
	w.kills++
	w.tell("KILL of %s", p.holder)
	p.kill()
	w.seats[seat] = nil
}

// KillProcess ends one process as a power cut does, even while it is paused.
func (w *World) KillProcess(seat int) { w.kill(seat) }

// dies ends a process from inside one of its own calls, and starts it again when
// it has rested.
func (w *World) dies(p *process, when string) {
	p.dead = true // from now on it does nothing
	w.tell("KILL of %s %s", p.holder, when)
	w.loop.enqueue(func() {
		w.kill(p.seat)
		w.loop.clock.AfterFunc(w.killing.rest, func() {
			if w.seats[p.seat] == nil {
				w.revive(p.seat)
			}
		})
	})
}

func (w *World) revive(seat int) {
	w.tell("START of a process")
	if err := w.start(seat); err != nil {
		w.laws.breach("start a process: %s", err)
	}
}

// KillAtCall ends a process at its n-th outbound call, counted from the beginning
// of the world over all processes: right before it is sent, or right after the
// server has acted on it. It starts again after a rest.
func (w *World) KillAtCall(n int, after bool, rest time.Duration) {
	w.killing = killing{at: n, after: after, rest: rest}
}

// Calls is how many calls the processes have made, to ClearML, EC2 and the store.
func (w *World) Calls() int { return w.calls }

// Kills is how many processes were killed.
func (w *World) Kills() int { return w.kills }

// StartProcess runs the program in a seat that is free.
func (w *World) StartProcess(seat int) error {
	if w.seats[seat] != nil {
		return fmt.Errorf("start process %d: it runs", seat)
	}
	w.tell("START of a process")
	return w.start(seat)
}

// Pause stops a process as SIGSTOP does, and Resume lets it go on: what has come
// for it meanwhile is then there at once. A process that does not run, or is so
// already, is left as it is.
func (w *World) Pause(seat int) {
	if p := w.seats[seat]; p != nil && !p.paused {
		w.laws.disturbed()
		w.pauses++
		w.tell("PAUSE of %s", p.holder)
		p.pause()
	}
}

// Resume lets a paused process go on.
func (w *World) Resume(seat int) {
	if p := w.seats[seat]; p != nil && p.paused {
		w.tell("RESUME of %s", p.holder)
		p.resume()
	}
}

// Cut takes the network from one process, or gives it back.
func (w *World) Cut(seat int, cut bool) {
	if p := w.seats[seat]; p != nil {
		w.tell("NETWORK of %s is cut: %t", p.holder, cut)
		p.cut = cut
	}
}

// Restart runs the program again, with the resource types that are left when
// those named are taken out of the configuration.
func (w *World) Restart(without ...string) error {
	w.Kill()
	for _, name := range without {
		w.options = w.options.Without(name)
	}
	w.laws.configured()
	w.Advance(time.Second)
	w.tell("START of the process")
	for seat := range w.seats {
		if err := w.start(seat); err != nil {
			return err
		}
	}
	return nil
}

// Without is the options without a resource type, in the queues too.
func (o Options) Without(resource string) Options {
	var resources []Resource
	for _, r := range o.Resources {
		if r.Name != resource {
			resources = append(resources, r)
		}
	}
	var queues []Queue
	for _, q := range o.Queues {
		left := Queue{Name: q.Name}
		for _, r := range q.Resources {
			if r != resource {
				left.Resources = append(left.Resources, r)
			}
		}
		queues = append(queues, left)
	}
	o.Resources, o.Queues = resources, queues
	return o
}

// Stop stops the program in good order and reports how many instances it left
// running. An error says that it did not end within patience, once more as an
// actor may fail meanwhile and begin again, and a little more.
func (w *World) Stop(mode messages.OnShutdown, patience time.Duration) (left int, err error) {
	p := w.seats[0]
	if p == nil {
		return 0, errors.New("stop the program: it does not run")
	}
	w.stops++
	w.laws.disturbed()
	w.tell("STOP of %s, on_shutdown %s", p.holder, mode)
	w.laws.stopping, p.stopping = mode, true
	p.node.Stop(map[messages.AutoscalerName]messages.OnShutdown{autoscalerName: mode}, patience)
	longest := 2 * (patience + time.Minute)
	for range int(longest / time.Second) {
		w.Advance(time.Second)
		select {
		case ended := <-p.node.Ended():
			p.node.Close()
			w.Advance(time.Second)
			p.kill()
			w.seats[0] = nil
			w.laws.stopping = ""
			return ended.Left, nil
		default:
		}
	}
	return 0, fmt.Errorf("stop with on_shutdown %s: not ended after %s", mode, longest)
}

// TurnClock sets the wall clock of a seat's host forth or back; what only passes
// goes on as it did.
func (w *World) TurnClock(seat int, by time.Duration) {
	if p := w.seats[seat]; p != nil {
		w.tell("CLOCK of %s set by %s", p.holder, by)
		w.laws.disturbed()
		p.skew += by
	}
}
