package control

import (
	"context"
	"sync"
	"time"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// LongestPause is the longest that a pause with an end may be.
const LongestPause = 366 * 24 * time.Hour

// Engine carries out what is asked. Every error carries a [messages.Failure].
type Engine interface {
	// Order has the autoscaler carry out an order and waits for the answer.
	Order(ctx context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error)
	// Reload reads the configuration file again. With an error nothing has changed.
	Reload(ctx context.Context, by string) (Reloaded, error)
	// Now is the clock that pauses are kept by.
	Now() time.Time
}

// Handlers answer the requests to one autoscaler.
func Handlers(name messages.AutoscalerName, engine Engine) map[string]bus.ControlHandler {
	s := &server{name: name, engine: engine}
	return map[string]bus.ControlHandler{
		VerbStatus:       handler(s.status),
		VerbExplain:      handler(s.explain),
		VerbPause:        handler(s.pause),
		VerbResume:       handler(s.resume),
		VerbDrain:        handler(s.drain),
		VerbShutdownIdle: handler(s.shutdownIdle),
		VerbReload:       handler(s.reload),
	}
}

type server struct {
	name   messages.AutoscalerName
	engine Engine

	// The status that was asked for last, from which further pages are taken: they
	// belong together then, and the engine is not asked again for each.
	mu    sync.Mutex
	last  messages.Status
	taken time.Time
}

// pagesFor is how long further pages are taken from a status.
const pagesFor = 5 * time.Second

// handler reads a request before it is answered. An empty one is one without
// fields, so that `nats request` needs no JSON.
func handler[Q any](answer func(context.Context, Q) (any, error)) bus.ControlHandler {
	return func(ctx context.Context, data []byte) (any, error) {
		var request Q
		if err := read(data, &request); err != nil {
			return nil, err
		}
		said, err := answer(ctx, request)
		if err != nil {
			return nil, err
		}
		return said, nil
	}
}

func (s *server) order(ctx context.Context, by string, order messages.Order) (messages.Answered, error) {
	if err := checkText("by", by, byLimit); err != nil {
		return messages.Answered{}, err
	}
	return s.engine.Order(ctx, s.name, by, order)
}

func (s *server) full(ctx context.Context) (messages.Status, error) {
	answer, err := s.engine.Order(ctx, s.name, "", messages.ReportStatus{})
	if err != nil {
		return messages.Status{}, err
	}
	return *answer.Status, nil
}

func (s *server) status(ctx context.Context, request StatusRequest) (any, error) {
	if err := checkText("after", string(request.After), nameLimit); err != nil {
		return nil, err
	}
	status, fresh := s.remembered()
	if request.After == "" || !fresh {
		var err error
		if status, err = s.full(ctx); err != nil {
			return nil, err
		}
	}
	answer, err := page(status, request.After)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last, s.taken = (messages.Status{}), (time.Time{}); answer.More {
		s.last, s.taken = status, time.Now()
	}
	return answer, nil
}

// remembered is the status that was asked for last, while it is fresh.
func (s *server) remembered() (messages.Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, !s.taken.IsZero() && time.Since(s.taken) < pagesFor
}

func (s *server) explain(ctx context.Context, request ExplainRequest) (any, error) {
	if request.Queue == "" {
		return nil, invalid("queue is missing; write the name of a queue, as `ebb status` shows it")
	}
	if err := checkText("queue", string(request.Queue), nameLimit); err != nil {
		return nil, err
	}
	status, err := s.full(ctx)
	if err != nil {
		return nil, err
	}
	return Explain(status, request.Queue)
}

func (s *server) pause(ctx context.Context, request PauseRequest) (any, error) {
	if err := checkText("why", request.Why, whyLimit); err != nil {
		return nil, err
	}
	if !(request.Seconds >= 0 && request.Seconds <= LongestPause.Seconds()) { // NaN is not either
		return nil, invalid("seconds is not between 0 and %.0f; leave it out to pause until resumed", LongestPause.Seconds())
	}
	order := messages.PauseLaunches{Why: request.Why, Until: request.until(s.engine.Now())}
	return done(s.order(ctx, request.By, order))
}

func (s *server) resume(ctx context.Context, request ResumeRequest) (any, error) {
	return done(s.order(ctx, request.By, messages.ResumeLaunches{}))
}

func (s *server) drain(ctx context.Context, request DrainRequest) (any, error) {
	if request.Instance == "" {
		return nil, invalid("instance is missing; write the id of an instance, as `ebb status` shows it")
	}
	if err := checkText("instance", string(request.Instance), nameLimit); err != nil {
		return nil, err
	}
	return done(s.order(ctx, request.By, messages.DrainInstanceNow{Instance: request.Instance, Force: request.Force}))
}

func (s *server) shutdownIdle(ctx context.Context, request ShutdownIdleRequest) (any, error) {
	if err := checkText("resource", string(request.Resource), nameLimit); err != nil {
		return nil, err
	}
	return done(s.order(ctx, request.By, messages.DrainIdleNow{Resource: request.Resource}))
}

func (s *server) reload(ctx context.Context, request ReloadRequest) (any, error) {
	if err := checkText("by", request.By, byLimit); err != nil {
		return nil, err
	}
	return s.engine.Reload(ctx, request.By)
}

func done(answer messages.Answered, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return Done{Instances: answer.Instances}, nil
}
