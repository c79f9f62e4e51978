package fakeagent

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

// defaultDuration is how long a task runs that does not say.
const defaultDuration = time.Minute

// work takes a popped task through its start. From here on the agent belongs to
// the task until it ends.
func (a *Agent) work(ctx context.Context, task, queue string) {
	if a.crash(DiesBeforeRun) {
		return
	}
	a.mu.Lock()
	over := a.dead || a.stopping
	if !over {
		a.task, a.queue = task, queue
	}
	a.popped = ""
	a.mu.Unlock()
	if over { // the signal came between pop and start: the task is orphaned, as with the real agent
		return
	}
	a.cfg.Print("task " + task + " pulled from " + queue + " by worker " + a.cfg.WorkerID)
	err := a.call(ctx, "v2.5/tasks.started", Body{"force": true, "task": task, "status_message": "pulled by agent"}, nil)
	if err != nil {
		a.cfg.Log.Debug().Err(err).Str("task", task).Msg("task not started")
		if a.ends(task) {
			a.idle(ctx)
		}
		return
	}
	a.sendReport(ctx, nil)
	a.relogin(ctx)
	a.noteHost(ctx, task)
	a.try(ctx, "v2.5/tasks.started", Body{"force": true, "task": task, "status_message": "launch by agent"})
	a.arm("ping", a.cfg.Timing.Poll, a.ping)
	a.arm("child", a.cfg.Timing.Child, a.child)
	a.check(ctx)
}

// relogin is what every new process of the agent begins with.
func (a *Agent) relogin(ctx context.Context) {
	a.try(ctx, loginEndpoint, nil)
}

// noteHost writes the host into the task's runtime, keeping what is there.
func (a *Agent) noteHost(ctx context.Context, task string) {
	var out Tasks
	in := Body{"id": []string{task}, "only_fields": []string{"runtime"}, "search_hidden": true}
	if err := a.call(ctx, "v2.15/tasks.get_all", in, &out); err != nil || len(out.Tasks) == 0 {
		return
	}
	runtime := out.Tasks[0].Runtime
	if runtime == nil {
		runtime = map[string]any{}
	}
	runtime["_exec_agent_hostname"] = a.cfg.Hostname
	a.try(ctx, "tasks.edit", Body{"task": task, "force": true, "runtime": runtime})
}

// child is the process that runs the task.
func (a *Agent) child(ctx context.Context) {
	task := a.Task()
	if task == "" {
		return
	}
	a.relogin(ctx)
	var out TaskRead
	if err := a.call(ctx, "v2.5/tasks.get_by_id", Body{"task": task}, &out); err != nil {
		out = TaskRead{}
		if ctx.Err() == nil {
			a.cfg.Log.Debug().Err(err).Str("task", task).Msg("task not read")
		}
	}
	a.try(ctx, "tasks.dequeue", Body{"task": task, "new_status": "in_progress"})
	a.try(ctx, "v2.5/tasks.started", Body{"force": true, "task": task, "status_reason": "starting execution soon", "status_message": ""})
	a.try(ctx, "v2.5/tasks.started", Body{
		"force": true, "task": task, "status_reason": "worker started execution", "status_message": a.changedBy(),
	})
	if a.Task() != task { // stopped while it started
		return
	}
	a.arm("finish", durationOf(out.Task.Runtime), func(ctx context.Context) { a.finish(ctx, task) })
	if a.cfg.Fault.Kind == DiesMidTask {
		a.arm("fault", a.cfg.Fault.After, func(context.Context) { a.crash(DiesMidTask) })
	}
}

// durationOf reads how long a task runs. The value may be a number or its text,
// the server keeps either.
func durationOf(runtime map[string]any) time.Duration {
	seconds := -1.0
	switch v := runtime["ebb_duration_s"].(type) {
	case float64:
		seconds = v
	case int:
		seconds = float64(v)
	case json.Number:
		if parsed, err := v.Float64(); err == nil {
			seconds = parsed
		}
	case string:
		if parsed, err := strconv.ParseFloat(v, 64); err == nil {
			seconds = parsed
		}
	}
	if seconds < 0 {
		return defaultDuration
	}
	return time.Duration(seconds * float64(time.Second))
}

func (a *Agent) ping(ctx context.Context) {
	a.try(ctx, "v2.5/tasks.ping", Body{"task": a.Task()})
	a.arm("ping", a.cfg.Timing.Ping, a.ping)
}

// check sees whether somebody stopped the task behind the agent's back.
func (a *Agent) check(ctx context.Context) {
	task := a.Task()
	if task == "" {
		return
	}
	var out Tasks
	in := Body{"id": []string{task}, "search_hidden": true, "only_fields": []string{"status", "status_message"}}
	stopping, gone := false, false
	if err := a.call(ctx, "v2.14/tasks.get_all", in, &out); err == nil && len(out.Tasks) > 0 {
		stopping = out.Tasks[0].Message == "stopping"
		gone = out.Tasks[0].Status != "in_progress"
	}
	if !stopping && !gone {
		a.arm("check", a.cfg.Timing.Poll, a.check)
		return
	}
	if !a.ends(task) {
		return
	}
	if stopping {
		a.try(ctx, "v2.5/tasks.stopped", Body{"force": false, "task": task, "status_reason": "user abort", "status_message": a.changedBy()})
	}
	a.idle(ctx)
}

// finish is the good end of a task.
func (a *Agent) finish(ctx context.Context, task string) {
	if !a.ends(task) {
		return
	}
	a.disarm("ping", "check", "fault")
	a.cfg.Print("task " + task + " completed")
	a.try(ctx, "v2.5/tasks.completed", Body{
		"force": false, "task": task, "status_reason": "worker execution exit code 0", "status_message": a.changedBy(),
	})
	a.idle(ctx)
}

// ends claims the end of a task for the caller, so that only one of those who
// notice it goes on.
func (a *Agent) ends(task string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.task != task || a.ending {
		return false
	}
	a.ending = true
	return true
}

// idle reports that there is no task any more and looks for the next one.
func (a *Agent) idle(ctx context.Context) {
	a.disarm("ping", "check", "finish", "child", "fault")
	a.mu.Lock()
	a.task, a.queue, a.ending = "", "", false
	a.mu.Unlock()
	a.sendReport(ctx, nil)
	a.poll(ctx)
}
