package view

import (
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// fold takes an event into the state, as if it were the newest. What a status has
// said of later is not changed by it. Values are replaced and never changed in
// place: other states share them.
func (s *State) fold(r messages.Recorded) {
	switch e := r.Event.(type) {
	case messages.AutoscalerStarted, messages.AutoscalerStopped, messages.AutoscalerPaused, messages.AutoscalerResumed,
		messages.ObservationFailed, messages.ObservationRecovered, messages.AutoscalerReconfigured, messages.AutoscalerMisconfigured,
		messages.AutoscalerContested, messages.AutoscalerUncontested,
		messages.FleetGuarded:
		s.foldAutoscaler(r.At, e)
	case messages.QueueCreated, messages.QueueObserved, messages.QueuePlanned, messages.QueueClosed, messages.QueueOpened:
		s.foldQueue(r.At, e)
	case messages.InstanceRequested, messages.InstanceRefused, messages.ResourceHeld, messages.ResourceReleased:
		s.foldResource(r.At, e)
	case messages.InstanceLaunched, messages.InstanceAdopted, messages.InstanceRegistered, messages.InstanceBusy,
		messages.InstanceIdle, messages.InstanceNoticed, messages.InstanceStray:
		s.foldLife(r.At, e)
	case messages.InstanceDraining, messages.InstanceKept, messages.InstanceRecalled, messages.InstanceUnready,
		messages.InstanceTerminating, messages.InstanceUnended, messages.InstanceGone:
		s.foldEnd(r.At, e)
	case messages.TaskRequeued, messages.TaskLost, messages.TaskDuplicated:
		// They are told in the log; what changes by them comes as other events.
	}
}

func (s *State) foldAutoscaler(at time.Time, event any) {
	if at.Before(s.asOf) {
		return
	}
	switch e := event.(type) {
	case messages.AutoscalerStarted:
		s.Version, s.Holder, s.Epoch, s.StartedAt, s.Stopping = e.Version, e.Holder, e.Epoch, at, false
		s.Rival = nil // it has looked for none yet
		for _, name := range e.Queues {
			s.queue(name)
		}
		for _, name := range e.Resources {
			s.resource(name)
		}
	case messages.AutoscalerStopped:
		s.Stopping = true
	case messages.AutoscalerPaused:
		s.Pause = &messages.Pause{At: at, By: e.By, Why: e.Why, Until: e.Until}
	case messages.AutoscalerResumed:
		s.Pause = nil
	case messages.AutoscalerContested:
		rival := messages.Rival(e)
		s.Rival = &rival
	case messages.AutoscalerUncontested:
		s.Rival = nil
	case messages.ObservationFailed, messages.ObservationRecovered:
		s.foldSource(at, e)
	}
}

func (s *State) foldSource(at time.Time, event any) {
	switch e := event.(type) {
	case messages.ObservationFailed:
		if source := s.source(e.Source); source != nil {
			if source.DownSince.IsZero() {
				source.DownSince = at
			}
			source.Class, source.Message = e.Class, e.Message
			if !e.LastGood.IsZero() {
				source.LastGood = e.LastGood
			}
		}
	case messages.ObservationRecovered:
		if source := s.source(e.Source); source != nil {
			*source = messages.SourceStatus{LastGood: at}
		}
	}
}

func (s *State) source(name string) *messages.SourceStatus {
	switch name {
	case "clearml":
		return &s.ClearML
	case "ec2":
		return &s.EC2
	}
	return nil
}

func (s *State) foldQueue(at time.Time, event any) {
	switch e := event.(type) {
	case messages.QueueCreated:
		s.queue(e.Queue)
	case messages.QueueObserved:
		if q := s.queue(e.Queue); !at.Before(q.AsOf) {
			q.Known, q.Waiting, q.WaitSeconds, q.AsOf = true, e.Waiting, e.OldestWaitSeconds, at
			s.Queues[e.Queue] = q
		}
	case messages.QueuePlanned:
		if q := s.queue(e.Queue); !at.Before(q.AsOf) {
			q.Verdict = e
			s.Queues[e.Queue] = q
		}
	}
}

// queue is the queue of that name, which is there afterwards.
func (s *State) queue(name messages.QueueName) Queue {
	q, ok := s.Queues[name]
	if !ok {
		q = Queue{QueueStatus: messages.QueueStatus{Queue: name}}
		s.Queues[name] = q
		s.QueueOrder = append(s.QueueOrder, name)
	}
	return q
}

func (s *State) resource(name messages.ResourceName) messages.ResourceStatus {
	r, ok := s.Resources[name]
	if !ok {
		r = messages.ResourceStatus{Resource: name}
		s.Resources[name] = r
		s.ResourceOrder = append(s.ResourceOrder, name)
	}
	return r
}

// foldResource folds what a resource type records of itself.
func (s *State) foldResource(at time.Time, event messages.Event) {
	name := messages.ResourceName(event.About())
	r := s.resource(name)
	if at.Before(r.AsOf) {
		return
	}
	switch e := any(event).(type) {
	case messages.InstanceRequested:
		r.Launching, r.Alive, r.Max = r.Launching+e.Count, r.Alive+e.Count, e.Max
	case messages.InstanceRefused:
		ended := min(r.Launching, e.Count)
		r.Launching, r.Alive = r.Launching-ended, r.Alive-ended
		if !e.RetryAt.IsZero() {
			r.Blocks = append(withoutBlock(r.Blocks, e.Offering), messages.Blocked{Offering: e.Offering, Class: e.Class, Until: e.RetryAt})
		}
	case messages.ResourceHeld:
		r.Held = slices.Clone(e.Reasons)
	case messages.ResourceReleased:
		r.Held = nil
	}
	s.Resources[name] = r
}

func withoutBlock(blocks []messages.Blocked, offering messages.Offering) []messages.Blocked {
	return slices.DeleteFunc(slices.Clone(blocks), func(b messages.Blocked) bool { return b.Offering == offering })
}

// foldLife folds what is about an instance that lives.
func (s *State) foldLife(at time.Time, event any) {
	switch e := event.(type) {
	case messages.InstanceLaunched:
		s.launched(at, e)
	case messages.InstanceAdopted:
		s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) {
			i.Offering, i.HourlyUSD = e.Offering, e.HourlyUSD
			if e.State.Ending() {
				i.Condition = messages.ConditionTerminating
			}
		})
	case messages.InstanceRegistered:
		s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) {
			i.Worker = e.Worker
			if i.Condition == messages.ConditionBooting || i.Condition == messages.ConditionVanished {
				i.Condition, i.Since, i.Reasons = messages.ConditionIdle, at, nil
			}
		})
	case messages.InstanceBusy:
		s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) {
			i.Task, i.TaskName = e.Task, e.TaskName
			works(i, messages.ConditionBusy, at)
		})
	case messages.InstanceIdle:
		s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) {
			i.Task, i.TaskName = "", ""
			since := e.Since
			if since.IsZero() {
				since = at
			}
			works(i, messages.ConditionIdle, since)
		})
	case messages.InstanceNoticed:
		s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) { i.Notice = e.Notice })
	case messages.InstanceStray:
		s.change(at, e.Instance, e.Resource, func(*messages.InstanceStatus) {})
	}
}

func (s *State) launched(at time.Time, e messages.InstanceLaunched) {
	if r := s.resource(e.Resource); r.Launching > 0 && !at.Before(r.AsOf) {
		r.Launching, r.Alive = r.Launching-1, r.Alive-1 // and is one of the instances instead
		s.Resources[e.Resource] = r
	}
	s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) {
		i.Offering, i.HourlyUSD = e.Offering, e.HourlyUSD
		if i.LaunchedAt.IsZero() {
			i.LaunchedAt = at
		}
	})
}

// works says what its worker does, unless the instance is on its way out: then
// that goes first.
func works(i *messages.InstanceStatus, condition messages.Condition, since time.Time) {
	if i.Condition == messages.ConditionDraining || i.Condition == messages.ConditionTerminating {
		return
	}
	i.Condition, i.Since, i.Reasons = condition, since, nil
}

// change replaces what is known of an instance. One that is not known is new,
// unless it is known to have ended. What its resource type knew when it told of its
// instances is passed over.
func (s *State) change(at time.Time, id messages.InstanceID, resource messages.ResourceName, with func(*messages.InstanceStatus)) {
	if _, ended := s.gone[id]; ended {
		return
	}
	i, known := s.Instances[id]
	r, member := s.Resources[resource]
	if known && at.Before(s.heard[resource]) || !known && at.Before(r.AsOf) {
		return
	}
	if !known {
		if member {
			r.Alive++
			s.Resources[resource] = r
		}
		i = messages.InstanceStatus{Instance: id, Resource: resource, Condition: messages.ConditionBooting, Since: at}
	}
	with(&i)
	s.Instances[id] = i
}

// foldEnd folds what is about an instance that goes, or does not after all.
func (s *State) foldEnd(at time.Time, event any) {
	leaves := func(condition messages.Condition, reasons []messages.Reason) func(*messages.InstanceStatus) {
		return func(i *messages.InstanceStatus) {
			if i.Condition != condition {
				i.Since = at
			}
			i.Condition, i.Reasons = condition, reasons
		}
	}
	stays := func(i *messages.InstanceStatus) {
		i.Condition, i.Since, i.Reasons = messages.ConditionIdle, at, nil
		if i.Task != "" {
			i.Condition = messages.ConditionBusy
		}
	}
	switch e := event.(type) {
	case messages.InstanceDraining:
		s.change(at, e.Instance, e.Resource, leaves(messages.ConditionDraining, e.Reasons))
	case messages.InstanceKept:
		s.change(at, e.Instance, e.Resource, stays)
	case messages.InstanceRecalled:
		s.change(at, e.Instance, e.Resource, stays)
	case messages.InstanceUnready:
		s.change(at, e.Instance, e.Resource, leaves(messages.ConditionVanished, e.Reasons))
	case messages.InstanceTerminating:
		s.change(at, e.Instance, e.Resource, func(i *messages.InstanceStatus) {
			leaves(messages.ConditionTerminating, e.Reasons)(i)
			i.Task, i.TaskName = "", ""
		})
	case messages.InstanceUnended:
		s.change(at, e.Instance, e.Resource, func(*messages.InstanceStatus) {})
	case messages.InstanceGone:
		s.ended(at, e)
	}
}

// ended takes the end of an instance in, unless its resource type knew of one when
// it told of its instances.
func (s *State) ended(at time.Time, e messages.InstanceGone) {
	if _, lives := s.Instances[e.Instance]; lives {
		r := s.resource(e.Resource)
		if at.Before(r.AsOf) {
			return
		}
		r.Alive = max(0, r.Alive-1)
		s.Resources[e.Resource] = r
		delete(s.Instances, e.Instance)
	}
	s.gone[e.Instance] = at
}
