package app

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ebbscale/ebb/adapters/health"
	"github.com/ebbscale/ebb/messages"
)

// standingMost is how many lines of one kind are told of a configuration file.
const standingMost = 20

// standing is how far the configuration file is not what runs.
type standing struct {
	mu  sync.Mutex
	now messages.ConfigurationStatus
}

// unsound notes why the file was not taken over.
func (s *standing) unsound(mistakes []string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Unsound == nil {
		s.now.UnsoundSince = at
	}
	s.now.Unsound = mistakes
}

// sound notes that the file was taken over, but for what waits for the next start, and
// says whether it was not sound before.
func (s *standing) sound(restart []string) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.now.Unsound != nil
	s.now = messages.ConfigurationStatus{Restart: restart}
	return was
}

// status is nil when the file is what runs.
func (s *standing) status() *messages.ConfigurationStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Unsound == nil && len(s.now.Restart) == 0 {
		return nil
	}
	return &messages.ConfigurationStatus{Unsound: few(s.now.Unsound), UnsoundSince: s.now.UnsoundSince, Restart: few(s.now.Restart)}
}

// health is the same in numbers, for whoever may not see more.
func (s *standing) health() health.Configuration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return health.Configuration{Mistakes: len(s.now.Unsound), Since: s.now.UnsoundSince, Waiting: len(s.now.Restart)}
}

// few are the first lines, and how many more there are.
func few(lines []string) []string {
	if len(lines) <= standingMost {
		return lines
	}
	return append(slices.Clone(lines[:standingMost]), fmt.Sprintf("and %d more", len(lines)-standingMost))
}
