// Package metrics tells Prometheus what ebb does.
//
// It learns from three sides, and none of them waits for it:
//
//   - [Metrics.Observe] is told of each event as it is recorded. Counters and
//     histograms are made of these.
//   - At a scrape every autoscaler is asked for its status, within a time and at
//     most once a second. Gauges are made of the answers. One that does not answer
//     has ebb_up 0 and no gauges: what is not known is not zero.
//   - [Metrics.EC2Calls] and [Metrics.ClearMLCalls] are told of each call to the
//     outside.
//
// [Catalog] is the one list of all metrics; docs/metrics.md, the board and the
// alerts are held to it by tests. No label holds an id: their values are names of
// the configuration or words of closed sets, so the number of series is bounded by
// the configuration.
package metrics
