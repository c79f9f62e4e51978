package bus

import (
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// serverLog hands the NATS server's log lines to zerolog. What the server calls
// fatal does not end the process: it is logged as an error, and remembered so
// that [Start] can return it.
type serverLog struct {
	log zerolog.Logger

	mu    sync.Mutex
	fatal string
}

// Noticef is what the server tells on every start and stop: detail for us.
func (l *serverLog) Noticef(format string, args ...any) { l.log.Debug().Msgf(format, args...) }

// Warnf passes a warning on.
func (l *serverLog) Warnf(format string, args ...any) { l.log.Warn().Msgf(format, args...) }

// Errorf passes an error on. That the store cannot be written is detail: the server
// says so for each stream and message, and [Server] once, with what to do.
func (l *serverLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if strings.Contains(strings.ToLower(text), "critical write error") || strings.Contains(text, "failed to store a msg") {
		l.log.Debug().Msg(text)
		return
	}
	l.log.Error().Msg(text)
}

// Fatalf passes an error on and remembers the first.
func (l *serverLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	if l.fatal == "" {
		l.fatal = text
	}
	l.mu.Unlock()
	l.log.Error().Msg(text)
}

// Debugf passes detail on; the server is told not to give any.
func (l *serverLog) Debugf(format string, args ...any) { l.log.Debug().Msgf(format, args...) }

// Tracef passes protocol lines on; the server is told not to give any.
func (l *serverLog) Tracef(format string, args ...any) { l.log.Trace().Msgf(format, args...) }

// firstFatal is the first line that the server called fatal, or empty.
func (l *serverLog) firstFatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
