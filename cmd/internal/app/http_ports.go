package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		return d.elsewhere().Status(ctx, name)
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
	return messages.Answered{Instances: done.Instances}, err
}

// Reload implements [dashboard.Operator].
func (d dashboardPorts) Reload(ctx context.Context) error {
	_, err := d.p.Reload(ctx, "the dashboard")
	return err
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

// Apply implements [dashboard.Operator]: the file of the process is replaced, and
// read again. If that fails the old one is put back. Where the path is a symbolic
// link it stays one: the file that it leads to is replaced.
func (d dashboardPorts) Apply(ctx context.Context, yaml []byte) error {
	path := d.p.options.Path
	if format, _ := config.FormatOf(path); path == "" || format != config.YAML {
		return &messages.Failure{Class: messages.ClassInvalid, Message: "this process does not run from a YAML file that could be replaced; download the configuration instead"}
	}
	d.p.replacing.Lock()
	defer d.p.replacing.Unlock()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("find the configuration: %w", err)
	}
	// Both versions are written before anything is replaced: a disk without room loses
	// nothing, now and when the old one is to be put back.
	fresh, err := beside(path, ".ebb-new-", yaml)
	if err != nil {
		return fmt.Errorf("write the new configuration: %w", err)
	}
	defer os.Remove(fresh) //nolint:errcheck // it is there no more when all went well
	if err := d.losesNone(fresh); err != nil {
		return err
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("keep the old configuration: %w", err)
	}
	old, err := beside(path, ".ebb-old-", before)
	if err != nil {
		return fmt.Errorf("keep the old configuration: %w", err)
	}
	defer os.Remove(old) //nolint:errcheck // it is there no more when it was put back
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("put the new configuration in its place: %w", err)
	}
	if _, err := d.p.Reload(ctx, "the dashboard"); err != nil {
		if back := os.Rename(old, path); back != nil {
			err = errors.Join(err, fmt.Errorf("put the old configuration back: %w", back))
		}
		return err
	}
	return nil
}

// beside writes a file next to another one, which it may then replace at once: with
// the same mode, and whole on the disk.
func beside(path, prefix string, text []byte) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	name := filepath.Join(filepath.Dir(path), prefix+filepath.Base(path))
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(info.Mode().Perm()), file.Sync(), file.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return name, err
}

// losesNone checks a file as a start would, and that every autoscaler that runs is
// still in it.
func (d dashboardPorts) losesNone(path string) error {
	file, err := config.Load(config.Source{Path: path, Environ: os.Environ()})
	if err != nil {
		return invalid(err)
	}
	for _, runs := range d.file().Autoscalers {
		if !slices.ContainsFunc(file.Autoscalers, func(a config.Autoscaler) bool { return a.Name == runs.Name }) {
			return &messages.Failure{Class: messages.ClassInvalid, Message: fmt.Sprintf(
				"autoscaler %q runs here and is not in this configuration, which would replace the whole file; download it instead, and put what is new into the file by hand", runs.Name)}
		}
	}
	return nil
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
