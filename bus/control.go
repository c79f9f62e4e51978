package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ebbscale/ebb/messages"
)

const (
	// ControlService is the name of the NATS micro service, for `nats micro ls`.
	ControlService = "ebb"
	// ControlVersion is the version of its requests and answers.
	ControlVersion = "1.0.0"
	// ControlSubjects matches every request to every autoscaler.
	ControlSubjects = controlRoot + ".>"

	controlRoot = "ebb.control.v1"

	// controlLimit is the most bytes of one request.
	controlLimit = 64 << 10
	// controlsAtOnce is how many requests one service works on; further ones wait.
	controlsAtOnce = 16
	// controlPatience bounds the work on one request.
	controlPatience = 10 * time.Second
	// stopPatience is how long the server may take to know that a service ended.
	stopPatience = 2 * time.Second
	// foundPatience is how long the first service may take to say that it is there,
	// moreFound how long each further one. Where there is none the server says so at
	// once: nobody waits for nothing.
	foundPatience = 3 * time.Second
	moreFound     = 60 * time.Millisecond
)

// Keys of a control service's metadata.
const (
	metaAutoscaler = "autoscaler"
	metaHolder     = "holder"
	metaVersion    = "ebb_version"
)

// ControlHandler answers one request. An answer is sent as JSON. An error is
// sent as a [messages.Failure]; one that carries none as ClassUnknown.
type ControlHandler func(ctx context.Context, request []byte) (answer any, err error)

// ControlConfig is what an autoscaler that acts can be asked.
type ControlConfig struct {
	Autoscaler messages.AutoscalerName
	// Holder and Version are for people, in `nats micro info`.
	Holder  string
	Version string
	// Handlers has one for each verb, which is the end of the subject.
	Handlers map[string]ControlHandler
}

// Control is a running control service.
type Control struct {
	bus     *Bus
	service micro.Service
	ctx     context.Context //nolint:containedctx // it ends when the service does
	cancel  context.CancelFunc
	slots   chan struct{}
	working sync.WaitGroup
}

// ControlSubject is where a request to an autoscaler goes:
// ebb.control.v1.<autoscaler>.<verb>.
func ControlSubject(autoscaler messages.AutoscalerName, verb string) string {
	return controlRoot + "." + EscapeToken(string(autoscaler)) + "." + verb
}

// Serve answers requests to one autoscaler until ctx ends or the control is
// stopped. Only the process that acts for the autoscaler should.
func (b *Bus) Serve(ctx context.Context, config ControlConfig) (*Control, error) {
	c := &Control{bus: b, slots: make(chan struct{}, controlsAtOnce)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	service, err := micro.AddService(b.conn, micro.Config{
		Name: ControlService, Version: ControlVersion, Description: "autoscaler " + string(config.Autoscaler),
		Metadata: map[string]string{
			metaAutoscaler: string(config.Autoscaler), metaHolder: config.Holder, metaVersion: config.Version,
		},
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			b.log.Warn().Str("subject", err.Subject).Str("error", err.Description).Msg("control service reports an error")
		},
	})
	if err != nil {
		c.cancel()
		return nil, fmt.Errorf("start control service of %s: %w", config.Autoscaler, err)
	}
	c.service = service
	for _, verb := range slices.Sorted(maps.Keys(config.Handlers)) {
		handler := config.Handlers[verb]
		//nolint:contextcheck // a request brings no context of its own
		err := service.AddEndpoint(verb, micro.HandlerFunc(func(request micro.Request) { c.take(request, handler) }),
			micro.WithEndpointSubject(ControlSubject(config.Autoscaler, verb)))
		if err != nil {
			c.Stop()
			return nil, fmt.Errorf("start control service of %s, verb %s: %w", config.Autoscaler, verb, err)
		}
	}
	if err := b.conn.FlushTimeout(stopPatience); err != nil { // it is told again when the connection is back
		b.log.Debug().Err(err).Msg("control service started without the event server's knowledge")
	}
	return c, nil
}

// forwarded says whether a message was not sent to us by whoever asks, but by the
// server in answer to a request of somebody who named our subject for the reply:
// the server asks nobody's permission for that. Such messages have its headers, or
// nobody but the server to answer to.
func forwarded(request micro.Request) bool {
	if reply := request.Reply(); reply == "" || strings.HasPrefix(reply, "$JS.") {
		return true
	}
	for key := range request.Headers() {
		if key == "Status" || strings.HasPrefix(key, "Nats-") {
			return true
		}
	}
	return false
}

// take works on a request beside the subscription, so that a slow one delays no
// other.
func (c *Control) take(request micro.Request, handler ControlHandler) {
	if forwarded(request) {
		c.fail(request, &messages.Failure{Class: messages.ClassInvalid, Message: "this is an answer or a stored message of the event server, and no request"})
		return
	}
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
	}
	if c.ctx.Err() != nil { // whoever asks is to hear so at once
		c.fail(request, &messages.Failure{Class: messages.ClassHeld, Message: "this process does not act for the autoscaler any more"})
		return
	}
	c.working.Go(func() {
		defer func() { <-c.slots }()
		c.answer(request, handler)
	})
}

func (c *Control) answer(request micro.Request, handler ControlHandler) {
	ctx, cancel := context.WithTimeout(c.ctx, controlPatience)
	defer cancel()
	answer, err := handle(ctx, request.Data(), handler)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(answer); err == nil {
			if most := c.bus.conn.MaxPayload(); most > 0 && int64(len(data)) > most-headerRoom {
				err = &messages.Failure{Class: messages.ClassInvalid, Message: fmt.Sprintf("the answer of %d bytes is too long for the event server; ask for less", len(data))}
			} else if err = c.reply(request, nil, data); err == nil {
				return
			}
		}
	}
	c.fail(request, messages.FailureOf(err))
}

func (c *Control) fail(request micro.Request, failure *messages.Failure) {
	data, problem := json.Marshal(failure)
	if problem != nil {
		data = nil
	}
	header := nats.Header{micro.ErrorCodeHeader: {string(failure.Class)}, micro.ErrorHeader: {cut(failure.Message)}}
	if problem := c.reply(request, header, data); problem != nil {
		c.bus.log.Debug().Err(problem).Str("subject", request.Subject()).Msg("answer not sent")
	}
}

// reply answers a request as [micro.Request] does, which may not be used beside the
// subscription: the service reads its error unguarded once the handler has returned.
func (c *Control) reply(request micro.Request, header nats.Header, data []byte) error {
	if request.Reply() == "" {
		return nats.ErrMsgNoReply
	}
	return c.bus.conn.PublishMsg(&nats.Msg{Subject: request.Reply(), Header: header, Data: data})
}

// cut makes a text fit for a header.
func cut(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "no further word"
	}
	return strings.ToValidUTF8(text[:min(len(text), 500)], "")
}

// handle calls the handler; a panic in it is a failure of that request only.
func handle(ctx context.Context, request []byte, handler ControlHandler) (answer any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			answer, err = nil, &messages.Failure{Class: messages.ClassUnknown, Message: fmt.Sprintf("this is a bug in ebb, please report it: %v", reason)}
		}
	}()
	if len(request) > controlLimit {
		return nil, &messages.Failure{Class: messages.ClassInvalid, Message: fmt.Sprintf("the request has %d bytes, at most %d are read", len(request), controlLimit)}
	}
	return handler(ctx, request)
}

// Stop ends the service once the requests under way are answered.
func (c *Control) Stop() {
	if err := c.service.Stop(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		c.bus.log.Debug().Err(err).Msg("control service not stopped cleanly")
	}
	c.cancel()
	if err := c.bus.conn.FlushTimeout(stopPatience); err != nil { // so that the server hands it nothing more
		c.bus.log.Debug().Err(err).Msg("control service stopped without the event server's knowledge")
	}
	c.working.Wait()
}

// Ask sends a request to whichever process acts for the autoscaler and reads its
// answer. Errors are [messages.Failure]s: that of the other side, ClassHeld when
// nobody acts for an autoscaler of that name, ClassTransient when no answer came.
func (b *Bus) Ask(ctx context.Context, autoscaler messages.AutoscalerName, verb string, request, answer any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("write request %s: %w", verb, err)
	}
	message, err := b.conn.RequestWithContext(ctx, ControlSubject(autoscaler, verb), data)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return &messages.Failure{Class: messages.ClassHeld, Message: fmt.Sprintf("no ebb that is connected to this event server acts for an autoscaler %q", autoscaler)}
	case err != nil:
		return &messages.Failure{Class: messages.ClassTransient, Message: "no answer from ebb: " + err.Error()}
	}
	if code := message.Header.Get(micro.ErrorCodeHeader); code != "" {
		failure := &messages.Failure{}
		if json.Unmarshal(message.Data, failure) != nil || failure.Class == "" {
			failure = &messages.Failure{Class: messages.FailureClass(code), Message: message.Header.Get(micro.ErrorHeader)}
		}
		return failure
	}
	if err := json.Unmarshal(message.Data, answer); err != nil {
		return fmt.Errorf("read answer of %s: %w", verb, err)
	}
	return nil
}

// ControlInfo is one control service that was found.
type ControlInfo struct {
	Autoscaler messages.AutoscalerName `json:"autoscaler"`
	Holder     string                  `json:"holder"`
	Version    string                  `json:"version"`
}

// Controls finds the autoscalers that somebody acts for, sorted by name.
func (b *Bus) Controls(ctx context.Context) ([]ControlInfo, error) {
	subject, err := micro.ControlSubject(micro.InfoVerb, ControlService, "")
	if err != nil {
		return nil, fmt.Errorf("find autoscalers: %w", err)
	}
	inbox := b.conn.NewRespInbox()
	sub, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("find autoscalers: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.conn.PublishRequest(subject, inbox, nil); err != nil {
		return nil, fmt.Errorf("find autoscalers: %w", err)
	}
	found, patience := []ControlInfo{}, foundPatience
	for {
		message, err := nextWithin(ctx, sub, patience)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders):
			slices.SortFunc(found, func(x, y ControlInfo) int { return strings.Compare(string(x.Autoscaler), string(y.Autoscaler)) })
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("find autoscalers: %w", err)
		}
		var info micro.Info
		if json.Unmarshal(message.Data, &info) == nil && info.Metadata[metaAutoscaler] != "" {
			found = append(found, ControlInfo{
				Autoscaler: messages.AutoscalerName(info.Metadata[metaAutoscaler]),
				Holder:     info.Metadata[metaHolder], Version: info.Metadata[metaVersion],
			})
		}
		patience = moreFound
	}
}

func nextWithin(ctx context.Context, sub *nats.Subscription, patience time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}
