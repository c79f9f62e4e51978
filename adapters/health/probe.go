package health

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Expected is an autoscaler that the process is configured for.
type Expected struct {
	Name messages.AutoscalerName
	// ClearMLWithin and EC2Within are how old the last good answer may be.
	ClearMLWithin, EC2Within time.Duration
}

// Config is what a probe asks. Its functions may be called at the same time.
type Config struct {
	// Now is the time by the autoscalers' clock.
	Now func() time.Time
	// Autoscalers are those of the configuration in effect.
	Autoscalers func() []Expected
	// Statuses asks them; it has to return within a time of its own. One that did
	// not answer is not in the map, one that stands by is with a failure of class
	// held.
	Statuses func(ctx context.Context) map[messages.AutoscalerName]messages.Answered
	// Bus says how the event bus is; it does not wait.
	Bus func() Bus
	// Configuration says how the configuration file is; nil is in effect.
	Configuration func() Configuration
}

// Probe answers probes.
type Probe struct {
	config Config

	mu      sync.Mutex
	pending map[messages.AutoscalerName]samples
}

// samples are two counts of waiting events: the older one becomes a minute old
// before the newer one takes its place.
type samples struct{ old, new sample }

type sample struct {
	at    time.Time
	count int
}

// New makes a probe.
func New(config Config) *Probe {
	return &Probe{config: config, pending: make(map[messages.AutoscalerName]samples)}
}

// Judge gathers the facts and judges them.
func (p *Probe) Judge(ctx context.Context) (live, ready Report) {
	said := p.config.Statuses(ctx)
	facts := Facts{At: p.config.Now(), Bus: p.config.Bus()}
	if p.config.Configuration != nil {
		facts.Configuration = p.config.Configuration()
	}
	for _, expected := range p.config.Autoscalers() {
		a := Autoscaler{
			Name: expected.Name, ClearMLWithin: expected.ClearMLWithin, EC2Within: expected.EC2Within, PendingBefore: -1,
		}
		answer, answered := said[expected.Name]
		a.Status = answer.Status
		a.Answered = answered && (answer.Status != nil || (answer.Failure != nil && answer.Failure.Class == messages.ClassHeld))
		if a.Status != nil {
			a.PendingBefore = p.before(expected.Name, a.Status.EventsPending, facts.At)
		}
		facts.Autoscalers = append(facts.Autoscalers, a)
	}
	return Judge(facts)
}

// before returns how many events waited at least a minute ago, -1 when nobody
// looked, and remembers how many do now.
func (p *Probe) before(name messages.AutoscalerName, count int, now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, looked := p.pending[name]
	if !looked {
		first := sample{at: now, count: count}
		p.pending[name] = samples{old: first, new: first}
		return -1
	}
	if now.Sub(known.new.at) >= growthSpan {
		known = samples{old: known.new, new: sample{at: now, count: count}}
		p.pending[name] = known
	}
	if now.Sub(known.old.at) < growthSpan {
		return -1
	}
	return known.old.count
}

// Live serves /healthz: 200 when the process is alive, else 503.
func (p *Probe) Live() http.Handler {
	return p.serve(func(live, _ Report) Report { return live })
}

// Ready serves /readyz: 200 when the process is ready, else 503.
func (p *Probe) Ready() http.Handler {
	return p.serve(func(_, ready Report) Report { return ready })
}

// serve answers with lines, or with JSON for whoever accepts that or asks for it
// with ?format=json.
func (p *Probe) serve(choose func(live, ready Report) Report) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		report := choose(p.Judge(r.Context()))
		status := http.StatusOK
		if !report.OK {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Query().Get("format") != "json" && !strings.Contains(r.Header.Get("Accept"), "application/json") {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(status)
			fmt.Fprint(w, report.Text())
			return
		}
		body, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			http.Error(w, "the report is not writable as JSON", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s\n", body)
	})
}

// Text is the report in lines, what is wrong with its cure.
func (r Report) Text() string {
	var b strings.Builder
	for _, check := range r.Checks {
		mark, about := "ok", check.Name
		switch {
		case !check.OK:
			mark = "WRONG"
		case check.Notice:
			mark = "note"
		}
		if check.Autoscaler != "" {
			about += " of " + string(check.Autoscaler)
		}
		fmt.Fprintf(&b, "%-5s %s: %s\n", mark, about, check.Found)
		if check.Cure != "" {
			fmt.Fprintf(&b, "      to do: %s\n", check.Cure)
		}
	}
	if r.OK {
		b.WriteString("ok\n")
	} else {
		b.WriteString("NOT OK\n")
	}
	return b.String()
}
