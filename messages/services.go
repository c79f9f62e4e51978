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

func (CheckWorker) observerMessage() {}

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
type TerminateInstance struct{ Instance InstanceID }

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
