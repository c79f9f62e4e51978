package app

import (
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// What systemd is told of a service of Type=notify; sd_notify(3) has the protocol: a
// datagram each.
const (
	systemdReady    = "READY=1"
	systemdAlive    = "WATCHDOG=1"
	systemdStopping = "STOPPING=1"
)

// systemd tells the one that started this process how it does, if that one wants to
// know.
type systemd struct {
	socket string
	log    zerolog.Logger
}

func newSystemd(log zerolog.Logger) systemd {
	return systemd{socket: os.Getenv("NOTIFY_SOCKET"), log: log}
}

// during tells that the process is alive while f runs.
func (s systemd) during(f func() error) error {
	over := make(chan struct{})
	defer close(over)
	go func() {
		for ticks := time.Tick(lookEvery); ; s.tell(systemdAlive) {
			select {
			case <-over:
				return
			case <-ticks:
			}
		}
	}()
	return f()
}

func (s systemd) tell(what string) {
	if s.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err == nil {
		defer conn.Close() //nolint:errcheck // a datagram is gone once it is written
		_, err = conn.Write([]byte(what))
	}
	if err != nil {
		s.log.Warn().Err(err).Str("what", what).Msg("systemd cannot be told; it may end this process for that")
	}
}
