package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/internal/leaks"
	"github.com/ebbscale/ebb/internal/output"
	"github.com/ebbscale/ebb/messages"
)

// operator is somebody with a connection to the event server.
type operator struct {
	control.Client

	t *testing.T
}

func newOperator(t *testing.T, url string) operator {
	t.Helper()
	conn, err := bus.Connect(t.Context(), bus.ConnConfig{URL: url, Name: "operator", ReadOnly: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return operator{control.Client{Bus: conn}, t}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is not so that %s", patience, what)
		}
	}
}

// status waits until somebody answers. Each part of it says as of when it is.
func (o operator) status() messages.Status {
	o.t.Helper()
	var status messages.Status
	eventually(o.t, "somebody answers", func() bool {
		var err error
		status, err = o.Status(o.t.Context(), "test")
		return err == nil
	})
	for _, q := range status.Queues {
		if q.AsOf.Before(status.At) {
			o.t.Errorf("queue %s told as of %s in a status of %s", q.Queue, q.AsOf, status.At)
		}
	}
	for _, r := range status.Resources {
		if r.AsOf.Before(status.At) {
			o.t.Errorf("resource %s told as of %s in a status of %s", r.Resource, r.AsOf, status.At)
		}
	}
	return status
}

// max is max_instances of the one resource type, as the acting process has it.
func (o operator) max() int { return o.status().Resources[0].Max }

// events are all events of a kind so far.
func (o operator) events(kind string) []messages.Event {
	o.t.Helper()
	var all []messages.Event
	err := o.Bus.Events(o.t.Context(), bus.EventQuery{Kind: kind}, func(stored bus.StoredEvent) error {
		all = append(all, stored.Event)
		return nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

// shared is the configuration of one of several processes at one event server.
func (r *testRegion) shared(member string) config.File {
	r.t.Helper()
	file := r.load("1h", 1)
	file.NATS.URL, file.StateDir = r.natsURL, filepath.Join(r.dir, member)
	return file
}

// TestStandByAnswers has two processes for one autoscaler at one event server: the
// one that acts answers, and once it has stopped the other does, with the pause that
// was asked of the first.
func TestStandByAnswers(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: filepath.Join(r.dir, "nats"), Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	r.natsURL = server.URL()
	o := newOperator(t, server.URL())
	defer o.Bus.Close()

	first, err := app.Start(t.Context(), app.Options{File: r.shared("one"), Version: "one", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if status := o.status(); status.Version != "one" {
		t.Errorf("%s answers as version %s", status.Holder, status.Version)
	}
	second, err := app.Start(t.Context(), app.Options{File: r.shared("two"), Version: "two", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // not in turn: the one that stands by never answers
		if status := o.status(); status.Version != "one" {
			t.Fatalf("the one that stands by answers: %+v", status)
		}
	}
	if found, err := o.Autoscalers(t.Context()); err != nil || len(found) != 1 || found[0].Version != "one" {
		t.Errorf("found %+v, %v", found, err)
	}
	byPage(t, second.Page(), o)
	if err := o.Pause(t.Context(), "test", control.PauseRequest{By: "ana", Why: "to see"}); err != nil {
		t.Error(err)
	}
	epoch := o.status().Epoch
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	status := o.status()
	if status.Version != "two" || status.Epoch <= epoch {
		t.Errorf("after the stop %s answers, owner %d after %d", status.Version, status.Epoch, epoch)
	}
	eventually(t, "the second knows of the pause", func() bool {
		p := o.status().Pause
		return p != nil && p.By == "ana" && p.Why == "to see"
	})
	if err := o.Resume(t.Context(), "test", control.ResumeRequest{By: "ben"}); err != nil {
		t.Error(err)
	}
	if p := o.status().Pause; p != nil {
		t.Errorf("after resume: %+v", p)
	}
	if err := o.Resume(t.Context(), "test", control.ResumeRequest{}); err == nil || !strings.Contains(err.Error(), "launching is not paused") {
		t.Errorf("resumed twice: %v", err)
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
	if failure := messages.FailureOf(o.Resume(t.Context(), "test", control.ResumeRequest{})); failure == nil || failure.Class != messages.ClassHeld {
		t.Errorf("nobody acts, and the answer is %v", failure)
	}
}

// ahead is a clock that is ahead of the machine's.
type ahead struct {
	clock.Clock

	by time.Duration
}

func (a ahead) Now() time.Time { return a.Clock.Now().Add(a.by) }

// byPage pauses on the page of the process that stands by, with an end, and asks there
// why nothing is launched: the one that acts does and says so.
func byPage(t *testing.T, page interface {
	dashboard.Engine
	dashboard.Operator
}, o operator,
) {
	t.Helper()
	until := time.Now().Add(3 * time.Hour)
	if _, err := page.Order(t.Context(), "test", "ben", messages.PauseLaunches{Why: "to look", Until: until}); err != nil {
		t.Error(err)
	}
	if p := o.status().Pause; p == nil || p.By != "ben" || p.Why != "to look" || p.Until.Sub(until).Abs() > time.Minute {
		t.Errorf("paused on the page of the other one until %s, and the pause is %+v", until, p)
	}
	why, err := page.Explain(t.Context(), "test", "training")
	if err != nil || !strings.Contains(strings.Join(why.Lines, "\n"), "What to do: ") {
		t.Errorf("explained there: %+v, %v", why, err)
	}
	if _, err := page.Order(t.Context(), "test", "ben", messages.ResumeLaunches{}); err != nil {
		t.Error(err)
	}
}

// TestPauseOutlivesRestart starts the same process again, on clocks of its own: a
// pause with an end is there until that end, and not longer.
func TestPauseOutlivesRestart(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	const day = 24 * time.Hour
	for _, run := range []struct {
		ahead  time.Duration
		paused bool
	}{{1000 * day, false}, {1000*day + 30*time.Minute, true}, {1000*day + 61*time.Minute, false}} {
		process, err := app.Start(t.Context(), app.Options{
			File: r.load("1h", 1), Version: "test", Log: zerolog.Nop(), Clock: ahead{clock.System(), run.ahead},
		})
		if err != nil {
			t.Fatal(err)
		}
		o := newOperator(t, process.URL())
		eventually(t, fmt.Sprintf("%s ahead: paused is %v", run.ahead, run.paused), func() bool {
			status := o.status()
			return len(status.Silent) == 0 && (status.Pause != nil) == run.paused && status.Queues[0].Known
		})
		if run.ahead == 1000*day {
			if err := o.Pause(t.Context(), "test", control.PauseRequest{By: "ana", Seconds: 3600}); err != nil {
				t.Error(err)
			}
			if p := o.status().Pause; p == nil || p.Until.Sub(p.At).Round(time.Minute) != time.Hour || time.Until(p.Until) < 999*day {
				t.Errorf("paused by the process's clock: %+v", p)
			}
		}
		o.Bus.Close()
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// running is an app.Run beside the test.
type running struct {
	*testRegion
	operator

	log     *output.Buffer
	path    string
	hangups chan os.Signal
}

// run starts a process as `ebb run` does, until the test ends.
func (r *testRegion) run() running {
	r.t.Helper()
	p := running{testRegion: r, log: &output.Buffer{}, path: filepath.Join(r.dir, "ebb.yaml"), hangups: make(chan os.Signal, 1)}
	file := r.load("1h", 1)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, app.Options{
			File: file, Version: "test", Log: zerolog.New(p.log), Path: p.path,
			Load: func() (config.File, error) { return config.Load(config.Source{Path: p.path}) },
		}, p.hangups)
	}()
	var conn *bus.Bus
	eventually(r.t, "the process listens", func() bool {
		var err error
		conn, err = bus.Connect(r.t.Context(), bus.ConnConfig{URL: "nats://" + file.NATS.Listen, Name: "operator", ReadOnly: true, Log: zerolog.Nop()})
		return err == nil
	})
	p.operator = operator{control.Client{Bus: conn}, r.t}
	end := r.close
	r.close = func() {
		conn.Close()
		stop()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
		end()
	}
	return p
}

// logged is how often a text is in the log.
func (p running) logged(part string) int { return strings.Count(p.log.String(), part) }

func (p running) write(text string) {
	p.operator.t.Helper()
	whole := p.path + ".new" // the process looks at the file by itself, and is not to see half of it
	if err := os.WriteFile(whole, []byte(text), 0o600); err != nil {
		p.operator.t.Fatal(err)
	}
	if err := os.Rename(whole, p.path); err != nil {
		p.operator.t.Fatal(err)
	}
}

func (p running) reload() (control.Reloaded, error) {
	return p.Reload(p.operator.t.Context(), "test", control.ReloadRequest{By: "ana"})
}

// TestReloadByOperator has the configuration read again through the control
// service: unchanged, sound, unsound, and with what needs a restart.
func TestReloadByOperator(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer func() { r.close() }()
	p := r.run()
	if status := p.status(); status.Resources[0].Max != 1 {
		t.Errorf("it begins with %+v", status.Resources)
	}
	if done, err := p.reload(); err != nil || len(done.Changes)+len(done.Restart) != 0 {
		t.Errorf("unchanged: %+v, %v", done, err)
	}
	sound := p.text("1h", 2)
	p.write(sound)
	done, err := p.reload()
	if err != nil || len(done.Changes) != 1 || len(done.Restart) != 0 || !strings.Contains(done.Changes[0], "max_instances") {
		t.Errorf("sound: %+v, %v", done, err)
	}
	eventually(t, "max_instances is 2", func() bool { return p.max() == 2 })

	p.write(strings.Replace(sound, "max_instances: 2", "max_instances: many", 1))
	_, err = p.reload()
	failure := messages.FailureOf(err)
	if failure == nil || failure.Class != messages.ClassInvalid || !strings.Contains(failure.Message, "max_instances") || strings.Contains(failure.Message, "not-to-be-seen") {
		t.Errorf("unsound: %v", failure)
	}
	var wrong []messages.Event
	eventually(t, "the unsound configuration is an event", func() bool {
		wrong = p.events("autoscaler.misconfigured")
		return len(wrong) > 0
	})
	if event, ok := wrong[0].(messages.AutoscalerMisconfigured); !ok || len(event.Problems) != 1 || !strings.Contains(event.Problems[0], "max_instances") {
		t.Errorf("recorded %+v", wrong[0])
	}
	if most := p.max(); most != 2 {
		t.Errorf("after an unsound configuration max_instances is %d", most)
	}

	p.write(strings.Replace(sound, "autoscalers:", "log: {level: error}\nautoscalers:", 1))
	if done, err = p.reload(); err != nil || len(done.Changes) != 0 || len(done.Restart) != 1 || !strings.Contains(done.Restart[0], "log.level") {
		t.Errorf("what needs a restart: %+v, %v", done, err)
	}
	told := func() (n int) {
		for _, event := range p.events("autoscaler.reconfigured") {
			if e, ok := event.(messages.AutoscalerReconfigured); ok && len(e.Restart) == 1 {
				n++
			}
		}
		return n
	}
	eventually(t, "what needs a restart is an event", func() bool { return told() == 1 })
	begun := len(p.events("autoscaler.started"))
	if done, err = p.reload(); err != nil || len(done.Restart) != 1 {
		t.Errorf("what needs a restart, again: %+v, %v", done, err)
	}
	eventually(t, "it begins anew", func() bool { return len(p.events("autoscaler.started")) > begun })
	if n := told(); n != 1 {
		t.Errorf("what needs a restart was told %d times", n)
	}
	p.write(strings.Replace(sound, "name: test", "name: other", 1))
	if done, err = p.reload(); err != nil || len(done.Restart) != 2 || !strings.Contains(done.Restart[0], "autoscalers[other]: added") ||
		!strings.Contains(done.Restart[1], "autoscalers[test]: removed") {
		t.Errorf("another name: %+v, %v", done, err)
	}
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.reload(); err == nil || !strings.Contains(err.Error(), "ebb.yaml") {
		t.Errorf("no file: %v", err)
	}
	if most := p.max(); most != 2 {
		t.Errorf("without a file max_instances is %d", most)
	}
}

// TestReloadWithoutTheEventServer changes the configuration while the event server
// cannot be reached: nobody would read it again later.
func TestReloadWithoutTheEventServer(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer func() { r.close() }()
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: filepath.Join(r.dir, "nats"), Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	file := r.load("1h", 1)
	file.NATS.URL = server.URL()
	changed := r.load("1h", 2)
	changed.NATS = file.NATS
	process, err := app.Start(t.Context(), app.Options{
		File: file, Version: "test", Log: zerolog.Nop(), Load: func() (config.File, error) { return changed, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if done, err := process.Reload(t.Context(), "a test"); err != nil || len(done.Changes) != 1 {
		t.Errorf("reloaded %+v, %v", done, err)
	}
	process.Abandon()
}

// TestReloadByItself changes the file of a running process and tells it nothing.
// When a change counts as one is TestWatchFile's.
func TestReloadByItself(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer func() { r.close() }()
	p := r.run()
	if most := p.max(); most != 1 {
		t.Errorf("it begins with %d", most)
	}
	p.write(p.text("1h", 3))
	eventually(t, "max_instances is 3", func() bool { return p.max() == 3 })
	if wrong := p.events("autoscaler.misconfigured"); len(wrong) > 0 || p.logged("not taken over") > 0 {
		t.Errorf("a sound file is told to be none: %+v", wrong)
	}
	if n := p.logged(`"by":"a change of its file"`); n != 1 {
		t.Errorf("it was read %d times", n)
	}
	p.write("autoscalers: 7\n") // unsound: said once, and the old one stays
	eventually(t, "the unsound configuration is an event", func() bool { return len(p.events("autoscaler.misconfigured")) == 1 })
	if wrong := p.events("autoscaler.misconfigured"); len(wrong) != 1 || p.max() != 3 {
		t.Errorf("recorded %d times, max_instances is %d", len(wrong), p.max())
	}
}

// TestReloadByHangup has the configuration read again by SIGHUP.
func TestReloadByHangup(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer func() { r.close() }()
	p := r.run()
	if most := p.max(); most != 1 {
		t.Errorf("it begins with %d", most)
	}
	p.write(p.text("1h", 5))
	p.hangups <- os.Interrupt // which one it is does not matter here: only SIGHUP comes on this channel
	eventually(t, "max_instances is 5", func() bool { return p.max() == 5 })
	eventually(t, "it was read because of the signal", func() bool { return p.logged(`"by":"SIGHUP"`) == 1 })
	eventually(t, "the change is an event", func() bool {
		return slices.ContainsFunc(p.events("autoscaler.reconfigured"), func(e messages.Event) bool {
			event, ok := e.(messages.AutoscalerReconfigured)
			return ok && len(event.Changes) == 1 && strings.Contains(event.Changes[0], "max_instances")
		})
	})
}

// TestReloadWhileStopping asks for a reload all the time while the process stops:
// it stops all the same, and each asker hears what is so.
func TestReloadWhileStopping(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	file := r.load("1h", 1)
	process, err := app.Start(t.Context(), app.Options{
		File: file, Version: "test", Log: zerolog.Nop(), Load: func() (config.File, error) { return file, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	o := newOperator(t, process.URL())
	defer o.Bus.Close()
	o.status()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for ctx.Err() == nil {
				_, err := o.Reload(ctx, "test", control.ReloadRequest{By: "ana"})
				if failure := messages.FailureOf(err); failure != nil && failure.Class == messages.ClassUnknown {
					t.Errorf("reload while it stops: %v", failure)
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	stopped := make(chan error, 1)
	go func() { stopped <- process.Stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the process does not stop while it is asked for reloads")
	}
	cancel()
	asking.Wait()
}
