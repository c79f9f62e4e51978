package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/ebbscale/ebb/messages"
)

const (
	// ContentType is the header Content-Type of every event.
	ContentType = "application/cloudevents+json"

	sourcePrefix = "/ebb/"
	typePrefix   = eventRoot + "."
	// maxIDLength bounds an event's id, which also travels as a header.
	maxIDLength = 256
)

// ErrUnknownKind is in the error of [DecodeEvent] when the event is well-formed
// but of a kind that this version does not know.
var ErrUnknownKind = errors.New("unknown kind of event")

// Envelope is an event as it was taken from the bus.
type Envelope struct {
	messages.Recorded
	// Kind is noun.verb, also when Recorded.Event is nil because this version
	// does not know it.
	Kind string
	// About is the CloudEvent's subject: the queue, resource type or instance.
	About string
	// Data is the event's own JSON.
	Data json.RawMessage
}

// EncodeEvent writes an event as a CloudEvent 1.0 in structured JSON. An event
// that can never be written is a [messages.Failure] of class ClassInvalid whose
// Code is the event's id.
func EncodeEvent(recorded messages.Recorded) ([]byte, error) {
	invalid := func(format string, args ...any) error {
		failure := &messages.Failure{Class: messages.ClassInvalid, Code: recorded.ID, Message: fmt.Sprintf(format, args...)}
		return fmt.Errorf("encode event: %w", failure)
	}
	if !validID(recorded.ID) {
		return nil, invalid("id %q is not 1 to %d printable ASCII characters without spaces", recorded.ID, maxIDLength)
	}
	if recorded.Autoscaler == "" {
		return nil, invalid("no autoscaler")
	}
	if recorded.Event == nil {
		return nil, invalid("no event")
	}
	kind := recorded.Event.Kind()
	if !validKind(kind) {
		return nil, invalid("kind %q is not noun.verb", kind)
	}
	data, err := json.Marshal(recorded.Event)
	if err != nil {
		return nil, invalid("%s: %v", kind, err)
	}
	event := cloudevents.New(cloudevents.CloudEventsVersionV1)
	event.SetID(recorded.ID)
	event.SetSource(sourcePrefix + url.PathEscape(string(recorded.Autoscaler)))
	event.SetType(typePrefix + kind)
	if about := recorded.Event.About(); about != "" {
		event.SetSubject(about)
	}
	event.SetTime(recorded.At.UTC())
	if err := event.SetData(cloudevents.ApplicationJSON, json.RawMessage(data)); err != nil {
		return nil, invalid("%s: %v", kind, err)
	}
	encoded, err := json.Marshal(event) // validates the attributes too
	if err != nil {
		return nil, invalid("%s: %v", kind, err)
	}
	return encoded, nil
}

// DecodeEvent reads a CloudEvent that [EncodeEvent] wrote, in this version or
// another. When the kind is not known the envelope is whole but for its Event,
// and the error is [ErrUnknownKind]; on other errors the envelope holds what
// could be read.
func DecodeEvent(data []byte) (Envelope, error) {
	var event cloudevents.Event
	if err := json.Unmarshal(data, &event); err != nil {
		return Envelope{}, fmt.Errorf("decode event: %w", err)
	}
	if err := event.Validate(); err != nil {
		return Envelope{}, fmt.Errorf("decode event: %w", err)
	}
	envelope := Envelope{
		Recorded: messages.Recorded{ID: event.ID(), At: utc(event.Time())},
		About:    event.Subject(),
		Data:     event.Data(),
	}
	name, ok := strings.CutPrefix(event.Source(), sourcePrefix)
	autoscaler, err := url.PathUnescape(name)
	if !ok || err != nil || autoscaler == "" {
		return envelope, fmt.Errorf("decode event %s: source %q is not %s<autoscaler>", event.ID(), event.Source(), sourcePrefix)
	}
	envelope.Autoscaler = messages.AutoscalerName(autoscaler)
	kind, ok := strings.CutPrefix(event.Type(), typePrefix)
	if !ok || !validKind(kind) {
		return envelope, fmt.Errorf("decode event %s: type %q is not %s<noun>.<verb>", event.ID(), event.Type(), typePrefix)
	}
	envelope.Kind = kind
	if !slices.Contains(messages.EventKinds(), kind) {
		return envelope, fmt.Errorf("decode event %s: %w: %s", event.ID(), ErrUnknownKind, kind)
	}
	fact, err := messages.DecodeEvent(kind, event.Data())
	if err != nil {
		return envelope, fmt.Errorf("decode event %s: %w", event.ID(), err)
	}
	envelope.Event = fact
	return envelope, nil
}

// utc keeps the zero time zero.
func utc(at time.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	return at.UTC()
}

// validID says whether an id can travel as a header and in JSON unchanged.
func validID(id string) bool {
	for _, char := range []byte(id) {
		if char <= ' ' || char > '~' {
			return false
		}
	}
	return id != "" && len(id) <= maxIDLength
}
