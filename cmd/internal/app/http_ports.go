package app

import (
	"context"
	"fmt"
	"time"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

var (
	_ dashboard.Engine   = dashboardPorts{}
	_ dashboard.Operator = dashboardPorts{}
	_ dashboard.Events   = dashboardPorts{}
)

// dashboardPorts is the process as the dashboard sees it. For an autoscaler that
// another process acts for, it asks there.
type dashboardPorts struct{ p *Process }

func (d dashboardPorts) elsewhere() control.Client { return control.Client{Bus: d.p.bus} }

// acts says whether this process acts for an autoscaler.
func (d dashboardPorts) acts(name messages.AutoscalerName) bool {
	d.p.control.mu.Lock()
	defer d.p.control.mu.Unlock()
	return d.p.control.wanted[name]
}

// Autoscalers implements [dashboard.Engine].
func (d dashboardPorts) Autoscalers(context.Context) ([]dashboard.Autoscaler, error) {
	file := d.file()
	all := make([]dashboard.Autoscaler, 0, len(file.Autoscalers))
	for _, a := range file.Autoscalers {
		all = append(all, dashboard.Autoscaler{Name: messages.AutoscalerName(a.Name), Region: a.AWS.Region, WebServer: a.ClearML.WebServer})
	}
	return all, nil
}

func (d dashboardPorts) file() config.File {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	return d.p.options.File
}

// Status implements [dashboard.Engine].
func (d dashboardPorts) Status(ctx context.Context, name messages.AutoscalerName) (messages.Status, error) {
	if !d.acts(name) {
		status, err := d.elsewhere().Status(ctx, name)
		return status, d.unheard(err)
	}
	answer, err := d.p.Order(ctx, name, "", messages.ReportStatus{})
	if err != nil {
		return messages.Status{}, err
	}
	if answer.Status == nil {
		return messages.Status{}, &messages.Failure{Class: messages.ClassTransient, Message: "the autoscaler gave no status"}
	}
	return *answer.Status, nil
}

// Explain implements [dashboard.Engine].
func (d dashboardPorts) Explain(ctx context.Context, name messages.AutoscalerName, queue messages.QueueName) (dashboard.Explanation, error) {
	status, err := d.Status(ctx, name)
	if err != nil {
		return dashboard.Explanation{}, err
	}
	explained, err := control.Explain(status, queue)
	if err != nil {
		return dashboard.Explanation{}, err
	}
	answer := dashboard.Explanation{Summary: explained.Summary}
	for _, finding := range explained.Findings {
		line := finding.About + " " + finding.Text
		if finding.Cure != "" {
			line += ". What to do: " + finding.Cure
		}
		answer.Lines = append(answer.Lines, line)
	}
	return answer, nil
}

// Order implements [dashboard.Operator].
func (d dashboardPorts) Order(ctx context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	if d.acts(name) {
		return d.p.Order(ctx, name, by, order)
	}
	var done control.Done
	var err error
	switch o := order.(type) {
	case messages.PauseLaunches:
		request := control.PauseRequest{By: by, Why: o.Why}
		if !o.Until.IsZero() {
			request.Seconds = o.Until.Sub(d.p.options.Clock.Now()).Seconds()
		}
		err = d.elsewhere().Pause(ctx, name, request)
	case messages.ResumeLaunches:
		err = d.elsewhere().Resume(ctx, name, control.ResumeRequest{By: by})
	case messages.DrainInstanceNow:
		done, err = d.elsewhere().Drain(ctx, name, control.DrainRequest{By: by, Instance: o.Instance, Force: o.Force})
	case messages.DrainIdleNow:
		done, err = d.elsewhere().ShutdownIdle(ctx, name, control.ShutdownIdleRequest{By: by, Resource: o.Resource})
	case messages.ReportStatus:
		status, failed := d.elsewhere().Status(ctx, name)
		return messages.Answered{Status: &status}, failed
	}
	return messages.Answered{Instances: done.Instances}, d.unheard(err)
}

// unheard is the error of a question that was asked elsewhere. Where nobody acts since
// this process cannot store anything, that is what there is to say.
func (d dashboardPorts) unheard(err error) error {
	if err == nil || d.p.server == nil || messages.FailureOf(err).Class != messages.ClassHeld {
		return err
	}
	fault := d.p.server.Store().Fault
	if fault == bus.StoreGood {
		return err
	}
	return &messages.Failure{Class: messages.ClassTransient, Message: fmt.Sprintf(
		"no ebb acts for it, since nothing can be stored: %s; %s", fault.Words(), fault.Cure())}
}

// Reload implements [dashboard.Operator].
func (d dashboardPorts) Reload(ctx context.Context) (dashboard.Change, error) {
	done, err := d.p.Reload(ctx, "the dashboard")
	return dashboard.Change{Changes: done.Changes, Restart: done.Restart}, err
}

// Export implements [dashboard.Operator]: a whole file, with the process's own
// settings, of this autoscaler alone.
func (d dashboardPorts) Export(_ context.Context, name messages.AutoscalerName, format string, secrets bool) ([]byte, error) {
	for _, a := range d.file().Autoscalers {
		if messages.AutoscalerName(a.Name) == name {
			file := d.file()
			file.Autoscalers = []config.Autoscaler{a}
			return config.Export(file, config.Format(format), secrets)
		}
	}
	return nil, &messages.Failure{Class: messages.ClassNotFound, Message: fmt.Sprintf("there is no autoscaler %q", name)}
}

// Events implements [dashboard.Events].
func (d dashboardPorts) Events(ctx context.Context, since time.Time, handle func(messages.Recorded), caughtUp func()) error {
	return d.p.bus.Events(ctx, bus.EventQuery{Since: since, Follow: true, CaughtUp: caughtUp}, func(stored bus.StoredEvent) error {
		if stored.Event != nil {
			handle(stored.Recorded)
		}
		return nil
	})
}
