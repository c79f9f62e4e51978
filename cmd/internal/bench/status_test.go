package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// asked is an engine as the control service sees it.
type asked struct{ *engine }

// Order implements control.Engine.
func (a asked) Order(_ context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	answers := make(chan messages.Answered, 1)
	defer a.node.Order(name, by, order, func(answered messages.Answered) { answers <- answered })()
	return <-answers, nil
}

// Reload implements control.Engine.
func (a asked) Reload(context.Context, string) (control.Reloaded, error) {
	return control.Reloaded{}, nil
}

// Now implements control.Engine.
func (a asked) Now() time.Time { return a.clock.Now() }

// counting also counts the answers of a verb and their bytes.
func counting(handler bus.ControlHandler, answers, size *atomic.Int64) bus.ControlHandler {
	return func(ctx context.Context, request []byte) (any, error) {
		answer, err := handler(ctx, request)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(answer)
		answers.Add(1)
		size.Add(int64(len(data)))
		return json.RawMessage(data), err
	}
}

// BenchmarkStatus is what `ebb status` and each look of `ebb top` cost: the status
// of an engine with 1,000 queues and 100 resource types over the NATS micro
// service, all pages, until it is decoded again on the other side. The event
// server is the embedded one, reached over TCP on loopback.
func BenchmarkStatus(b *testing.B) {
	for _, instances := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("instances=%d", instances), func(b *testing.B) {
			w := newWorld(manyQueues)
			fill(w, instances, 50)
			e := start(b, w, manyResources, instances/manyResources, ports{})
			defer e.close()
			client, counted := statusClient(b, asked{e})
			var samples []time.Duration
			for b.Loop() {
				begun := time.Now()
				status, err := client.Status(b.Context(), "prod")
				if err != nil {
					b.Fatal(err)
				}
				samples = append(samples, time.Since(begun))
				if len(status.Instances) != instances || len(status.Queues) != manyQueues || len(status.Silent) > 0 {
					b.Fatalf("%d of %d instances, %d queues, no answer of %v", len(status.Instances), instances, len(status.Queues), status.Silent)
				}
			}
			reportTimes(b, "status", samples)
			counted()
		})
	}
}

// statusClient serves an engine on an event server. counted reports how many
// answers a status takes, and their bytes.
func statusClient(b *testing.B, engine asked) (client control.Client, counted func()) {
	b.Helper()
	server, err := bus.Start(b.Context(), bus.ServerConfig{StateDir: b.TempDir(), Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	connect := func(config bus.ConnConfig) *bus.Bus {
		config.Name, config.Log = "bench", zerolog.Nop()
		conn, err := bus.Connect(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(conn.Close)
		return conn
	}
	serving, operator := connect(bus.ConnConfig{Server: server}), connect(bus.ConnConfig{URL: server.URL(), ReadOnly: true})
	var answers, size atomic.Int64
	serve := func(name messages.AutoscalerName, handlers map[string]bus.ControlHandler) {
		running, err := serving.Serve(b.Context(), bus.ControlConfig{Autoscaler: name, Handlers: handlers})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(running.Stop)
	}
	handlers := control.Handlers("prod", engine)
	serve("prod", handlers)
	serve("counted", map[string]bus.ControlHandler{control.VerbStatus: counting(handlers[control.VerbStatus], &answers, &size)})
	client = control.Client{Bus: operator}
	if _, err := client.Status(b.Context(), "counted"); err != nil {
		b.Fatal(err)
	}
	return client, func() {
		b.ReportMetric(float64(answers.Load()), "answers")
		b.ReportMetric(float64(size.Load()), "answer_bytes")
	}
}
