package messages

import "time"

// ObserverMessage is the inbox of the observer.
//
//sumtype:decl
type ObserverMessage interface{ observerMessage() }

// CheckWorker asks the tasks API what a worker ran since a time (server's
// clock); answered with [WorkerChecked]. Several are asked in one call.
type CheckWorker struct {
	Worker WorkerID
	// Lookback is how far back to look.
	Lookback time.Duration
}

// HurryPolling asks for polls at the short interval for a while: an answer of a
// supervisor is waited for.
type HurryPolling struct{ For time.Duration }

// WriteSignals writes to the channel. There is no answer: the next poll shows
// what is there, and whoever still misses something writes again.
type WriteSignals struct{ Signals []Signal }

// WatchQueues names queues to poll besides the configured ones: instances that
// are left from an earlier configuration listen there. They are never created.
type WatchQueues struct{ Queues []QueueName }

// TagQueue puts a tag on a queue or takes it off; no answer either.
type TagQueue struct {
	QueueID string
	Tag     string
	On      bool
}

func (CheckWorker) observerMessage()  {}
func (HurryPolling) observerMessage() {}
func (WriteSignals) observerMessage() {}
func (TagQueue) observerMessage()     {}
func (WatchQueues) observerMessage()  {}

// FlushWrites is sent by the autoscaler as it stops; answered with
// [WritesFlushed] once everything that was to be written has been, or failed.
type FlushWrites struct{}

// WritesFlushed answers [FlushWrites].
type WritesFlushed struct{}

func (FlushWrites) observerMessage()     {}
func (WritesFlushed) autoscalerMessage() {}

// RescuerMessage is the inbox of the rescuer.
//
//sumtype:decl
type RescuerMessage interface{ rescuerMessage() }

// QueuesObserved is sent at each good poll, by the autoscaler.
type QueuesObserved struct{ Snapshot ClearMLSnapshot }

// InstancesObserved is sent at each complete listing, by the autoscaler, with
// every instance that carries our tag.
type InstancesObserved struct {
	At        time.Time
	Instances []Instance
}

func (QueuesObserved) rescuerMessage()    {}
func (InstancesObserved) rescuerMessage() {}

// InventoryMessage is the inbox of the inventory.
//
//sumtype:decl
type InventoryMessage interface{ inventoryMessage() }

// HurryListing asks for listings at the short interval for a while: something
// is about to change.
type HurryListing struct{ For time.Duration }

// ListFleet asks for a listing that begins after this message.
type ListFleet struct{}

func (HurryListing) inventoryMessage() {}
func (ListFleet) inventoryMessage()    {}

// ProvisionerMessage is the inbox of the provisioner.
//
//sumtype:decl
type ProvisionerMessage interface{ provisionerMessage() }

// Launch is sent by a resource type. The same request again does nothing new.
// Answered with [LaunchIntended], then [LaunchSettled].
type Launch struct{ Intent LaunchIntent }

// TerminateInstance is sent by an instance actor; answered with
// [TerminationSettled].
type TerminateInstance struct {
	Instance InstanceID
	// Certain says that what was known of its worker cannot grow old: the agent
	// has ended, or an operator wants it so.
	Certain bool
}

// ReportLaunches is sent by a resource type that begins; answered with
// [LaunchesReported] once the ledger has been read.
type ReportLaunches struct{ Resource ResourceName }

// ReadConsole is sent by an instance actor whose worker never came; answered
// with [ConsoleRead].
type ReadConsole struct{ Instance InstanceID }

func (Launch) provisionerMessage()            {}
func (TerminateInstance) provisionerMessage() {}
func (ReportLaunches) provisionerMessage()    {}
func (ReadConsole) provisionerMessage()       {}

// ConsoleRead answers [ReadConsole], by the provisioner. Tail is empty when
// there was nothing to read.
type ConsoleRead struct{ Tail string }

func (ConsoleRead) instanceMessage() {}

// RecorderMessage is the inbox of the recorder.
//
//sumtype:decl
type RecorderMessage interface{ recorderMessage() }

// Record is sent by any actor to have a fact recorded.
type Record struct {
	At    time.Time
	Event Event
}

// FlushRecords is sent by the autoscaler as it stops; answered with
// [RecordsFlushed] when everything is on the bus or time is up.
type FlushRecords struct{ Patience time.Duration }

// RecordsFlushed answers [FlushRecords]. Lost counts what could not be sent.
type RecordsFlushed struct{ Lost int }

func (Record) recorderMessage()           {}
func (FlushRecords) recorderMessage()     {}
func (RecordsFlushed) autoscalerMessage() {}
