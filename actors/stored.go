package actors

import (
	"context"
	"encoding/json"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	stateTimeout = 10 * time.Second
	// stateAgain is how soon what an actor keeps is read or written again after a
	// failure.
	stateAgain = 2 * time.Second
	stateAlarm = "state"
)

// stored is a value that an actor keeps over a restart, as JSON in the state store.
// It is read once and written one write at a time; both are tried again until they
// succeed.
type stored struct {
	state State
	at    messages.StateKey
	// what it is, and what it costs that it is not written, for the log.
	what, cost string
	// value answers what is to be kept now, nil for nothing.
	value func() any

	read   bool // what was kept has come, or was overruled; nothing is written before
	saving bool
	dirty  bool // what is kept differs from the value
	again  alarm
}

// stateRead answers a read, stateSaved a write. An actor that was restarted gets
// those of its former life too, and does not heed them.
type (
	stateRead struct {
		of    *stored
		value []byte
		err   error
	}
	stateSaved struct {
		of  *stored
		err error
	}
)

func (s *stored) load(env *env, ctx actor.Context) {
	env.pipe(ctx, stateTimeout, func(io context.Context) any {
		value, err := s.state.Load(io, s.at)
		return stateRead{of: s, value: value, err: err}
	})
}

// loaded has what came taken over, and says whether it came now. What is not
// readable counts as nothing.
func (s *stored) loaded(env *env, ctx actor.Context, m stateRead, take func(value []byte) error) bool {
	if m.of != s || s.read {
		return false
	}
	failure := messages.FailureOf(m.err)
	if failure != nil && failure.Class != messages.ClassInvalid {
		env.log.Warn().Err(m.err).Msgf("%s could not be read; read again in %s", s.what, stateAgain)
		s.again.set(env, ctx, stateAlarm, stateAgain)
		return false
	}
	s.read = true
	err := m.err
	if err == nil && len(m.value) > 0 {
		err = take(m.value)
	}
	if err != nil {
		env.log.Error().Err(err).Msgf("%s was kept and is not readable; it begins anew", s.what)
	}
	if s.dirty {
		s.save(env, ctx)
	}
	return true
}

// end forgets to try again.
func (s *stored) end() {
	if s != nil { // an actor may end before it has begun
		s.again.cancel()
	}
}

// overrule says that what was kept does not count any more.
func (s *stored) overrule() {
	s.read = true
	s.again.cancel()
}

// save has the value kept as it is now.
func (s *stored) save(env *env, ctx actor.Context) {
	s.dirty = true
	if !s.read || s.saving {
		return
	}
	var data []byte
	if value := s.value(); value != nil {
		var err error
		if data, err = json.Marshal(value); err != nil {
			env.log.Error().Err(err).Msgf("%s can not be written", s.what)
			return
		}
	}
	s.again.cancel()
	s.saving, s.dirty = true, false
	env.pipe(ctx, stateTimeout, func(io context.Context) any {
		return stateSaved{of: s, err: s.state.Save(io, s.at, data)}
	})
}

// saved says whether everything that was to be kept now is.
func (s *stored) saved(env *env, ctx actor.Context, m stateSaved) bool {
	if m.of != s {
		return false
	}
	s.saving = false
	switch failure := messages.FailureOf(m.err); {
	case m.err == nil && s.dirty:
		s.save(env, ctx)
	case m.err == nil:
		return true
	case failure != nil && failure.Class == messages.ClassInvalid: // it is too large; the next may not be
		env.log.Error().Err(m.err).Msgf("%s can not be kept: %s", s.what, s.cost)
		s.dirty = true
	default:
		env.log.Warn().Err(m.err).Msgf("%s is not saved yet: %s", s.what, s.cost)
		s.dirty = true
		s.again.set(env, ctx, stateAlarm, stateAgain)
	}
	return false
}

// rang reads or writes once more when it is time.
func (s *stored) rang(env *env, ctx actor.Context, m rang) {
	switch {
	case m.name != stateAlarm || !s.again.heeds(m):
	case !s.read:
		s.load(env, ctx)
	case s.dirty:
		s.save(env, ctx)
	}
}
