// Package clearml holds the checks of ebb's fake ClearML server against real
// ClearML software: clearml-agent and the Python SDK, from the virtual environment
// that EBB_REAL_VENV names. They carry the build tag real and are run by
// `make test-real`; a missing tool is a failure there.
package clearml
