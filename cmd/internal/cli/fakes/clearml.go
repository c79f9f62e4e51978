package fakes

import (
	"context"
	"fmt"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// ClearML is a fake ClearML API server.
type ClearML struct {
	Server

	AccessKey, SecretKey string
	// WorkerTimeout is how long a silent worker stays listed.
	WorkerTimeout time.Duration
	// Queues are made beside the queue default.
	Queues []string
	Seed   uint64
}

// Run serves until ctx ends.
func (c ClearML) Run(ctx context.Context) error {
	server, err := fakeclearml.New(fakeclearml.Config{
		Clock: clock.System(), Seed: c.Seed, Keys: map[string]string{c.AccessKey: c.SecretKey}, WorkerTimeout: c.WorkerTimeout,
	})
	if err != nil {
		return err
	}
	for _, name := range c.Queues {
		if _, err := server.CreateQueue(fakeclearml.QueueSpec{Name: name}); err != nil {
			return fmt.Errorf("make queue %q: %w", name, err)
		}
	}
	return c.serve(ctx, "fake ClearML API", server.Handler(), c.usage)
}

func (c ClearML) usage(url string) []string {
	return []string{
		"environment:   export CLEARML_API_HOST=" + url + " CLEARML_WEB_HOST=" + url + " CLEARML_FILES_HOST=" + url +
			" CLEARML_API_ACCESS_KEY=" + c.AccessKey + " CLEARML_API_SECRET_KEY=" + c.SecretKey,
		"clearml.conf:  api { api_server: \"" + url + "\", credentials { access_key: \"" + c.AccessKey + "\", secret_key: \"" + c.SecretKey + "\" } }",
		"ebb:           clearml: {api_server: \"" + url + "\", access_key: " + c.AccessKey + ", secret_key: " + c.SecretKey + "}",
		"enqueue:       curl -d '{\"queue\": \"default\", \"count\": 3, \"run_seconds\": 60}' " + url + "/_fake/tasks",
		"look:          curl " + url + "/_fake/state",
	}
}
