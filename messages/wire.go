package messages

import (
	"encoding/json"
	"fmt"
)

// decoders has one entry for each event, by kind.
func decoders() map[string]func([]byte) (Event, error) {
	return map[string]func([]byte) (Event, error){
		AutoscalerStarted{}.Kind():       decode[AutoscalerStarted],
		AutoscalerStopped{}.Kind():       decode[AutoscalerStopped],
		ObservationFailed{}.Kind():       decode[ObservationFailed],
		ObservationRecovered{}.Kind():    decode[ObservationRecovered],
		QueueCreated{}.Kind():            decode[QueueCreated],
		QueueObserved{}.Kind():           decode[QueueObserved],
		QueuePlanned{}.Kind():            decode[QueuePlanned],
		InstanceRequested{}.Kind():       decode[InstanceRequested],
		InstanceRefused{}.Kind():         decode[InstanceRefused],
		InstanceLaunched{}.Kind():        decode[InstanceLaunched],
		InstanceAdopted{}.Kind():         decode[InstanceAdopted],
		InstanceRegistered{}.Kind():      decode[InstanceRegistered],
		InstanceBusy{}.Kind():            decode[InstanceBusy],
		InstanceIdle{}.Kind():            decode[InstanceIdle],
		InstanceDraining{}.Kind():        decode[InstanceDraining],
		InstanceKept{}.Kind():            decode[InstanceKept],
		InstanceUnready{}.Kind():         decode[InstanceUnready],
		InstanceTerminating{}.Kind():     decode[InstanceTerminating],
		InstanceGone{}.Kind():            decode[InstanceGone],
		InstanceStray{}.Kind():           decode[InstanceStray],
		AutoscalerReconfigured{}.Kind():  decode[AutoscalerReconfigured],
		AutoscalerResumed{}.Kind():       decode[AutoscalerResumed],
		AutoscalerPaused{}.Kind():        decode[AutoscalerPaused],
		AutoscalerMisconfigured{}.Kind(): decode[AutoscalerMisconfigured],
		AutoscalerContested{}.Kind():     decode[AutoscalerContested],
		AutoscalerUncontested{}.Kind():   decode[AutoscalerUncontested],
		InstanceNoticed{}.Kind():         decode[InstanceNoticed],
		InstanceRecalled{}.Kind():        decode[InstanceRecalled],
		InstanceUnended{}.Kind():         decode[InstanceUnended],
		ResourceHeld{}.Kind():            decode[ResourceHeld],
		ResourceReleased{}.Kind():        decode[ResourceReleased],
		FleetGuarded{}.Kind():            decode[FleetGuarded],
		QueueClosed{}.Kind():             decode[QueueClosed],
		QueueOpened{}.Kind():             decode[QueueOpened],
		TaskRequeued{}.Kind():            decode[TaskRequeued],
		TaskLost{}.Kind():                decode[TaskLost],
		TaskDuplicated{}.Kind():          decode[TaskDuplicated],
	}
}

func decode[E Event](data []byte) (Event, error) {
	var event E
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	return event, nil
}

// EventKinds lists the kinds of all events, in no particular order.
func EventKinds() []string {
	kinds := make([]string, 0, len(decoders()))
	for kind := range decoders() {
		kinds = append(kinds, kind)
	}
	return kinds
}

// DecodeEvent reads the JSON data of an event of the given kind. A kind that
// this version does not know is an error; the data is left as it is.
func DecodeEvent(kind string, data []byte) (Event, error) {
	read, ok := decoders()[kind]
	if !ok {
		return nil, fmt.Errorf("decode event: unknown kind %q", kind)
	}
	event, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("decode event %s: %w", kind, err)
	}
	return event, nil
}
