package messages

// Kind implements [Event].
func (AutoscalerStarted) Kind() string { return "autoscaler.started" }

// Kind implements [Event].
func (AutoscalerStopped) Kind() string { return "autoscaler.stopped" }

// Kind implements [Event].
func (ObservationFailed) Kind() string { return "observation.failed" }

// Kind implements [Event].
func (ObservationRecovered) Kind() string { return "observation.recovered" }

// Kind implements [Event].
func (QueueCreated) Kind() string { return "queue.created" }

// Kind implements [Event].
func (QueueObserved) Kind() string { return "queue.observed" }

// Kind implements [Event].
func (QueuePlanned) Kind() string { return "queue.planned" }

// Kind implements [Event].
func (InstanceRequested) Kind() string { return "instance.requested" }

// Kind implements [Event].
func (InstanceRefused) Kind() string { return "instance.refused" }

// Kind implements [Event].
func (InstanceLaunched) Kind() string { return "instance.launched" }

// Kind implements [Event].
func (InstanceAdopted) Kind() string { return "instance.adopted" }

// Kind implements [Event].
func (InstanceRegistered) Kind() string { return "instance.registered" }

// Kind implements [Event].
func (InstanceBusy) Kind() string { return "instance.busy" }

// Kind implements [Event].
func (InstanceIdle) Kind() string { return "instance.idle" }

// Kind implements [Event].
func (InstanceDraining) Kind() string { return "instance.draining" }

// Kind implements [Event].
func (InstanceKept) Kind() string { return "instance.kept" }

// Kind implements [Event].
func (InstanceUnready) Kind() string { return "instance.unready" }

// Kind implements [Event].
func (InstanceTerminating) Kind() string { return "instance.terminating" }

// Kind implements [Event].
func (InstanceGone) Kind() string { return "instance.gone" }

// Kind implements [Event].
func (InstanceStray) Kind() string { return "instance.stray" }

// Kind implements [Event].
func (AutoscalerReconfigured) Kind() string { return "autoscaler.reconfigured" }

// Kind implements [Event].
func (AutoscalerContested) Kind() string { return "autoscaler.contested" }

// Kind implements [Event].
func (AutoscalerUncontested) Kind() string { return "autoscaler.uncontested" }

// Kind implements [Event].
func (AutoscalerMisconfigured) Kind() string { return "autoscaler.misconfigured" }

// Kind implements [Event].
func (AutoscalerPaused) Kind() string { return "autoscaler.paused" }

// Kind implements [Event].
func (AutoscalerResumed) Kind() string { return "autoscaler.resumed" }

// Kind implements [Event].
func (InstanceNoticed) Kind() string { return "instance.noticed" }

// Kind implements [Event].
func (InstanceRecalled) Kind() string { return "instance.recalled" }

// Kind implements [Event].
func (InstanceUnended) Kind() string { return "instance.unended" }

// Kind implements [Event].
func (ResourceHeld) Kind() string { return "resource.held" }

// Kind implements [Event].
func (ResourceReleased) Kind() string { return "resource.released" }

// Kind implements [Event].
func (FleetGuarded) Kind() string { return "fleet.guarded" }

// Kind implements [Event].
func (QueueClosed) Kind() string { return "queue.closed" }

// Kind implements [Event].
func (QueueOpened) Kind() string { return "queue.opened" }

// Kind implements [Event].
func (TaskRequeued) Kind() string { return "task.requeued" }

// Kind implements [Event].
func (TaskLost) Kind() string { return "task.lost" }

// Kind implements [Event].
func (TaskDuplicated) Kind() string { return "task.duplicated" }

// About implements [Event].
func (AutoscalerStarted) About() string { return "" }

// About implements [Event].
func (AutoscalerStopped) About() string { return "" }

// About implements [Event].
func (e ObservationFailed) About() string { return e.Source }

// About implements [Event].
func (e ObservationRecovered) About() string { return e.Source }

// About implements [Event].
func (e QueueCreated) About() string { return string(e.Queue) }

// About implements [Event].
func (e QueueObserved) About() string { return string(e.Queue) }

// About implements [Event].
func (e QueuePlanned) About() string { return string(e.Queue) }

// About implements [Event].
func (e InstanceRequested) About() string { return string(e.Resource) }

// About implements [Event].
func (e InstanceRefused) About() string { return string(e.Resource) }

// About implements [Event].
func (e InstanceLaunched) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceAdopted) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceRegistered) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceBusy) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceIdle) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceDraining) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceKept) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceUnready) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceTerminating) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceGone) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceStray) About() string { return string(e.Instance) }

// About implements [Event].
func (AutoscalerReconfigured) About() string { return "" }

// About implements [Event].
func (AutoscalerContested) About() string { return "" }

// About implements [Event].
func (AutoscalerUncontested) About() string { return "" }

// About implements [Event].
func (AutoscalerMisconfigured) About() string { return "" }

// About implements [Event].
func (AutoscalerPaused) About() string { return "" }

// About implements [Event].
func (AutoscalerResumed) About() string { return "" }

// About implements [Event].
func (e InstanceNoticed) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceRecalled) About() string { return string(e.Instance) }

// About implements [Event].
func (e InstanceUnended) About() string { return string(e.Instance) }

// About implements [Event].
func (e ResourceHeld) About() string { return string(e.Resource) }

// About implements [Event].
func (e ResourceReleased) About() string { return string(e.Resource) }

// About implements [Event].
func (FleetGuarded) About() string { return "" }

// About implements [Event].
func (e QueueClosed) About() string { return string(e.Queue) }

// About implements [Event].
func (e QueueOpened) About() string { return string(e.Queue) }

// About implements [Event].
func (e TaskRequeued) About() string { return string(e.Task) }

// About implements [Event].
func (e TaskLost) About() string { return string(e.Task) }

// About implements [Event].
func (e TaskDuplicated) About() string { return string(e.Task) }

func (AutoscalerStarted) event()       {}
func (AutoscalerStopped) event()       {}
func (ObservationFailed) event()       {}
func (ObservationRecovered) event()    {}
func (QueueCreated) event()            {}
func (QueueObserved) event()           {}
func (QueuePlanned) event()            {}
func (InstanceRequested) event()       {}
func (InstanceRefused) event()         {}
func (InstanceLaunched) event()        {}
func (InstanceAdopted) event()         {}
func (InstanceRegistered) event()      {}
func (InstanceBusy) event()            {}
func (InstanceIdle) event()            {}
func (InstanceDraining) event()        {}
func (InstanceKept) event()            {}
func (InstanceUnready) event()         {}
func (InstanceTerminating) event()     {}
func (InstanceGone) event()            {}
func (InstanceStray) event()           {}
func (AutoscalerReconfigured) event()  {}
func (AutoscalerResumed) event()       {}
func (AutoscalerPaused) event()        {}
func (AutoscalerMisconfigured) event() {}
func (AutoscalerContested) event()     {}
func (AutoscalerUncontested) event()   {}
func (InstanceNoticed) event()         {}
func (InstanceRecalled) event()        {}
func (InstanceUnended) event()         {}
func (ResourceHeld) event()            {}
func (ResourceReleased) event()        {}
func (FleetGuarded) event()            {}
func (QueueClosed) event()             {}
func (QueueOpened) event()             {}
func (TaskRequeued) event()            {}
func (TaskLost) event()                {}
func (TaskDuplicated) event()          {}
