package fakeclearml

import (
	"slices"
	"time"
)

// workerDoc is a row of workers.get_all. The order of its queues says nothing:
// the server builds it from a set.
func (s *Server) workerDoc(w *Worker) map[string]any {
	ids := slices.Clone(w.Queues)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	queues := make([]any, 0, len(ids))
	for _, id := range ids {
		queues = append(queues, s.workerQueueDoc(id))
	}
	doc := map[string]any{
		"id": w.ID, "key": w.Key, "ip": w.IP,
		"user":    map[string]any{"id": w.User, "name": s.userName(w.User)},
		"company": map[string]any{"id": s.cfg.CompanyID, "name": s.cfg.CompanyName},
		"queues":  queues, "register_time": w.RegisterTime, "register_timeout": int(w.RegisterTimeout / time.Second),
		"last_activity_time": w.LastActivity, "tags": w.Tags, "system_tags": w.SystemTags,
	}
	if slices.Contains(ids, w.Queue) {
		doc["queue"] = s.workerQueueDoc(w.Queue)
	}
	if !w.LastReport.IsZero() {
		doc["last_report_time"] = w.LastReport
	}
	if w.Task != "" {
		task := map[string]any{"id": w.Task, "name": w.TaskName}
		if t := s.tasks[w.Task]; t != nil {
			task["running_time"] = int(t.ActiveDuration / time.Millisecond)
			task["last_iteration"] = t.LastIteration
		}
		doc["task"] = task
	}
	if w.Project != "" {
		doc["project"] = map[string]any{"id": w.Project, "name": w.ProjectName}
	}
	return doc
}

func (s *Server) workerQueueDoc(id string) map[string]any {
	doc := map[string]any{"id": id}
	q := s.queues[id]
	if q == nil {
		return doc
	}
	doc["name"], doc["num_tasks"] = q.Name, len(q.Entries)
	if q.DisplayName != "" {
		doc["display_name"] = q.DisplayName
	}
	if len(q.Entries) > 0 {
		next := map[string]any{"id": q.Entries[0].Task}
		if t := s.tasks[q.Entries[0].Task]; t != nil {
			next["name"] = t.Name
		}
		doc["next_task"] = next
	}
	return doc
}
