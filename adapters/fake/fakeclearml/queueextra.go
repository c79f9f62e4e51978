package fakeclearml

import (
	"slices"
	"time"
)

// move puts the task of q at the place that target computes from its present
// place and the last one; the answer is its new place, the head being 0.
func (s *Server) move(queue, task string, target func(at, last int) int) (int, error) {
	q := s.queues[queue]
	if q == nil || q.index(task) < 0 {
		return 0, s.errNotQueued(queue, task)
	}
	at, last := q.index(task), len(q.Entries)-1
	to := min(max(target(at, last), 0), last)
	if to != at {
		e := q.Entries[at]
		q.Entries = slices.Delete(q.Entries, at, at+1)
		q.Entries = slices.Insert(q.Entries, to, e)
		q.LastUpdate = milli(s.now())
	}
	return to, nil
}

func (s *Server) setMetadata(queue string, items []MetadataItem, replace bool) error {
	q, err := s.queue(queue)
	if err != nil {
		return err
	}
	if replace {
		q.Metadata = map[string]MetadataItem{}
	}
	for _, m := range items {
		q.Metadata[m.Key] = m
	}
	return nil
}

func (s *Server) deleteMetadata(queue string, keys []string) error {
	q, err := s.queue(queue)
	if err != nil {
		return err
	}
	for _, k := range keys {
		delete(q.Metadata, k)
	}
	return nil
}

// sample records the length of q and how long what is in it has waited.
func (s *Server) sample(q *Queue) {
	now := s.now()
	var total time.Duration
	for _, e := range q.Entries {
		total += now.Sub(e.Added)
	}
	p := queueSample{at: now, length: len(q.Entries)}
	if p.length > 0 {
		p.waiting = total / time.Duration(p.length)
	}
	if len(q.samples) >= maxQueueSamples {
		q.samples = slices.Delete(q.samples, 0, maxQueueSamples/2)
	}
	q.samples = append(q.samples, p)
}

// metrics averages samples over slices of interval seconds.
func metrics(samples []queueSample, from, to time.Time, interval time.Duration) (dates []int64, waits []float64, lengths []int64) {
	type bucket struct{ wait, length, n float64 }
	buckets := map[int64]*bucket{}
	var order []int64
	for _, p := range samples {
		if p.at.Before(from) || p.at.After(to) {
			continue
		}
		start := p.at.Unix() - p.at.Unix()%int64(interval/time.Second)
		b := buckets[start]
		if b == nil {
			b = &bucket{}
			buckets[start] = b
			order = append(order, start)
		}
		b.wait += p.waiting.Seconds()
		b.length += float64(p.length)
		b.n++
	}
	slices.Sort(order)
	for _, start := range order {
		b := buckets[start]
		dates = append(dates, start)
		waits = append(waits, b.wait/b.n)
		lengths = append(lengths, int64(b.length/b.n+0.5))
	}
	return dates, waits, lengths
}

// queueDoc is the queue as the database holds it.
func (s *Server) queueDoc(q *Queue) map[string]any {
	meta := make(map[string]any, len(q.Metadata))
	for k, m := range q.Metadata {
		meta[k] = map[string]any{"key": m.Key, "type": m.Type, "value": m.Value}
	}
	entries := make([]any, len(q.Entries))
	for i, e := range q.Entries {
		entries[i] = map[string]any{"task": e.Task, "added": e.Added}
	}
	doc := map[string]any{
		"id": q.ID, "name": q.Name, "company": s.cfg.CompanyID, "created": q.Created, "last_update": q.LastUpdate,
		"tags": q.Tags, "system_tags": q.SystemTags, "entries": entries, "metadata": meta,
	}
	if q.DisplayName != "" {
		doc["display_name"] = q.DisplayName
	}
	return doc
}
