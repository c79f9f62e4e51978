package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
	"github.com/ebbscale/ebb/messages"
)

const (
	// beforeEnding is what the name of a file that was replaced has more.
	beforeEnding = ".before"
	// beforeMode is the most that may be done with it.
	beforeMode = 0o600
)

// Clone implements [dashboard.Operator]: what the file says of the autoscaler, or,
// where it is in none, what runs.
func (d dashboardPorts) Clone(_ context.Context, name messages.AutoscalerName) (dashboard.Imported, error) {
	if path := d.p.options.Path; path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return dashboard.Imported{}, fmt.Errorf("read the configuration: %w", err)
		}
		answers, notes, found, err := wizard.Clone(path, text, string(name))
		if err != nil {
			return dashboard.Imported{}, invalid(err)
		}
		if found {
			return imported(answers, notes)
		}
	}
	for _, a := range d.file().Autoscalers {
		if messages.AutoscalerName(a.Name) == name {
			answers, notes, err := wizard.CloneOf(a)
			if err != nil {
				return dashboard.Imported{}, err
			}
			return imported(answers, notes)
		}
	}
	return dashboard.Imported{}, &messages.Failure{Class: messages.ClassNotFound, Message: fmt.Sprintf("there is no autoscaler %q", name)}
}

// candidate is a file that could take the place of the configuration.
type candidate struct {
	// path is the configuration, fresh the file beside it that has what it would be.
	path, fresh string
	// before is what the configuration is, would what it would be.
	before []byte
	would  dashboard.Change
}

// prepare writes beside the configuration of the process what it would be with yaml in
// it, and checks that as a start would. Where the path is a symbolic link, it is the
// file that it leads to. The caller holds replacing, and removes the file.
func (d dashboardPorts) prepare(yaml []byte) (c candidate, err error) {
	if format, _ := config.FormatOf(d.p.options.Path); d.p.options.Path == "" || format != config.YAML {
		return c, &messages.Failure{Class: messages.ClassInvalid, Message: "this process does not run from a YAML file that could be replaced; download the configuration instead"}
	}
	if c.path, err = filepath.EvalSymlinks(d.p.options.Path); err == nil {
		c.path, err = filepath.Abs(c.path)
	}
	if err != nil {
		return c, fmt.Errorf("find the configuration: %w", err)
	}
	if c.before, err = os.ReadFile(c.path); err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	whole, err := wizard.Merge(c.path, c.before, yaml)
	if _, sent := errors.AsType[config.Errors](err); err != nil && !sent {
		return c, &messages.Failure{Class: messages.ClassInvalid, Message: err.Error()}
	}
	if err != nil {
		return c, invalid(err)
	}
	if c.fresh, err = beside(c.path, ".ebb-new-", whole); err != nil {
		return c, fmt.Errorf("write the new configuration: %w", err)
	}
	if c.would, err = d.check(c); err != nil {
		return c, errors.Join(err, os.Remove(c.fresh))
	}
	return c, nil
}

// check loads a candidate as a start would, and says what it changes.
func (d dashboardPorts) check(c candidate) (dashboard.Change, error) {
	load := d.p.options.LoadFrom
	if load == nil {
		load = func(path string) (config.File, error) {
			return config.Load(config.Source{Path: path, Environ: os.Environ()})
		}
	}
	file, err := load(c.fresh)
	if all, ok := errors.AsType[config.Errors](err); ok {
		for i := range all {
			all[i].Line = 0 // of a file that nobody has seen
		}
	}
	if err != nil {
		return dashboard.Change{}, invalid(err)
	}
	would, err := d.p.preview(file)
	if err != nil {
		return dashboard.Change{}, &messages.Failure{Class: messages.ClassInvalid, Message: err.Error()}
	}
	return dashboard.Change{Changes: would.Changes, Restart: would.Restart, File: c.path, Before: c.path + beforeEnding}, nil
}

// Plan implements [dashboard.Operator].
func (d dashboardPorts) Plan(_ context.Context, yaml []byte) (dashboard.Change, error) {
	d.p.replacing.Lock()
	defer d.p.replacing.Unlock()
	c, err := d.prepare(yaml)
	if err != nil {
		return dashboard.Change{}, err
	}
	return c.would, os.Remove(c.fresh)
}

// Apply implements [dashboard.Operator]: the file of the process is replaced, and
// read again. If that fails the old one is put back; else it is kept, under another
// name.
func (d dashboardPorts) Apply(ctx context.Context, yaml []byte) (dashboard.Change, error) {
	d.p.replacing.Lock()
	defer d.p.replacing.Unlock()
	c, err := d.prepare(yaml)
	if err != nil {
		return dashboard.Change{}, err
	}
	defer os.Remove(c.fresh) //nolint:errcheck // it is there no more when all went well
	// Both versions are written before anything is replaced: a disk without room loses
	// nothing, now and when the old one is to be put back.
	old, err := beside(c.path, ".ebb-old-", c.before)
	if err != nil {
		return dashboard.Change{}, fmt.Errorf("keep the old configuration: %w", err)
	}
	defer os.Remove(old) //nolint:errcheck // it is there no more when it was put back, or kept
	if err := os.Rename(c.fresh, c.path); err != nil {
		return dashboard.Change{}, fmt.Errorf("put the new configuration in its place: %w", err)
	}
	done, err := d.p.Reload(ctx, "the dashboard")
	if err != nil {
		if back := os.Rename(old, c.path); back != nil {
			return dashboard.Change{}, errors.Join(err, fmt.Errorf("put the old configuration back: %w", back))
		}
		_, again := d.p.Reload(context.WithoutCancel(ctx), byFile) // else it would be told that the file is not sound
		return dashboard.Change{}, errors.Join(err, again)
	}
	change := dashboard.Change{Changes: done.Changes, Restart: done.Restart, File: c.path, Before: c.path + beforeEnding}
	if err := keep(old, change.Before); err != nil {
		d.p.log.Error().Err(err).Msg("the configuration was replaced, and the one before it is not kept")
		change.Before = ""
	}
	return change, nil
}

// keep gives a file that was replaced its lasting name, for its owner only.
func keep(old, name string) error {
	info, err := os.Stat(old)
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(old, info.Mode().Perm()&beforeMode), os.Rename(old, name))
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
