package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/messages"
)

// message is one of a stream.
type message struct {
	event string
	data  string
	at    time.Time
}

// listen reads a stream until ctx ends.
func listen(ctx context.Context, url string, handle func(message)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	reader := bufio.NewReaderSize(response.Body, 1<<20)
	var m message
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(line, "event: "):
			m.event = strings.TrimSpace(line[len("event: "):])
		case strings.HasPrefix(line, "data: "):
			m.data, m.at = line[len("data: "):], time.Now()
		case line == "\n" && m.event != "":
			handle(m)
			m = message{}
		}
	}
}

type frame struct {
	Rev       int
	Instances []struct {
		ID        messages.InstanceID
		Condition messages.Condition
		Task      messages.TaskID
	}
	Gone []messages.InstanceID
	Log  []struct {
		ID string
		At int64
	}
}

// picture folds a stream as the page does.
type picture struct {
	mu        sync.Mutex
	rev       int
	snapshots int
	missed    int
	instances map[messages.InstanceID]messages.Condition
	lines     map[string]time.Time
}

func newPicture() *picture {
	return &picture{instances: make(map[messages.InstanceID]messages.Condition), lines: make(map[string]time.Time)}
}

func (p *picture) take(m message) {
	var f frame
	if json.Unmarshal([]byte(m.data), &f) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.event == "snapshot" {
		p.snapshots++
		clear(p.instances)
	} else if f.Rev != p.rev+1 {
		p.missed++
	}
	p.rev = f.Rev
	for _, i := range f.Instances {
		p.instances[i.ID] = i.Condition
	}
	for _, id := range f.Gone {
		delete(p.instances, id)
	}
	for _, l := range f.Log {
		if _, known := p.lines[l.ID]; !known {
			p.lines[l.ID] = m.at
		}
	}
}

// same says whether the picture is what the world is.
func (p *picture) same(status messages.Status) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.instances) != len(status.Instances) {
		return false
	}
	for _, i := range status.Instances {
		if p.instances[i.Instance] != i.Condition {
			return false
		}
	}
	return true
}

// TestManyBrowsers has 20 of them look while the world changes: all end with the
// same picture, which is the world's, and none has missed anything.
func TestManyBrowsers(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 200)
	url := serve(t, server) + "/api/v1/autoscalers/prod/stream"
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	pictures := make([]*picture, 20)
	for i := range pictures {
		pictures[i] = newPicture()
		group.Go(func() { _ = listen(ctx, url, pictures[i].take) })
	}
	waitFor(t, "a snapshot for everybody", func() bool {
		return !slices.ContainsFunc(pictures, func(p *picture) bool { p.mu.Lock(); defer p.mu.Unlock(); return p.snapshots == 0 })
	})
	for range 300 {
		world.Step()
		time.Sleep(2 * time.Millisecond)
	}
	status, err := world.Status(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the same picture everywhere", func() bool {
		return !slices.ContainsFunc(pictures, func(p *picture) bool { return !p.same(status) })
	})
	for i, p := range pictures {
		if p.snapshots != 1 || p.missed != 0 {
			t.Errorf("browser %d: %d snapshots, %d frames missed", i, p.snapshots, p.missed)
		}
	}
	cancel()
	group.Wait()
}

// shifted is a clock by which whoever is given ten seconds to take a frame has more,
// or less, and frames come ten times as often.
type shifted struct {
	dashboard.Clock

	by time.Duration
}

func (s shifted) Now() time.Time { return s.Clock.Now().Add(s.by) }

func (s shifted) AfterFunc(d time.Duration, f func()) func() bool { return s.Clock.AfterFunc(d/10, f) }

// TestStuckBrowser has a browser that never reads, and is waited for an hour, beside
// one that does: the second one gets everything all the same.
func TestStuckBrowser(t *testing.T) {
	t.Parallel()

	stuck := besideStuck(t, time.Hour)
	stuck.Close() // else its frame would be waited for at the end
}

// TestStuckBrowserIsLetGo has one that is given a second to take a frame.
func TestStuckBrowserIsLetGo(t *testing.T) {
	t.Parallel()

	stuck := besideStuck(t, time.Second-10*time.Second)
	// By now its write has failed, or does so in a second: what is left is what the
	// sockets hold, and the end.
	_ = stuck.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, stuck); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the stuck browser was not let go")
	}
}

// besideStuck gives a browser far more than sockets and queues hold, beside one that
// reads nothing, which it returns. by is how far ahead the clock of their patience is.
func besideStuck(t *testing.T, by time.Duration) net.Conn {
	t.Helper()
	server, world := begin(t, 500, func(c *dashboard.Config) { c.Wall = shifted{clock.System(), by} })
	url := serve(t, server)
	stuck, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stuck.Close() })
	if _, err := io.WriteString(stuck, "GET /api/v1/autoscalers/prod/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := newPicture()
	var group sync.WaitGroup
	group.Go(func() {
		_ = listen(ctx, url+"/api/v1/autoscalers/prod/stream", p.take)
		for by < 0 && ctx.Err() == nil { // a page that was let go with a slow machine comes again
			_ = listen(ctx, url+"/api/v1/autoscalers/prod/stream", p.take)
		}
	})
	waitFor(t, "a snapshot", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.snapshots > 0 })

	for range 50 { // a frame each: eight fill the sockets, 16 the queue
		for range 400 {
			world.Step()
		}
		status, _ := world.Status(t.Context(), "prod")
		waitFor(t, "the picture beside a stuck browser", func() bool { return p.same(status) })
	}
	cancel()
	group.Wait()
	return stuck
}

// TestBehindBrowser holds that one which lost the thread is given the whole picture
// again, and goes on from there.
func TestBehindBrowser(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 20)
	url := serve(t, server) + "/api/v1/autoscalers/prod/stream"
	ctx, cancel := context.WithCancel(t.Context())
	p := newPicture()
	var group sync.WaitGroup
	hold := make(chan struct{})
	first := true
	group.Go(func() {
		_ = listen(ctx, url, func(m message) {
			p.take(m)
			if first {
				first = false
				<-hold // the page hangs; what comes fills the sockets, then the queue
			}
		})
	})
	defer group.Wait()
	defer cancel()
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); {
		for range 4000 {
			world.Step()
		}
		time.Sleep(50 * time.Millisecond)
	}
	close(hold)
	status, _ := world.Status(t.Context(), "prod")
	waitFor(t, "the picture after the hang", func() bool { return p.same(status) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.missed != 0 {
		t.Errorf("%d frames were missed without a new snapshot (%d snapshots)", p.missed, p.snapshots)
	}
}

func TestTooManyBrowsers(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 1, func(c *dashboard.Config) { c.MaxBrowsers = 2 })
	url := serve(t, server) + "/api/v1/stream"
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	heard := make(chan struct{}, 10)
	for range 2 {
		group.Go(func() {
			once := sync.OnceFunc(func() { heard <- struct{}{} })
			_ = listen(ctx, url, func(message) { once() })
		})
	}
	<-heard
	<-heard
	got := ask(server, "GET", "/api/v1/stream", "")
	if text := body(got); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || !strings.Contains(text, "browsers") {
		t.Errorf("a third one: %d %s", got.StatusCode, text)
	}
	cancel()
	group.Wait()
}

// TestAsleep holds that the page stays and says how old it is while there is no
// status, and follows the events meanwhile.
func TestAsleep(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 5)
	world.Sleep(true)
	type answer struct {
		Snapshot struct {
			Head struct {
				Problem string
				Told    int64
				Running int
				Pause   *struct{ By string }
			}
		}
		Links map[string]string
	}
	var got answer
	waitFor(t, "the problem", func() bool {
		got = decode[answer](t, ask(server, "GET", "/api/v1/autoscalers/prod", ""))
		return got.Snapshot.Head.Problem != ""
	})
	if got.Snapshot.Head.Told == 0 || got.Snapshot.Head.Running != 5 || !strings.Contains(got.Snapshot.Head.Problem, "host-2") {
		t.Errorf("got %+v", got)
	}
	if got.Links["instance"] == "" || got.Links["task"] == "" {
		t.Errorf("links are %v", got.Links)
	}
	if _, err := world.Order(t.Context(), "prod", "bob", messages.PauseLaunches{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the pause, from its event", func() bool {
		got = decode[answer](t, ask(server, "GET", "/api/v1/autoscalers/prod", ""))
		return got.Snapshot.Head.Pause != nil && got.Snapshot.Head.Pause.By == "bob"
	})
}
