package actors

import (
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// desk is where orders of operators wait for their answers.
type desk struct {
	mu      sync.Mutex
	last    messages.AskID
	waiting map[messages.AskID]func(messages.Answered)
}

// call is an order on its way to the owner of its autoscaler, note an event that
// something outside of the actors is to have recorded.
type (
	call struct {
		name messages.AutoscalerName
		messages.Ordered
	}
	note struct {
		name  messages.AutoscalerName
		event messages.Event
	}
)

// Order has an autoscaler carry out what an operator asks, who is named by by.
// answer is called once, from an actor, and must not block; never when the
// autoscaler fails or ends meanwhile, so the caller has to bound its wait, and
// calls forget when that is over.
func (n *Node) Order(name messages.AutoscalerName, by string, order messages.Order, answer func(messages.Answered)) (forget func()) {
	n.desk.mu.Lock()
	defer n.desk.mu.Unlock()
	n.desk.last++
	id := n.desk.last
	n.desk.waiting[id] = answer
	n.system.Root.Send(n.root, call{name: name, Ordered: messages.Ordered{Ask: id, By: by, Order: order}})
	return func() { n.desk.take(id) }
}

// Note has an event recorded that happened outside of the actors, if this process
// acts for the autoscaler.
func (n *Node) Note(name messages.AutoscalerName, event messages.Event) {
	n.system.Root.Send(n.root, note{name: name, event: event})
}

func (d *desk) take(id messages.AskID) func(messages.Answered) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := d.waiting[id]
	delete(d.waiting, id)
	return answer
}

func (d *desk) answer(m messages.Answered) {
	if answer := d.take(m.Ask); answer != nil {
		answer(m)
	}
}

// call hands an order to the owner of its autoscaler.
func (n *nodeActor) call(ctx actor.Context, m call) {
	pid := n.pids[m.name]
	if pid == nil || n.done[m.name] {
		n.desk.answer(messages.Answered{Ask: m.Ask, Failure: &messages.Failure{
			Class: messages.ClassNotFound, Message: fmt.Sprintf("no autoscaler %q runs here", m.name),
		}})
		return
	}
	ctx.Request(pid, m.Ordered)
}
