package fakeagent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// startUp logs in, finds the queues and registers. A server that is not there
// is tried again after a poll interval; one that refuses the credentials or does
// not know the queues ends the agent.
func (a *Agent) startUp(ctx context.Context) {
	err := a.register(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return
	case isStatus(err, http.StatusUnauthorized), isStatus(err, http.StatusBadRequest):
		a.exit(Exit{Code: 1, Reason: err.Error()})
		return
	default:
		a.cfg.Print("clearml-agent: " + err.Error())
		a.arm("start", a.cfg.Timing.Poll, a.startUp)
		return
	}
	a.cfg.Print("Running CLEARML-AGENT daemon, worker " + a.cfg.WorkerID)
	a.arm("report", a.cfg.Timing.FirstReport, a.report)
	if a.cfg.Fault.Kind == DiesIdle {
		a.arm("idle fault", a.cfg.Fault.After, a.dieIdle)
	}
	a.poll(ctx)
}

// dieIdle crashes the agent, as soon as it is idle.
func (a *Agent) dieIdle(context.Context) {
	if a.Task() != "" {
		a.arm("idle fault", a.cfg.Timing.Poll, a.dieIdle)
		return
	}
	a.crash(DiesIdle)
}

func (a *Agent) register(ctx context.Context) error {
	if err := a.call(ctx, loginEndpoint, nil, nil); err != nil {
		return err
	}
	var ids []string
	for _, name := range a.cfg.Queues {
		var out Queues
		if err := a.call(ctx, "v2.5/queues.get_all", Body{"name": escape(name), "only_fields": []string{"name", "id"}}, &out); err != nil {
			return err
		}
		found := ""
		for _, q := range out.Queues { // the server searches, the agent wants the very name
			if q.Name == name {
				found = q.ID
			}
		}
		if found == "" {
			return fmt.Errorf("find queue %q: %w", name, &Refusal{http.StatusBadRequest, 701, "no such queue"})
		}
		ids = append(ids, found)
	}
	if err := a.call(ctx, "v2.5/queues.get_all", Body{"id": ids}, nil); err != nil {
		return err
	}
	a.mu.Lock()
	a.queueIDs = ids // before the call, so that a signal during it unregisters
	a.mu.Unlock()
	return a.call(ctx, "workers.register", Body{"worker": a.cfg.WorkerID, "queues": ids}, nil)
}

// poll looks at the queues in order of priority and takes the first task there
// is. Whatever goes wrong, it looks again after the poll interval.
func (a *Agent) poll(ctx context.Context) {
	a.mu.Lock()
	ids, held, over := a.queueIDs, a.held, a.dead || a.stopping
	a.mu.Unlock()
	if over {
		return
	}
	if !held {
		task, queue, err := a.pull(ctx, ids)
		if err != nil && ctx.Err() == nil {
			a.cfg.Log.Debug().Err(err).Str("worker", a.cfg.WorkerID).Msg("poll went wrong")
		}
		if task != "" {
			a.work(ctx, task, queue)
			return
		}
	}
	a.arm("poll", a.cfg.Timing.Poll, a.poll)
}

func (a *Agent) pull(ctx context.Context, ids []string) (task, queue string, err error) {
	var out Queues
	if err := a.call(ctx, "v2.5/queues.get_all", Body{"id": ids, "only_fields": []string{"id", "tags"}}, &out); err != nil {
		return "", "", err
	}
	off := map[string]bool{}
	for _, q := range out.Queues {
		off[q.ID] = slices.Contains(q.Tags, "force_workers:off")
	}
	if a.forcedOff(ctx) {
		return "", "", nil
	}
	for _, id := range ids {
		if off[id] {
			continue
		}
		task, failed := a.next(ctx, id)
		if task != "" {
			return task, id, nil
		}
		err = errors.Join(err, failed) // such as of a queue that was deleted: the next one is asked all the same
	}
	return "", "", err
}

// next asks one queue for a task, unless somebody holds the agent by now. Who
// holds it during the call learns from Fenced that it is under way.
func (a *Agent) next(ctx context.Context, queue string) (task string, err error) {
	a.mu.Lock()
	held := a.held
	a.pulling = !held
	a.mu.Unlock()
	if held {
		return "", nil
	}
	var out Next
	if err = a.call(ctx, "v2.14/queues.get_next_task", Body{"queue": queue}, &out); err == nil {
		task = out.Entry.Task
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pulling, a.popped = false, task
	if task != "" {
		a.taken++
	}
	return task, err
}

// forcedOff asks for the worker's runtime properties, until the server says that
// it has none.
func (a *Agent) forcedOff(ctx context.Context) bool {
	a.mu.Lock()
	skip := a.noProps
	a.mu.Unlock()
	if skip {
		return false
	}
	var out Properties
	if err := a.call(ctx, "workers.get_runtime_properties", Body{"worker": a.cfg.WorkerID}, &out); isStatus(err, http.StatusNotFound) {
		a.mu.Lock()
		a.noProps = true
		a.mu.Unlock()
	}
	for _, p := range out.Properties {
		if p.Key == "force" && p.Value == "off" {
			return true
		}
	}
	return false
}

// report sends the regular status report.
func (a *Agent) report(ctx context.Context) {
	a.sendReport(ctx, Body{
		"cpu_usage": []float64{5.9}, "disk_free_home": 71.5, "disk_read": 0.0, "disk_write": 0.0,
		"memory_free": 22604.6, "memory_used": 1180.9, "network_rx": 0.0, "network_tx": 0.0,
	})
	a.arm("report", a.cfg.Timing.Report, a.report)
}

// sendReport reports what the agent works on. stats is nil in the reports that
// tell of a change.
func (a *Agent) sendReport(ctx context.Context, stats Body) {
	a.mu.Lock()
	in := Body{
		"machine_stats": stats, "timestamp": a.cfg.Clock.Now().Unix() * 1000, "worker": a.cfg.WorkerID,
		"tags": nil, "is_daemon": true, "queues": a.queueIDs,
	}
	if a.task != "" {
		in["task"], in["queue"] = a.task, a.queue
	}
	a.mu.Unlock()
	a.try(ctx, "workers.status_report", in)
}

// try makes a call whose failure changes nothing for the agent.
func (a *Agent) try(ctx context.Context, endpoint string, in Body) {
	if err := a.call(ctx, endpoint, in, nil); err != nil && ctx.Err() == nil {
		a.cfg.Log.Debug().Err(err).Str("worker", a.cfg.WorkerID).Msg("call went wrong")
	}
}

// leave is the end after a signal.
func (a *Agent) leave(ctx context.Context) {
	a.mu.Lock()
	ids, task := a.queueIDs, a.task
	a.mu.Unlock()
	last := func(endpoint string, in Body) {
		if err := a.cfg.API.Call(ctx, endpoint, in, nil); err != nil && ctx.Err() == nil {
			a.cfg.Log.Debug().Err(err).Str("worker", a.cfg.WorkerID).Msg("last call went wrong")
		}
	}
	if task != "" {
		last("v2.5/tasks.stopped", Body{
			"force": false, "task": task, "status_reason": "user abort", "status_message": a.changedBy(),
		})
		last("workers.unregister", Body{"worker": a.cfg.WorkerID, "queues": []string{}})
	}
	if len(ids) > 0 {
		last("workers.unregister", Body{"worker": a.cfg.WorkerID, "queues": ids})
	}
	a.exit(Exit{Code: 254, Reason: "ended by signal"})
}

func (a *Agent) changedBy() string { return "Changed by clearml-agent " + a.cfg.WorkerID }
