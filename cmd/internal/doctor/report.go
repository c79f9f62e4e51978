package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Status is how a check ended.
type Status string

// The ends of a check.
const (
	OK   Status = "ok"
	Warn Status = "warn" // ebb runs, though perhaps not as meant
	Fail Status = "fail" // ebb does not run, or not all of it
	// NotChecked says that nothing is known: the message has the reason.
	NotChecked Status = "not_checked"
)

// Check is one thing that was looked at.
type Check struct {
	// Autoscaler is whom it is about; empty for what the process shares.
	Autoscaler string `json:"autoscaler"`
	ID         ID     `json:"check"`
	// Subject is what of it: a resource type, a queue, an action of AWS; empty
	// when there is only one.
	Subject string `json:"subject"`
	Status  Status `json:"status"`
	// Message says what is, Fix what to do about it; Fix is empty when there is
	// nothing to do. Neither holds a secret.
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// Report is all checks, in the order in which they are shown: those of the
// process, then those of each autoscaler.
type Report []Check

// Count is how many checks ended so.
func (r Report) Count(status Status) int {
	n := 0
	for _, c := range r {
		if c.Status == status {
			n++
		}
	}
	return n
}

// Summary counts the checks in words.
func (r Report) Summary() string {
	parts := []string{fmt.Sprintf("%d checks: %d ok", len(r), r.Count(OK))}
	for _, other := range []struct {
		status Status
		words  string
	}{{Warn, "warn"}, {Fail, "failed"}, {NotChecked, "not checked"}} {
		if n := r.Count(other.status); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, other.words))
		}
	}
	return strings.Join(parts, ", ")
}

// sheet collects the checks of one part, in order.
type sheet struct {
	autoscaler string
	checks     Report
}

func (s *sheet) add(id ID, subject string, status Status, message, fix string) {
	s.checks = append(s.checks, Check{s.autoscaler, id, subject, status, message, fix})
}

func (s *sheet) ok(id ID, subject, format string, arguments ...any) {
	s.add(id, subject, OK, fmt.Sprintf(format, arguments...), "")
}

func (s *sheet) warn(id ID, subject, message, fix string) { s.add(id, subject, Warn, message, fix) }

func (s *sheet) fail(id ID, subject, message, fix string) { s.add(id, subject, Fail, message, fix) }

// skip notes checks that were not made.
func (s *sheet) skip(why, subject string, ids ...ID) {
	for _, id := range ids {
		s.add(id, subject, NotChecked, "not checked: because "+why, "")
	}
}

// failed tells whether a check of a subject has failed.
func (s *sheet) failed(id ID, subject string) bool { return s.has(id, subject, Fail) }

func (s *sheet) has(id ID, subject string, statuses ...Status) bool {
	return slices.ContainsFunc(s.checks, func(c Check) bool {
		return c.ID == id && c.Subject == subject && slices.Contains(statuses, c.Status)
	})
}
