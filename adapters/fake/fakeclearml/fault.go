package fakeclearml

import (
	"fmt"
	"path"
	"time"
)

// Fault makes calls over HTTP go wrong. A fault with Status answers without
// carrying the call out, unless Execute is set; the other kinds carry the call
// out and spoil its answer.
type Fault struct {
	// Endpoint is a name such as queues.get_all, or a pattern such as tasks.* or *.
	Endpoint string `json:"endpoint"`
	// User limits the fault to calls by one user id.
	User string `json:"user,omitempty"`
	// Skip lets that many calls through first.
	Skip int `json:"skip,omitempty"`
	// Times is how many calls go wrong; 0 means all until the fault is removed.
	Times int `json:"times,omitempty"`
	// Status is the HTTP status to answer. With RawBody the body is that text, as
	// a proxy would send it; otherwise it is an envelope with Subcode and Message.
	Status  int    `json:"status,omitempty"`
	Subcode int    `json:"subcode,omitempty"`
	Message string `json:"message,omitempty"`
	RawBody string `json:"raw_body,omitempty"`
	// Execute carries the call out before Status is answered: the caller does not
	// learn that it has worked.
	Execute bool `json:"execute,omitempty"`
	// DelayMS holds the answer back for that many milliseconds of the server's clock.
	DelayMS int `json:"delay_ms,omitempty"`
	// Truncate sends that many bytes of the answer and cuts the connection.
	Truncate int `json:"truncate,omitempty"`
	// Drop cuts the connection without an answer.
	Drop bool `json:"drop,omitempty"`
	// EmptyList empties every list of the answer, as a server that lost its
	// database for a moment might.
	EmptyList bool `json:"empty_list,omitempty"`
	// Race is the status that somebody else gives the task between the server's
	// reading and writing it, so that the compare-and-set is lost (400/121).
	Race Status `json:"race,omitempty"`
}

type activeFault struct {
	Fault
	id, seen, hits int
}

// AddFault adds a fault and returns its number. Of several that fit a call the
// first added applies. The error says what is wrong with f.
func (s *Server) AddFault(f Fault) (int, error) {
	if _, err := path.Match(f.Endpoint, "a.b"); err != nil || f.Endpoint == "" {
		return 0, fmt.Errorf("add fault: endpoint %q is no pattern; write a name such as queues.get_all or tasks.*", f.Endpoint)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return 0, fmt.Errorf("add fault for %s: status %d is no HTTP status; use 200 to 599", f.Endpoint, f.Status)
	}
	if f.Status == 0 && f.DelayMS == 0 && f.Truncate == 0 && !f.Drop && !f.EmptyList && f.Race == "" {
		return 0, fmt.Errorf("add fault for %s: it does nothing; set status, delay_ms, truncate, drop, empty_list or race", f.Endpoint)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faultSeq++
	s.faults = append(s.faults, &activeFault{Fault: f, id: s.faultSeq})
	return s.faultSeq, nil
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// faultFor counts the call against the faults and returns the one that applies.
func (s *Server) faultFor(name, user string) *Fault {
	for i, f := range s.faults {
		if ok, _ := path.Match(f.Endpoint, name); !ok || (f.User != "" && f.User != user) {
			continue
		}
		f.seen++
		if f.seen <= f.Skip {
			continue
		}
		f.hits++
		if f.Times > 0 && f.hits >= f.Times {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		out := f.Fault
		return &out
	}
	return nil
}

func (f *Fault) delay() time.Duration { return time.Duration(f.DelayMS) * time.Millisecond }

func emptyLists(data map[string]any) map[string]any {
	for k, v := range data {
		switch v.(type) {
		case []any, []map[string]any, []string:
			data[k] = []any{}
		}
	}
	return data
}
