package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"sync"
	"time"
)

const (
	sessionsMax = 256
	sessionLife = 12 * time.Hour
	// wrongMax tries may be wrong within wrongWhile; then the address waits.
	wrongMax     = 8
	wrongWhile   = time.Minute
	addressesMax = 4096
)

// rights are what somebody may do.
type rights struct {
	read bool
	act  bool
	// by is who it is, for events.
	by string
}

// sessions are the browsers that have shown a token or a password. Only a hash of
// each session's key is kept.
type sessions struct {
	clock Clock
	mu    sync.Mutex
	open  map[string]session
}

type session struct {
	rights rights
	ends   time.Time
}

func newSessions(clock Clock) *sessions {
	return &sessions{clock: clock, open: make(map[string]session)}
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// begin opens a session and returns its key. When there are too many, the one that
// ends first ends now.
func (s *sessions) begin(r rights) string {
	key := rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	oldest := ""
	for hash, one := range s.open {
		if one.ends.Before(now) {
			delete(s.open, hash)
			continue
		}
		if oldest == "" || one.ends.Before(s.open[oldest].ends) {
			oldest = hash
		}
	}
	if len(s.open) >= sessionsMax {
		delete(s.open, oldest)
	}
	s.open[hashOf(key)] = session{rights: r, ends: now.Add(sessionLife)}
	return key
}

func (s *sessions) find(key string) (rights, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.open[hashOf(key)]
	if !ok || one.ends.Before(s.clock.Now()) {
		return rights{}, false
	}
	return one.rights, true
}

func (s *sessions) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, hashOf(key))
}

// same compares secrets in constant time, whatever their lengths.
func same(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// tries counts wrong tokens and passwords by the address they come from.
type tries struct {
	clock Clock
	mu    sync.Mutex
	wrong map[string]attempts
}

type attempts struct {
	count int
	since time.Time
}

func newTries(clock Clock) *tries {
	return &tries{clock: clock, wrong: make(map[string]attempts)}
}

// wait is how long the address must wait before it may try again; also a right
// token is not looked at before.
func (t *tries) wait(address string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.wrong[address]
	if !ok || one.count < wrongMax {
		return 0
	}
	return max(0, one.since.Add(wrongWhile).Sub(t.clock.Now()))
}

func (t *tries) failed(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	one := t.wrong[address]
	if now.Sub(one.since) > wrongWhile {
		one = attempts{since: now}
	}
	one.count++
	if len(t.wrong) >= addressesMax {
		t.forget(now)
	}
	t.wrong[address] = one
}

// forget makes room: what is over, and if that is not enough, everything.
func (t *tries) forget(now time.Time) {
	for address, one := range t.wrong {
		if now.Sub(one.since) > wrongWhile {
			delete(t.wrong, address)
		}
	}
	if len(t.wrong) >= addressesMax {
		clear(t.wrong)
	}
}
