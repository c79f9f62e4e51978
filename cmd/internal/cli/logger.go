package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// logTime is how a line of the log tells the time: RFC 3339 in UTC, to the
// millisecond.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// NewLogger makes the process's logger: JSON, or lines for people when the
// format says console, or says auto and w is a terminal. now is read for each
// line.
func NewLogger(w io.Writer, settings config.Log, now func() time.Time) (zerolog.Logger, error) {
	level := zerolog.InfoLevel
	if settings.Level != "" {
		parsed, err := zerolog.ParseLevel(settings.Level)
		if err != nil {
			return zerolog.Nop(), fmt.Errorf("make logger: level %q is not known; write trace, debug, info, warn or error", settings.Level)
		}
		level = parsed
	}
	console := false
	switch settings.Format {
	case "json":
	case "console":
		console = true
	case "auto", "":
		console = isTerminal(w)
	default:
		return zerolog.Nop(), fmt.Errorf("make logger: format %q is not known; write auto, json or console", settings.Format)
	}
	if console {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: logTime, TimeLocation: time.UTC, NoColor: !isTerminal(w)}
	}
	stamp := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, now().UTC().Format(logTime))
	})
	return zerolog.New(w).Level(level).Hook(stamp), nil
}

func isTerminal(w io.Writer) bool {
	if b, ok := w.(*backlog); ok {
		w = b.out
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
