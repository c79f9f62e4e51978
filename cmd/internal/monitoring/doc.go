// Package monitoring holds the board, the alert rules and the runbooks to the metrics
// that ebb has, as tests. It has no other code.
//
//   - Each expression of deployments/grafana/ebb.json and deployments/alerts names only
//     metrics and labels of the catalog in adapters/metrics.
//   - Each alert has a runbook with all its parts, and stories in ebb.tests.yaml of
//     when it fires and when not; there is no page and no story too many.
//   - With the build tag real, Prometheus' own promtool parses every expression and
//     plays the stories (`make alerts-check`).
package monitoring
