// Package supervisor runs the rendered bootstrap under bash, with the real
// clearml-agent, against the fake ClearML server and the fake metadata service,
// and tries the channel between autoscaler and instance. Its tests run under
// `make test-real`.
package supervisor
