package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// BenchmarkObserve is what an event costs the recorder that tells of it: an
// instance becomes busy, then idle, 1,000 of them.
func BenchmarkObserve(b *testing.B) {
	w := newWorld(b)
	fleet := instances(1000)
	for _, i := range fleet {
		w.tell(messages.InstanceLaunched{Instance: i.Instance, Resource: i.Resource, Offering: i.Offering, HourlyUSD: 1})
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		i := fleet[n%len(fleet)]
		n++
		var event messages.Event = messages.InstanceBusy{Instance: i.Instance, Resource: i.Resource}
		if n%2 == 0 {
			event = messages.InstanceIdle{Instance: i.Instance, Resource: i.Resource, Since: noon()}
		}
		w.Observe(messages.Recorded{ID: "e", Autoscaler: prod, At: noon(), Event: event})
	}
}

// BenchmarkScrape is a whole answer to a scrape, with a fresh status: 1,000
// instances of 50 resource types, 100 queues of three types each.
func BenchmarkScrape(b *testing.B) {
	w := newWorld(b)
	status := fullStatus()
	status.Instances, status.Queues, status.Resources = instances(1000), nil, nil
	for r := range 50 {
		status.Resources = append(status.Resources, messages.ResourceStatus{
			Resource: messages.ResourceName(fmt.Sprintf("type-%d", r)), Known: true, Max: 20, Alive: 20, Offerings: []messages.Offering{offering()},
		})
	}
	for q := range 100 {
		status.Queues = append(status.Queues, messages.QueueStatus{
			Queue: messages.QueueName(fmt.Sprintf("queue-%d", q)), Known: true, Waiting: 5,
			Resources: []messages.ResourceName{status.Resources[q%50].Resource, status.Resources[(q+1)%50].Resource, status.Resources[(q+2)%50].Resource},
			Verdict:   messages.QueuePlanned{Unmet: 5, Reasons: why(messages.ReasonAtMax)},
		})
	}
	w.says(status)
	w.Acting(prod, true)
	for _, i := range status.Instances {
		w.tell(messages.InstanceLaunched{Instance: i.Instance, Resource: i.Resource, Offering: i.Offering, HourlyUSD: 1})
	}
	handler, size := w.Handler(), 0
	b.ReportAllocs()
	for b.Loop() {
		w.clock.advance(2 * time.Second)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
		if recorder.Code != http.StatusOK {
			b.Fatal(recorder.Body.String())
		}
		size = recorder.Body.Len()
	}
	b.ReportMetric(float64(size), "bytes/answer")
}

func instances(n int) []messages.InstanceStatus {
	fleet := make([]messages.InstanceStatus, n)
	for i := range fleet {
		fleet[i] = messages.InstanceStatus{
			Instance: messages.InstanceID(fmt.Sprintf("i-%017d", i)), Resource: messages.ResourceName(fmt.Sprintf("type-%d", i%50)),
			Offering: offering(), Condition: messages.Conditions()[i%len(messages.Conditions())], HourlyUSD: 1,
		}
	}
	return fleet
}
