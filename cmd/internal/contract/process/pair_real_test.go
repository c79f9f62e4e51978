//go:build real

package process_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// pairConfiguration is that of one of two processes with the same autoscaler.
const pairConfiguration = `
state_dir: %s
http: {listen: "off"}
nats: {url: %q}
lease: {ttl: %s}
log: {level: info, format: json}
autoscalers:
  - name: %s
    clearml: {api_server: %q, web_server: "http://127.0.0.1:1", files_server: "http://127.0.0.1:1", access_key: KEY, secret_key: not-to-be-seen}
    aws: {region: us-east-1, access_key_id: %s, secret_access_key: nor-this, endpoint_url: %q}
    polling_interval: 1s
    max_idle_time: 10m
    max_spin_up_time: 5m
    resources:
      - name: gpu
        instance_types: [g5.xlarge]
        market: spot
        availability_zones: [us-east-1a]
        ami_id: ami-0e3a1b2c3d4e5f601
        max_instances: %d
        queues: [training]
`

// pair is a region with two processes of one autoscaler, told apart by the
// access key that each shows to EC2.
type pair struct {
	*region
	server *eventServer
	gate   *gate
	name   messages.AutoscalerName
	most   int // max_instances
	dir    string
	keys   map[int]string // access key ids, by process id
}

func newPair(t *testing.T, server *eventServer, name string, most int) *pair {
	t.Helper()
	p := &pair{server: server, name: messages.AutoscalerName(name), most: most, dir: t.TempDir(), keys: map[int]string{}}
	p.region = newWorld(t, worldConfig{
		accessKeys: []string{"AKIDFIRST", "AKIDSECOND"},
		before: func(ec2 http.Handler) http.Handler {
			p.gate = newGate(ec2)
			return p.gate
		},
	})
	return p
}

// process starts one of the two.
func (p *pair) process(t *testing.T, key string, ttl time.Duration) *program {
	t.Helper()
	path := filepath.Join(p.dir, key+".yaml")
	text := fmt.Sprintf(pairConfiguration, filepath.Join(p.dir, key), p.server.url, ttl, p.name, p.clearmlURL, key, p.ec2URL, p.most)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	started := startWith(t, path)
	p.keys[started.cmd.Process.Pid] = key
	return started
}

// both starts one that acts, and one that stands by.
func (p *pair) both(t *testing.T, ownerTTL, standbyTTL time.Duration) (owner, standby *program) {
	t.Helper()
	owner = p.process(t, "AKIDFIRST", ownerTTL)
	p.acts(t, owner, time.Time{}, 30*time.Second)
	standby = p.process(t, "AKIDSECOND", standbyTTL)
	within(t, 30*time.Second, "the second process stands by", func() bool {
		return strings.Contains(standby.log.String(), "standing by")
	})
	within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(owner.log.String(), "queue.created") })
	return owner, standby
}

// began is the start of an owner, as the bus tells it.
type began struct {
	pid   int
	epoch messages.Epoch
	at    time.Time // when it was stored on the bus
}

// owners are all starts in the order of the bus.
func (p *pair) owners(t *testing.T) []began {
	t.Helper()
	var all []began
	for _, e := range p.server.events(t, p.name) {
		started, ok := e.Event.(messages.AutoscalerStarted)
		if !ok {
			continue
		}
		b := began{epoch: started.Epoch, at: e.Stored}
		parts := strings.Split(started.Holder, ":")
		if len(parts) != 3 {
			t.Fatalf("the holder is named %q", started.Holder)
		}
		if _, err := fmt.Sscan(parts[1], &b.pid); err != nil {
			t.Fatalf("the holder is named %q: %v", started.Holder, err)
		}
		all = append(all, b)
	}
	return all
}

// acts waits until a process acts, by its event on the bus after a moment, and
// answers when that was stored.
func (p *pair) acts(t *testing.T, who *program, after time.Time, limit time.Duration) time.Time {
	t.Helper()
	for end := time.Now().Add(limit + slow); ; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(who.log.String(), "autoscaler.started") {
			for _, b := range p.owners(t) {
				if b.pid == who.cmd.Process.Pid && b.at.After(after) {
					return b.at
				}
			}
		}
		if time.Now().After(end) {
			t.Fatalf("process %d does not act within %s", who.cmd.Process.Pid, limit)
		}
	}
}

// work waits until so many tasks run, each on an instance of its own, and sees
// that it stays so for a while.
func (p *pair) work(t *testing.T, want int, limit, stays time.Duration) {
	t.Helper()
	within(t, limit, fmt.Sprintf("%d instances work", want), func() bool { return p.running() == want && p.alive() == want })
	for end := time.Now().Add(stays); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if p.launched() != want {
			break
		}
	}
	if p.launched() != want {
		t.Errorf("%d instances were launched, want %d", p.launched(), want)
	}
}

// laws checks what must hold whatever happened: never too many instances, never
// two for one request, never two owners, and none let go while its task runs.
func (p *pair) laws(t *testing.T) (replays int) {
	t.Helper()
	if most, at := p.cloud.Ledger().MaxAlive(nil); most > p.most {
		t.Errorf("%d instances were alive at %s, at most %d may be", most, at, p.most)
	}
	calls := p.gate.made()
	asked := map[string]int{}
	for _, c := range calls {
		if before, ok := asked[c.token]; ok && c.token != "" && before != c.count {
			t.Errorf("launch %s asks for %d, and before for %d", c.token, c.count, before)
		}
		asked[c.token] = c.count
	}
	got := map[string]int{}
	for _, launch := range p.cloud.Ledger().Launches {
		got[launch.ClientToken]++
	}
	for token, n := range got {
		if token == "" || n > asked[token] {
			t.Errorf("launch %q has %d instances, and asked for %d", token, n, asked[token])
		}
	}
	for _, e := range p.server.events(t, p.name) {
		if e.Kind == "instance.draining" || e.Kind == "instance.terminating" || e.Kind == "instance.gone" {
			t.Errorf("%s: %s", e.Kind, e.Data)
		}
	}
	return p.oneOwner(t, calls)
}

// oneOwner checks that epochs grow and that nobody changes anything at EC2 after
// another has begun to act. What was asked for before may be asked again: the
// ClientToken makes it the same.
func (p *pair) oneOwner(t *testing.T, calls []call) (replays int) {
	t.Helper()
	owners := p.owners(t)
	for i := 1; i < len(owners); i++ {
		if owners[i].epoch <= owners[i-1].epoch && owners[i].pid != owners[i-1].pid {
			t.Errorf("owner %+v comes after %+v", owners[i], owners[i-1])
		}
	}
	for i, c := range calls {
		var owner began
		for _, b := range owners {
			if b.at.Before(c.at) {
				owner = b
			}
		}
		if p.keys[owner.pid] == c.key || owner.pid == 0 {
			continue
		}
		if next := slices.IndexFunc(owners, func(b began) bool { return b.at.After(c.at) }); next >= 0 && p.keys[owners[next].pid] == c.key &&
			owners[next].at.Sub(c.at) < 5*time.Second {
			continue // the new owner's event was still on its way
		}
		if slices.ContainsFunc(calls[:i], func(before call) bool { return c.token != "" && before.token == c.token }) {
			replays++
			continue
		}
		t.Errorf("%s called %s (token %q, count %d) at %s, after %d had begun to act at %s",
			c.key, c.action, c.token, c.count, c.at, owner.pid, owner.at)
	}
	return replays
}

func (r *region) running() int {
	running := 0
	for _, id := range r.clearml.TaskIDs() {
		if r.clearml.TaskStatus(id) == "in_progress" {
			running++
		}
	}
	return running
}

func (p *program) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// figures are times that were measured, of trials that run side by side.
type figures struct {
	mu    sync.Mutex
	times []time.Duration
}

func (f *figures) add(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times = append(f.times, d)
}

func (f *figures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.times) == 0 {
		return "none"
	}
	slices.Sort(f.times)
	show := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	return fmt.Sprintf("n=%d min %s median %s max %s",
		len(f.times), show(f.times[0]), show(f.times[len(f.times)/2]), show(f.times[len(f.times)-1]))
}
