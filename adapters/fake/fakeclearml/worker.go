package fakeclearml

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Worker is one row of workers.get_all: a worker id as one user reported it.
type Worker struct {
	// Key is worker_<company>_<user>_<id>.
	Key, ID, User, IP string
	// Queues are the ids it listens to; Queue is the one it pulled its task from.
	Queues []string
	Queue  string
	// Task is empty for an idle worker.
	Task, TaskName       string
	Project, ProjectName string
	RegisterTime         time.Time
	RegisterTimeout      time.Duration
	LastActivity         time.Time
	// LastReport is zero for a worker that registered and has not reported yet.
	LastReport       time.Time
	Tags, SystemTags []string

	expires time.Time
}

// RegisterRequest announces a worker.
type RegisterRequest struct {
	// User under whose credentials the worker runs; empty means the default user.
	User, Worker, IP string
	Queues           []string
	// Timeout after which a silent worker is forgotten; 0 means the server's own.
	Timeout          time.Duration
	Tags, SystemTags []string
}

// Report is a worker's sign of life. Tags and SystemTags always replace those of
// before; Queues only when there are any.
type Report struct {
	User, Worker, IP string
	Task, Queue      string
	Queues           []string
	Tags, SystemTags []string
}

// WorkerFilter selects workers; the zero value selects all that are listed.
type WorkerFilter struct {
	// LastSeen, if not 0, is how long ago the last activity may be.
	LastSeen         time.Duration
	Tags, SystemTags []string
	// Pattern is a Redis glob that the key has to match after
	// worker_<company>_*_.
	Pattern string
}

type tagKey struct {
	system bool
	tag    string
}

func (w *Worker) clone() Worker {
	out := *w
	out.Queues, out.Tags, out.SystemTags = slices.Clone(w.Queues), slices.Clone(w.Tags), slices.Clone(w.SystemTags)
	return out
}

func (s *Server) workerKey(user, id string) string {
	return "worker_" + s.cfg.CompanyID + "_" + user + "_" + id
}

// expire forgets the workers whose timeout has passed.
func (s *Server) expire() {
	now := s.now()
	for key, w := range s.workers {
		if !w.expires.After(now) {
			delete(s.workers, key)
		}
	}
}

// save writes the worker with a fresh timeout and puts it into the tag indexes,
// out of which nothing is taken before it has timed out.
func (s *Server) save(w *Worker) {
	now := s.now()
	w.expires = now.Add(w.RegisterTimeout)
	s.workers[w.Key] = w
	until := now.Truncate(time.Second).Add(w.RegisterTimeout)
	for _, set := range []struct {
		system bool
		tags   []string
	}{{false, w.Tags}, {true, w.SystemTags}} {
		for _, tag := range set.tags {
			k := tagKey{set.system, tag}
			if s.tagIndex[k] == nil {
				s.tagIndex[k] = map[string]time.Time{}
			}
			s.tagIndex[k][w.Key] = until
		}
	}
}

func (s *Server) register(r RegisterRequest) (*Worker, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = s.cfg.WorkerTimeout
	}
	if timeout < 0 {
		return nil, fail(400, 1002, "worker registration failed", "invalid timeout",
			kv{"timeout", strconv.Itoa(int(timeout / time.Second))}, kv{"worker", r.Worker})
	}
	if s.users[r.User] == nil {
		return nil, fail(400, 301, "invalid user id", "", kv{"id", r.User}, kv{"company", s.cfg.CompanyID})
	}
	var unknown []string
	for _, q := range r.Queues {
		if s.queues[q] == nil {
			unknown = append(unknown, q)
		}
	}
	if len(unknown) > 0 {
		return nil, fail(400, 701, "invalid queue id", "", kv{"ids", tuple(unknown)})
	}
	now := s.now()
	w := &Worker{
		Key: s.workerKey(r.User, r.Worker), ID: r.Worker, User: r.User, IP: r.IP, Queues: slices.Clone(r.Queues),
		RegisterTime: now, RegisterTimeout: timeout, LastActivity: now,
		Tags: slices.Clone(r.Tags), SystemTags: slices.Clone(r.SystemTags),
	}
	s.save(w)
	return w, nil
}

// unregister deletes the caller's own entry; that there is none is no error.
func (s *Server) unregister(user, worker string) {
	delete(s.workers, s.workerKey(user, worker))
}

// report registers a worker it does not know. A task that does not exist is an
// error, and yet the sign of life counts.
func (s *Server) report(r Report) error {
	w := s.workers[s.workerKey(r.User, r.Worker)]
	if w == nil || !w.expires.After(s.now()) {
		var err error
		if w, err = s.register(RegisterRequest{User: r.User, Worker: r.Worker}); err != nil {
			return err
		}
	}
	now := s.now()
	w.IP, w.LastActivity, w.Queue = r.IP, now, r.Queue
	w.Tags, w.SystemTags = slices.Clone(r.Tags), slices.Clone(r.SystemTags)
	if len(r.Queues) > 0 {
		w.Queues = slices.Clone(r.Queues)
	}
	defer s.save(w)
	if r.Task == "" {
		w.Task, w.TaskName, w.Project, w.ProjectName = "", "", "", ""
		w.LastReport = now
		return nil
	}
	t, err := s.task(r.Task)
	if err != nil {
		return err
	}
	t.LastWorker, t.LastWorkerReport = r.Worker, milli(now)
	t.LastUpdate, t.LastChange, t.LastChangedBy = milli(now), milli(now), r.User
	w.Task, w.TaskName, w.Project, w.ProjectName = t.ID, t.Name, "", ""
	if p := s.projects[t.Project]; p != nil {
		w.Project, w.ProjectName = p.id, p.name
	}
	w.LastReport = now
	return nil
}

// selectWorkers returns matching workers, ordered by key.
func (s *Server) selectWorkers(f WorkerFilter) ([]*Worker, error) {
	s.expire()
	keys := sortedKeys(s.workers)
	var err error
	if len(f.Tags)+len(f.SystemTags) > 0 {
		keys, err = s.taggedKeys(keys, f)
	} else if f.Pattern != "" {
		pattern := s.workerKey("*", f.Pattern)
		keys = slices.DeleteFunc(keys, func(k string) bool { return !globMatch(pattern, k) })
	}
	if err != nil {
		return nil, err
	}
	oldest := s.now().Add(-max(f.LastSeen, time.Second))
	var out []*Worker
	for _, k := range keys {
		if w := s.workers[k]; w != nil && (f.LastSeen == 0 || !w.LastActivity.Before(oldest)) {
			out = append(out, w)
		}
	}
	return out, nil
}

// taggedKeys filters by tags: those without a leading minus are alternatives,
// those with one exclude. With tags, the server reads the pattern as a regular
// expression in which * and ? are translated, and only its end is anchored.
func (s *Server) taggedKeys(all []string, f WorkerFilter) ([]string, error) {
	if f.Pattern != "" {
		text := strings.NewReplacer("*", ".*", "?", ".?").Replace(f.Pattern) + "$"
		re, err := regexp.Compile(text)
		if err != nil {
			return nil, fail(500, 100, "general data error", "failed loading worker entries", kv{"err", err.Error()})
		}
		all = slices.DeleteFunc(all, func(k string) bool { return !re.MatchString(k) })
	}
	now := s.now().Truncate(time.Second)
	holds := func(system bool, tag, key string) bool {
		until, ok := s.tagIndex[tagKey{system, tag}][key]
		return ok && until.After(now)
	}
	return slices.DeleteFunc(all, func(key string) bool {
		return !tagsMatch(f.Tags, func(t string) bool { return holds(false, t, key) }) ||
			!tagsMatch(f.SystemTags, func(t string) bool { return holds(true, t, key) })
	}), nil
}

func tagsMatch(tags []string, holds func(string) bool) bool {
	wanted, found := false, false
	for _, t := range tags {
		if excluded, ok := strings.CutPrefix(t, "-"); ok {
			if holds(excluded) {
				return false
			}
			continue
		}
		wanted = true
		found = found || holds(t)
	}
	return !wanted || found
}

// watched reports whether a listed worker listens to the queue.
func (s *Server) watched(queue string) bool {
	now := s.now()
	for _, w := range s.workers {
		if w.expires.After(now) && slices.Contains(w.Queues, queue) {
			return true
		}
	}
	return false
}

// String names the worker for people.
func (w *Worker) String() string {
	if w.Task == "" {
		return fmt.Sprintf("worker %s idle", w.ID)
	}
	return fmt.Sprintf("worker %s running %s", w.ID, w.Task)
}
