package fakeclearml

import (
	"fmt"
	"strings"
	"unicode"
)

// Error is an answer that is not OK: the HTTP status, the subcode that tells
// what kind, and the server's message for people.
type Error struct {
	Code    int
	Subcode int
	Msg     string
}

// Error gives code, subcode and message.
func (e *Error) Error() string {
	return fmt.Sprintf("clearml %d/%d: %s", e.Code, e.Subcode, e.Msg)
}

// kv is one "name=value" at the end of a message.
type kv struct {
	name  string
	value string
}

// fail builds an error the way the server does: the title of the kind with a
// capital, extra in brackets, then name=value pairs.
func fail(code, subcode int, title, extra string, pairs ...kv) *Error {
	var b strings.Builder
	for i, r := range title {
		if i == 0 {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
	}
	if extra != "" {
		b.WriteString(" (" + extra + ")")
	}
	for i, p := range pairs {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return &Error{Code: code, Subcode: subcode, Msg: b.String()}
}

// tuple formats several values as the server does: (a, b).
func tuple(values []string) string { return "(" + strings.Join(values, ", ") + ")" }

func errInvalidID(pairs ...kv) *Error { return fail(400, 10, "invalid object id", "", pairs...) }

func errValidation(extra string, pairs ...kv) *Error {
	return fail(400, 12, "validation error", extra, pairs...)
}

func errFieldsValue(extra string, pairs ...kv) *Error {
	return fail(400, 16, "invalid value for fields", extra, pairs...)
}

func errRegex(pattern string, err error) *Error {
	return fail(400, 21, "malformed regular expression", "", kv{"regex", pattern}, kv{"err", err.Error()})
}

func errDuplicate() *Error {
	return fail(400, 801, "value combination already exists", "unique field already contains this value",
		kv{"err", "Tried to save duplicate unique keys (E11000 Duplicate Key Error)"})
}

func errShortName() *Error {
	return fail(400, 800, "data validation error", "", kv{"name", "String value is too short"})
}

func errTaskStatus(extra string, from, to Status) *Error {
	return fail(400, 110, "invalid task status", extra, kv{"current_status", string(from)}, kv{"new_status", string(to)})
}

func (s *Server) errTaskID(id string) *Error {
	return fail(400, 101, "invalid task id", "", kv{"id", id}, kv{"company", s.cfg.CompanyID})
}

func (s *Server) errQueueID(id string) *Error {
	return fail(400, 701, "invalid queue id", "", kv{"id", id}, kv{"company", s.cfg.CompanyID})
}

func (s *Server) errNotQueued(queue, task string) *Error {
	return fail(400, 703, "invalid queue id or task not in queue", "",
		kv{"task", task}, kv{"id", queue}, kv{"company", s.cfg.CompanyID})
}

func errAlreadyQueued(task string) *Error {
	return fail(400, 706, "failed adding task to queue since task is already queued", "", kv{"task", task})
}

func errToken(extra, reason string) *Error {
	if reason == "" {
		return fail(401, 30, "invalid token", extra)
	}
	return fail(401, 30, "invalid token", extra, kv{"reason", reason})
}
