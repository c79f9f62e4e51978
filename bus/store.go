package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

const (
	// lookEvery is how often an embedded server looks at its disk and its store.
	lookEvery = time.Second
	// patientLooks is the most looks between two attempts to start anew, and how
	// many good ones in a row make a store sound again.
	patientLooks = 60
	// roomToWork is how many bytes have to be free before a server whose disk was
	// full is started anew: with less it would be full again at once.
	roomToWork = 32 << 20
	// trialName is the file that is written to see whether there is room, and
	// trialBytes its size. With less than that a disk is full.
	trialName  = "ebb.trial"
	trialBytes = 256 << 10
)

// StoreFault is why the store of an embedded server cannot be written.
type StoreFault string

// The faults.
const (
	StoreGood    StoreFault = ""
	StoreFull    StoreFault = "full"    // no room on the disk
	StoreQuota   StoreFault = "quota"   // no room for this user
	StoreFailing StoreFault = "failing" // whatever else a disk answers
)

// Words say what is wrong, without a path; empty when nothing is.
func (f StoreFault) Words() string {
	switch f {
	case StoreGood:
		return ""
	case StoreFull:
		return "the disk of state_dir is full"
	case StoreQuota:
		return "the disk quota for state_dir is used up"
	case StoreFailing:
	}
	return "the disk of state_dir cannot be written"
}

// Cure says what to do about it; empty when nothing is wrong.
func (f StoreFault) Cure() string {
	after := fmt.Sprintf("; ebb goes on by itself once %d MiB are free, and need not be restarted", roomToWork>>20)
	switch f {
	case StoreGood:
		return ""
	case StoreFull:
		return "make room on the disk of state_dir" + after
	case StoreQuota:
		return "remove files of this user, or raise the quota for state_dir" + after
	case StoreFailing:
	}
	return "mend the disk of state_dir, the log has its answer; ebb goes on by itself once it can be written again"
}

// Store is how the store of an embedded server is.
type Store struct {
	Fault StoreFault `json:"fault,omitempty"`
	// Detail is what the server or the disk said of the fault.
	Detail string `json:"detail,omitempty"`
	// Free is how many bytes this user may still write to the disk; -1 when the
	// system does not tell. Low says that this is little, see [DiskNeeded].
	Free int64 `json:"free_bytes"`
	Low  bool  `json:"low,omitempty"`
}

// Warning says in one sentence what is wrong or soon will be, and what to do; empty
// when all is well.
func (s Store) Warning() string {
	switch {
	case s.Fault != StoreGood:
		return fmt.Sprintf("%s: nothing can be stored, so nothing is launched or ended, and instances go on working. To do: %s", s.Fault.Words(), s.Fault.Cure())
	case s.Low:
		return fmt.Sprintf("only %d MiB are free on the disk of state_dir: make room, or move state_dir to a larger disk; "+
			"when it is full, nothing is launched or ended any more", s.Free>>20)
	}
	return ""
}

// RoomToWork is how many bytes have to be free on a disk that was full before the
// embedded server works again.
func RoomToWork() int64 { return roomToWork }

// isLow says whether so little is free that somebody should make room. Once it is,
// an eighth more has to be free until it is not: no flood of warnings.
func isLow(free int64, was bool) bool {
	enough := DiskNeeded()
	if was {
		enough += enough / 8
	}
	return free >= 0 && free < enough
}

// Store says how the store is, as it was seen a second ago at most.
func (s *Server) Store() Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// watch looks at the store until ctx ends.
func (s *Server) watch(ctx context.Context) {
	between := spacing{}
	for {
		pause(ctx, lookEvery)
		if ctx.Err() != nil {
			return
		}
		s.look(ctx, &between)
	}
}

// spacing spaces the attempts to start a server anew.
type spacing struct {
	// good counts the good looks in a row, wait the looks until the next attempt,
	// and last how many it were before the attempt before.
	good, wait, last int
}

// failed notes that a store which was good is not any more.
func (p *spacing) failed() {
	if p.good >= patientLooks {
		p.last = 0
	}
	p.good = 0
	p.last = max(1, min(2*p.last, patientLooks))
	p.wait = p.last
}

// look takes notice of the disk and of the store, and starts the server anew when
// it can work again.
func (s *Server) look(ctx context.Context, between *spacing) {
	s.measure()
	if s.Store().Fault == StoreGood {
		detail := s.writeFault()
		if detail == "" {
			between.good++
			return
		}
		s.fail(detail)
		between.failed()
	}
	if between.wait--; between.wait > 0 {
		return
	}
	if !s.hasRoom() {
		between.wait = 1 // looking costs little
		return
	}
	if err := s.startAnew(); err != nil {
		between.failed()
		if ctx.Err() == nil {
			s.config.Log.Error().Err(err).Str("state_dir", s.config.StateDir).
				Msg("the disk of state_dir can be written again, but the event server could not be started anew; it is tried again")
		}
	}
}

// measure looks how much is free, and says when that becomes little.
func (s *Server) measure() {
	free := freeBytes(s.config.StateDir)
	s.mu.Lock()
	was := s.store.Low
	low := isLow(free, was)
	s.store.Free, s.store.Low = free, low
	s.mu.Unlock()
	switch {
	case low && !was:
		s.config.Log.Warn().Str("state_dir", s.config.StateDir).Int64("free_bytes", free).Int64("wanted_bytes", DiskNeeded()).
			Msg(Store{Free: free, Low: true}.Warning())
	case was && !low:
		s.config.Log.Info().Str("state_dir", s.config.StateDir).Int64("free_bytes", free).Msg("there is enough room on the disk of state_dir again")
	}
}

// fail takes a store out of use that could not be written. What its server has in
// memory and what is on the disk may differ from now on, and it would not write again
// before it is started anew; so nothing is read of it any more either. Connections
// stay, for what needs no store: commands and their answers.
func (s *Server) fail(detail string) {
	s.mu.Lock()
	s.store.Fault, s.store.Detail = faultOf(detail), detail
	store := s.store
	s.mu.Unlock()
	s.config.Log.Error().Str("state_dir", s.config.StateDir).Int64("free_bytes", store.Free).Str("error", detail).Msg(store.Warning())
	if err := s.server().ShutdownJetStream(); err != nil {
		s.config.Log.Warn().Err(err).Msg("event server did not take its store out of use")
	}
}

// hasRoom says whether the disk can be written again.
func (s *Server) hasRoom() bool {
	if free := s.Store().Free; free >= 0 && free < roomToWork {
		return false
	}
	return s.tryWriting() == nil
}

// tryWriting writes a file through to the disk, and removes it.
func (s *Server) tryWriting() error {
	path := filepath.Join(s.config.StateDir, trialName)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, trialBytes))
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(path))
}

// startAnew ends the server and starts another one over the same directory and, for
// other programs, on the same port. The directory stays locked meanwhile. To whoever
// is connected it is a server that was restarted: they connect again by themselves.
func (s *Server) startAnew() error {
	s.setAnew(true)
	defer s.setAnew(false)
	old := s.server()
	old.Shutdown()
	old.WaitForShutdown()
	fresh, err := run(s.options(), s.config.Log)
	if err != nil {
		return err
	}
	// A stream that is on the disk and does not come back must not be made anew by
	// whoever misses it, so nobody of this process is let in.
	if health := fresh.Healthz(&natsserver.HealthzOptions{}); health.Error != "" {
		fresh.Shutdown()
		fresh.WaitForShutdown()
		return errors.New(health.Error)
	}
	s.mu.Lock()
	s.nats = fresh
	s.store.Fault, s.store.Detail = StoreGood, ""
	s.mu.Unlock()
	s.config.Log.Info().Str("state_dir", s.config.StateDir).
		Msg("the disk of state_dir can be written again: the event server was started anew with all that was confirmed, and ebb goes on")
	return nil
}

func (s *Server) setAnew(anew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anew = anew
}

// writeFault is why nothing is written any more; empty while it is. A disk without room
// counts before the server notices, which may write some more into its last blocks.
func (s *Server) writeFault() string {
	server := s.server()
	if !server.Running() {
		return "" // somebody ended it, and Running tells
	}
	if !server.JetStreamEnabled() {
		return "the server has put its store out of use"
	}
	for _, found := range server.Healthz(&natsserver.HealthzOptions{Details: true}).Errors {
		// Streams that are being made or deleted are reported too.
		if found.Type == natsserver.HealthzErrorStream && strings.Contains(found.Error, "write error") {
			return found.Error
		}
	}
	if free := s.Store().Free; free >= 0 && free < trialBytes {
		if err := s.tryWriting(); err != nil {
			return err.Error()
		}
	}
	return ""
}

// faultOf tells faults apart by the words of the system.
func faultOf(detail string) StoreFault {
	text := strings.ToLower(detail)
	for words, fault := range map[string]StoreFault{
		"no space left": StoreFull, "not enough space": StoreFull, "quota": StoreQuota,
	} {
		if strings.Contains(text, words) {
			return fault
		}
	}
	return StoreFailing
}
