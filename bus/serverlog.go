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

	unclean sync.Once // explains what the lines of a start after a crash are about
}

// Noticef is what the server tells on every start and stop: detail for us.
func (l *serverLog) Noticef(format string, args ...any) { l.log.Debug().Msgf(format, args...) }

// Warnf passes a warning on. That the index of a stream is older than the stream is
// what a process leaves behind that was killed: the server makes a new one, and nobody
// has to do anything.
func (l *serverLog) Warnf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !outdated(text) {
		l.log.Warn().Msg(text)
		return
	}
	l.unclean.Do(func() {
		l.log.Info().Msg("the event server did not end in an orderly way the last time, as after a crash or a power cut: it reads its store again, which may take a while; there is nothing to do")
	})
	l.log.Info().Msg(text)
}

// outdated says whether a line is about an index that is older than what it is of; one
// that is damaged is another matter.
func outdated(text string) bool {
	if !strings.HasPrefix(text, "Filestore [") {
		return false
	}
	for _, words := range []string{"errored: prior state file", "Stream state outdated, ", "Stream state detected prior state, ", " state is outdated; attempting to recover"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

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
